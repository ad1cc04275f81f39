import { denormalOptions } from './denormals.ts';
import { writeOnnx } from './onnx.ts';
import { createSession, runSession, UNREADABLE_RESULT, Value } from './onnxruntime.ts';
import { input } from './ops/constant.ts';
import { add } from './ops/elementwise.ts';

/**
 * Whether a model's first result can be one that keeps the others from being copied (UNREADABLE_RESULT). That rests on what
 * the installed version of onnxruntime-node does, so it is tried once; where it is otherwise, results are copied.
 */
export function resultsStayUnread(): Promise<boolean> {
  known ??= probe();
  return known;
}

let known: Promise<boolean> | undefined;

async function probe(): Promise<boolean> {
  if (UNREADABLE_RESULT === null) return false;
  const x = input('x', 'float32', [1]);
  const model = writeOnnx({ y: add(x, 1) }, new Map([[x, 'x']]), new Map(), 'cpu', {
    sequence: UNREADABLE_RESULT,
  });
  const value = (number: number) => new Value('float32', Float32Array.of(number), [1]);
  const y = value(0);
  try {
    const session = await createSession(model, {
      executionProviders: ['cpu'],
      // The first session of a process decides for the thread that makes it.
      extra: { session: denormalOptions() },
      logSeverityLevel: 4,
    });
    try {
      await runSession(session, { x: value(1) }, { y }, true);
      return y.data[0] === 2;
    } finally {
      await session.release();
    }
  } catch {
    return false;
  }
}
