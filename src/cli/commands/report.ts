import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { readResult } from '../../search/read-result.ts';
import type { Result } from '../../search/result.ts';
import { InputError } from '../../util/errors.ts';
import { action } from '../command.ts';
import { addWithAliases, otherwise, outFile } from '../options.ts';
import { fileOrFolderToRead } from '../paths.ts';

type Found = ReturnType<typeof readResult>;

/** `postnas report`: what a search, a comparison of blocks or of models, a conversion, a whole run or a bench found, as a page. */
export function reportCommand(): Command {
  const command = new Command('report')
    .description(
      'Make the page that shows what a search, a comparison, a conversion, a whole run or a bench found.',
    )
    .argument(
      '<results...>',
      'result.json, or the folder that has it; several results of bench go on one page',
      fileOrFolderToRead('<results>', 'a result.json, or the folder that has it'),
    );
  addWithAliases(command, otherwise(outFile(), 'report.html beside the result'), '--output').addHelpText(
    'after',
    '\nExamples:\n  postnas report runs/start\n  postnas report runs/search/result.json --out search.html\n' +
      '  postnas report hybrid.json base.json --out bench.html',
  );
  return action<{ out?: string }>(command, async ({ result }, { out }, given) => {
    const paths = given.map((path) =>
      statSync(path, { throwIfNoEntry: false })?.isDirectory() ? join(path, 'result.json') : path,
    );
    const page = out ?? join(dirname(paths[0]!), 'report.html');
    await write(page, paths.map(readResult));
    result({ report: page }, `written to ${page}`);
  });
}

/** Charting is loaded when it is needed: it takes longer than all the rest. */
async function write(page: string, all: readonly Found[]): Promise<void> {
  const benches = all.flatMap((found) => (found.format === 'postnas-bench-1' ? found : []));
  if (benches.length === all.length) {
    return (await import('../../report/bench-report.ts')).writeBenchReport(page, benches);
  }
  const [found, ...others] = all as [Found, ...Found[]];
  if (others.length > 0) {
    throw new InputError(
      `${all.length} results given, of ${all.map(({ format }) => format).join(', ')}: only results of postnas bench go ` +
        'on one page together',
    );
  }
  if (found.format === 'postnas-compare-1') {
    return (await import('../../report/compare/report.ts')).writeCompareReport(page, found);
  }
  if (found.format === 'postnas-convert-1') {
    return (await import('../../report/reach/report.ts')).writeConversionReport(page, found);
  }
  const { writeReport } = await import('../../report/report.ts');
  writeReport(page, found as Result);
}
