import { env, type InferenceSession, Tensor as Value } from 'onnxruntime-common';

/**
 * ONNX Runtime in a browser, for `onnxruntime.ts`: as WebAssembly, in the build with WebGPU (26.8 MB) where there is
 * an adapter, else without (14.2 MB, and faster: it needs no way to wait for a device). Loaded for the first session.
 */

export { type InferenceSession, Value };

export const ENGINE_VERSION = env.versions.common;

let adapter: Promise<boolean> | undefined;
let runtime: Promise<typeof import('onnxruntime-web')> | undefined;

function hasAdapter(): Promise<boolean> {
  adapter ??= (async () => !!(await navigator.gpu?.requestAdapter().catch(() => null)))();
  return adapter;
}

async function load(): Promise<typeof import('onnxruntime-web')> {
  return (await hasAdapter()) ? import('onnxruntime-web/webgpu') : import('onnxruntime-web/wasm');
}

/**
 * Threads are those of the whole module: what the first session asks for. Without COOP and COEP there is one, and in a
 * page itself too: threads load the script again that ONNX Runtime is in, which bundlers join with scripts for pages.
 */
export async function createSession(
  model: Uint8Array,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  runtime ??= load().catch((error) => {
    runtime = undefined;
    throw error;
  });
  const ort = await runtime;
  if (typeof document !== 'undefined') ort.env.wasm.numThreads = 1;
  else if (options.intraOpNumThreads) ort.env.wasm.numThreads = options.intraOpNumThreads;
  return ort.InferenceSession.create(model, options);
}

/** There are no kernels for weights in blocks: they become float32 first, which takes 6 times as long as integers by row. */
export const FAST_BLOCKS: boolean = false;

/** Copies are made in any case: see runSession. */
export const UNREADABLE_RESULT: string | null = null;

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

export async function noWebGpu(): Promise<string | null> {
  return (await hasAdapter()) ? null : 'this browser offers no adapter';
}

export const WEBGPU_NEEDS = '';
