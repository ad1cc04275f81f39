import { env, InferenceSession, listSupportedBackends, Tensor as Value } from 'onnxruntime-node';

/**
 * ONNX Runtime in Node.js. Bundlers for browsers put `onnxruntime.browser.ts` in this file's place: package.json says
 * so, in `browser`.
 */

export { type InferenceSession, Value };

export const ENGINE_VERSION = env.versions.node ?? 'unknown';

export function createSession(
  model: Uint8Array,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  return InferenceSession.create(model, options);
}

/** Products of few rows with weights in blocks of few bits read them as they are. */
export const FAST_BLOCKS: boolean = true;

/**
 * A result of models for the CPU that comes before all others and is no tensor. After a run onnxruntime-node copies every
 * result to a new array, also what was written to memory given for it; what it cannot copy ends that, and by then the run is
 * done. The copies of a hybrid's states are a fifth of a step, and garbage collections of 5 ms every seventh.
 */
export const UNREADABLE_RESULT: string | null = 'unreadable';
const UNREADABLE = 'Non tensor type is temporarily not supported';

/**
 * Runs a session; results for which there is a value in `fetches` are written to its memory.
 *
 * @param placed that is so for all of them, and they are not to be copied
 */
export async function runSession(
  session: InferenceSession,
  feeds: Readonly<Record<string, Value>>,
  fetches: Readonly<Record<string, Value | null>>,
  placed: boolean,
): Promise<Readonly<Record<string, unknown>>> {
  if (!placed) return session.run(feeds, fetches);
  try {
    return await session.run(feeds, { ...fetches, [UNREADABLE_RESULT!]: null });
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith(UNREADABLE))) throw error;
    return fetches;
  }
}

/** Why there is no WebGPU to be asked for; null where there may be. */
export async function noWebGpu(): Promise<string | null> {
  const offered = listSupportedBackends().map(({ name }) => name);
  if (offered.includes('webgpu')) return null;
  return (
    `onnxruntime-node for ${process.platform} ${process.arch} has no WebGPU provider, ` +
    `only ${offered.join(', ')}`
  );
}

/** What WebGPU needs here, for whoever lacks it. */
export const WEBGPU_NEEDS =
  process.platform === 'linux'
    ? ' Vulkan is needed: the loader (libvulkan.so.1) and a driver; VK_DRIVER_FILES may name one.'
    : '';
