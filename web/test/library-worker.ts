import * as postnas from 'postnas';

export interface Task {
  /** Of a function. */
  source: string;
  data: unknown;
}

addEventListener('message', async ({ data: { source, data } }: MessageEvent<Task>) => {
  const run = new Function(`return ${source}`)() as (
    library: typeof postnas,
    data: unknown,
  ) => Promise<unknown>;
  postMessage(await run(postnas, data));
});
