/** A worker whose parent is gone. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** A worker with work that never ends; it says when it has begun. */
const worker = (before: string) => `
  ${before}
  const { asWorker } = await import(${JSON.stringify(join(import.meta.dirname, 'workers.ts'))});
  await asWorker({}, () => { console.log('begun'); return new Promise((end) => setTimeout(end, 1e6)); });
`;

function start(before = '') {
  const args = ['--import', 'tsx', '--input-type=module', '-e', worker(before)];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
}

test('stops as by Ctrl-C', async () => {
  const child = start("process.on('SIGINT', () => process.exit(7));");
  await once(child.stdout!, 'data');
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([7, null]);
});

test('stops when the parent was gone before the work began', async () => {
  const gone = 'while (process.connected) await new Promise((next) => setTimeout(next, 10));';
  const child = start(`process.on('SIGINT', () => process.exit(7));${gone}`);
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([7, null]);
});

test('ends when it does not stop in five seconds', async () => {
  const child = start("process.on('SIGINT', () => {});");
  await once(child.stdout!, 'data');
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([130, null]);
});
