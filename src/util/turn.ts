/**
 * Lets the event loop turn, so that messages, timers and signals are seen in the midst of long work: in a browser,
 * ONNX Runtime's WebAssembly computes without ever waiting.
 */
export function turn(): Promise<void> {
  if (typeof setImmediate === 'function') return new Promise(setImmediate);
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
