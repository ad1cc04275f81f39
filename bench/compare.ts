/** Side-by-side timing: variants take turns, so that whatever else the machine does falls on all of them. */
export interface Variant {
  name: string;
  run(): Promise<unknown>;
}

export interface Timing {
  name: string;
  /** Milliseconds of a run. The best is what a machine without other work would show. */
  median: number;
  best: number;
  /** Processor time of a run, over all threads: steady on a busy machine, but it counts waiting by spinning. */
  cpu: number;
}

/** Runs each variant once to warm up and then in turns, for about `seconds`; prints the ratios to the first. */
export async function compare(title: string, variants: readonly Variant[], seconds = 3): Promise<Timing[]> {
  for (const { run } of variants) await run();
  const times = variants.map((): number[] => []);
  const cpu = variants.map(() => 0);
  const end = performance.now() + seconds * 1000;
  for (let round = 0; round < 9 || performance.now() < end; round++) {
    for (const [i, { run }] of variants.entries()) {
      const used = process.cpuUsage();
      const start = performance.now();
      await run();
      times[i]!.push(performance.now() - start);
      const { user, system } = process.cpuUsage(used);
      cpu[i]! += user + system;
    }
  }
  const rounds = times[0]!.length;
  const timings = times.map((list, i) => {
    list.sort((a, b) => a - b);
    return {
      name: variants[i]!.name,
      median: list[rounds >> 1]!,
      best: list[0]!,
      cpu: cpu[i]! / rounds / 1000,
    };
  });
  console.log(`\n${title} (${rounds} rounds; milliseconds, ratios to the first)`);
  for (const timing of timings) {
    const column = (key: 'best' | 'median' | 'cpu') =>
      `${key} ${timing[key].toFixed(3).padStart(8)} x${(timing[key] / timings[0]![key]).toFixed(2)}`;
    console.log(`  ${timing.name.padEnd(42)} ${column('best')}  ${column('median')}  ${column('cpu')}`);
  }
  return timings;
}
