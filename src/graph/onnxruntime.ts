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

/** Runs a session; results for which there is a value in `fetches` are written to its memory. */
export function runSession(
  session: InferenceSession,
  feeds: Readonly<Record<string, Value>>,
  fetches: Readonly<Record<string, Value | null>>,
): Promise<InferenceSession.ReturnType> {
  return session.run(feeds, fetches);
}

/** Why there is no WebGPU to be asked for; null where there may be. */
export function noWebGpu(): string | null {
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
