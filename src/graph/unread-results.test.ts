import { expect, test, vi } from 'vitest';

const runtime = vi.hoisted(() => ({ message: '' }));
vi.mock(import('./onnxruntime.ts'), async (original) => {
  const actual = await original();
  return {
    ...actual,
    runSession: (session, feeds, fetches, placed) => {
      if (placed && runtime.message) return Promise.reject(new Error(runtime.message));
      return actual.runSession(session, feeds, fetches, placed);
    },
  };
});

async function fresh() {
  vi.resetModules();
  return { ...(await import('./index.ts')), ...(await import('./unread-results.ts')) };
}

/** A program with so much to bring to JavaScript that it would rather not. */
async function sum({ Program, add, input, float32 }: Awaited<ReturnType<typeof fresh>>) {
  const size = 1 << 20;
  await using program = await Program.compile({ y: add(input('x', 'float32', [size]), 1) });
  const x = float32(new Float32Array(size).fill(2), [size]);
  const { y } = await program.run({ x });
  return [y!.data[0], y!.data[size - 1]];
}

test('the installed onnxruntime-node leaves results where they are written', async () => {
  const graph = await fresh();
  expect(await graph.resultsStayUnread()).toBe(true);
  expect(await sum(graph)).toEqual([3, 3]);
});

test('one that ends such a run otherwise computes the same, with copies', async () => {
  runtime.message = 'something else';
  const graph = await fresh();
  expect(await graph.resultsStayUnread()).toBe(false);
  expect(await sum(graph)).toEqual([3, 3]);
  runtime.message = '';
});
