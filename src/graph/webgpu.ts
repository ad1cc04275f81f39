import { writeOnnx } from './onnx.ts';
import { createSession, noWebGpu, WEBGPU_NEEDS } from './onnxruntime.ts';
import { fill } from './ops/constant.ts';
import { GraphError } from './tensor.ts';

/**
 * Whether ONNX Runtime's WebGPU provider can work here. It runs on Dawn, which needs Vulkan on Linux (the loader
 * libvulkan.so.1 and a driver of version 1.3 or newer), Direct3D 12 on Windows and Metal on macOS.
 */
let adapter: Promise<void> | undefined;

/**
 * Makes the smallest session on the WebGPU provider and has its result stay on the device, so that a program
 * never runs elsewhere unnoticed. Successes are remembered, failures asked again: a driver may be set up later.
 *
 * @throws GraphError naming what is missing
 */
export function requireWebGpu(): Promise<void> {
  adapter ??= probe().catch((error) => {
    adapter = undefined;
    throw error;
  });
  return adapter;
}

async function probe(): Promise<void> {
  const missing = noWebGpu();
  if (missing) throw new GraphError(`device webgpu: ${missing}`);
  const one = fill(1, [1]);
  let location: string | undefined;
  let cause: unknown;
  try {
    const session = await createSession(writeOnnx({ one }, new Map(), new Map(), 'webgpu'), {
      executionProviders: ['webgpu'],
      preferredOutputLocation: 'gpu-buffer',
      logSeverityLevel: 4,
    });
    const result = await session.run({});
    location = result.one!.location;
    result.one!.dispose();
    await session.release();
  } catch (error) {
    cause = error;
  }
  if (location === 'gpu-buffer') return;
  const reason =
    cause instanceof Error ? cause.message.trim().replace(/^.*was false\. /s, '') : `ran on ${location}`;
  throw new GraphError(`device webgpu: no adapter was found (${reason}).${WEBGPU_NEEDS}`, { cause });
}
