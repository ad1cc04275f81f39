/**
 * Changed files for every reader:
 *
 *   npm run fuzz -- [READER...] [--runs 10000] [--seed N]
 *
 * A find is written to .cache/fuzz, with the seed that makes it again.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.ts';
import { readers } from './readers.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '10000' }, seed: { type: 'string' } },
});
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
const all = await readers();
const unknown = positionals.find((name) => !all.some((reader) => reader.name === name));
if (unknown !== undefined) {
  console.error(`no reader '${unknown}', expected one of: ${all.map(({ name }) => name).join(', ')}`);
  process.exit(1);
}
let finds = 0;
for (const reader of all) {
  if (positionals.length > 0 && !positionals.includes(reader.name)) {
    await reader.dispose?.();
    continue;
  }
  const begun = performance.now();
  const { runs, accepted, refused, find } = await fuzz(reader, Number(values.runs), seed);
  const seconds = ((performance.now() - begun) / 1000).toFixed(0);
  console.log(`${reader.name}: ${runs} files, ${accepted} accepted, ${refused} refused, ${seconds} s`);
  if (!find) continue;
  finds++;
  const folder = '.cache/fuzz';
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${reader.name.replaceAll(/[^\w.]/g, '-')}-${seed}`);
  writeFileSync(file, find.file);
  console.log(`  FOUND with --seed ${seed}: ${file}\n  ${find.what.replaceAll('\n', '\n  ')}`);
}
process.exit(finds > 0 ? 1 : 0);
