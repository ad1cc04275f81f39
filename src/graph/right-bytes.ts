import type { RightBytes } from './bytes.ts';
import { denormalOptions } from './denormals.ts';
import { writeOnnx } from './onnx.ts';
import { createSession, Value } from './onnxruntime.ts';
import { input } from './ops/constant.ts';
import { integerProduct } from './ops/integers.ts';

let known: Promise<RightBytes> | undefined;

/**
 * Of what type right factors of bytes are best on this machine: int8 where its products are exact, else uint8, which is at
 * most some tenths slower there. Tried once, on products that saturate 16 bits in both directions.
 */
export function rightBytes(): Promise<RightBytes> {
  known ??= probe();
  return known;
}

const [K, N] = [64, 32];

async function probe(): Promise<RightBytes> {
  const [a, b] = [input('a', 'uint8', ['M', K]), input('b', 'int8', [K, N])];
  const names = new Map([a, b].map((x) => [x, x.node.attributes.name as string]));
  const model = writeOnnx({ y: integerProduct(a, b) }, names, new Map(), 'cpu', { rightBytes: 'int8' });
  const session = await createSession(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    // The first session of a process decides for the thread that makes it.
    extra: { session: denormalOptions() },
  });
  try {
    // One row and several have kernels of their own.
    for (const M of [1, 4]) {
      for (const level of [127, -127]) {
        const { y } = await session.run({
          a: new Value('uint8', new Uint8Array(M * K).fill(255), [M, K]),
          b: new Value('int8', new Int8Array(K * N).fill(level), [K, N]),
        });
        if (!(y!.data as Float32Array).every((sum) => sum === K * 255 * level)) return 'uint8';
      }
    }
    return 'int8';
  } finally {
    await session.release();
  }
}
