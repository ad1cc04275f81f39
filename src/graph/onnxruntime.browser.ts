import type { InferenceSession, Tensor } from 'onnxruntime-web';

/**
 * ONNX Runtime in a browser, for `onnxruntime.ts`: as WebAssembly, in the build with WebGPU (26.8 MB) where there is
 * an adapter, else without (14.2 MB, and faster: it needs no way to wait for a device).
 */

const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
const ort = await (adapter ? import('onnxruntime-web/webgpu') : import('onnxruntime-web/wasm'));

export type { InferenceSession };
export type Value = Tensor;
export const Value = ort.Tensor;

export const ENGINE_VERSION = ort.env.versions.web ?? 'unknown';

/** Threads are those of the whole module: what the first session asks for. Without COOP and COEP there is one. */
export function createSession(
  model: Uint8Array,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  if (options.intraOpNumThreads) ort.env.wasm.numThreads = options.intraOpNumThreads;
  return ort.InferenceSession.create(model, options);
}

/** The module has memory of its own, so that results are copied to where they are wanted. */
export async function runSession(
  session: InferenceSession,
  feeds: Readonly<Record<string, Value>>,
  fetches: Readonly<Record<string, Value | null>>,
): Promise<InferenceSession.ReturnType> {
  const results = await session.run(feeds, Object.keys(fetches));
  for (const [name, into] of Object.entries(fetches)) {
    if (into) (into.data as Float32Array).set(results[name]!.data as Float32Array);
  }
  return results;
}

export function noWebGpu(): string | null {
  return adapter ? null : 'this browser offers no adapter';
}

export const WEBGPU_NEEDS = '';
