import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { readResult } from '../../search/read-result.ts';
import { action } from '../command.ts';

/** `postnas report`: what a search, a comparison of blocks or a whole run found, as a page. */
export function reportCommand(): Command {
  const command = new Command('report')
    .description('make the page that shows what a search, a comparison of blocks or a whole run found')
    .argument('<result>', 'result.json, or the folder that holds it')
    .option('-o, --output <file>', 'where the page goes (report.html beside the result when not given)')
    .addHelpText(
      'after',
      '\nExamples:\n  postnas report runs/start\n  postnas report result.json -o /tmp/report.html',
    );
  return action<{ output?: string }>(command, async ({ result }, { output }, [given]) => {
    const folder = statSync(given!, { throwIfNoEntry: false })?.isDirectory();
    const path = folder ? join(given!, 'result.json') : given!;
    const page = output ?? join(dirname(path), 'report.html');
    await write(page, readResult(path));
    result({ report: page }, `written to ${page}`);
  });
}

/** Charting is loaded when it is needed: it takes longer than all the rest. */
async function write(page: string, found: ReturnType<typeof readResult>): Promise<void> {
  switch (found.format) {
    case 'postnas-search-1':
      return (await import('../../report/search-report.ts')).writeSearchReport(page, found);
    case 'postnas-blocks-1':
      return (await import('../../report/blocks-report.ts')).writeBlocksReport(page, found);
    case 'postnas-run-1':
      return (await import('../../report/run-report.ts')).writeRunReport(page, found);
  }
}
