import * as postnas from 'postnas';
import type { Task } from './library-worker.ts';

/** The library itself, for the tests: in the page, and in a worker. */

declare global {
  interface Window {
    postnas: typeof postnas;
    /** Runs a function of the library and of plain data, given by its source, in a worker. */
    inWorker(task: Task): Promise<unknown>;
  }
}

window.postnas = postnas;
window.inWorker = (task) => {
  const worker = new Worker(new URL('./library-worker.ts', import.meta.url), { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(task);
  }).finally(() => worker.terminate());
};
