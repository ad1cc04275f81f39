/** `npm run bench -- NAME [arguments]`. Each benchmark is a file beside this one that exports `main(arguments)`. */
const BENCHMARKS: Record<string, () => Promise<{ main(args: string[]): Promise<void> }>> = {
  align: () => import('./align.ts'),
  distill: () => import('./distill.ts'),
  eval: () => import('./eval.ts'),
  gpu: () => import('./gpu/main.ts'),
  graph: () => import('./graph.ts'),
  hostile: () => import('./hostile.ts'),
  peers: () => import('./peers.ts'),
  sampling: () => import('./sampling.ts'),
  searchers: () => import('./searchers.ts'),
  serve: () => import('./serve.ts'),
  starts: () => import('./starts.ts'),
  windows: () => import('./windows.ts'),
};

const [name = '', ...args] = process.argv.slice(2);
const load = BENCHMARKS[name];
if (!load) {
  console.error(
    `usage: npm run bench -- NAME [arguments]\nNAME is one of: ${Object.keys(BENCHMARKS).join(', ')}`,
  );
  process.exit(1);
}
await (await load()).main(args);
