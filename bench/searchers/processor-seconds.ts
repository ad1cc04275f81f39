/** What a computation gives, and the processor time of it: on a machine with other work the clock says little. */
export async function processorSeconds<T>(compute: () => Promise<T>): Promise<[result: T, seconds: number]> {
  const begun = process.cpuUsage();
  const result = await compute();
  const { user, system } = process.cpuUsage(begun);
  return [result, (user + system) / 1e6];
}
