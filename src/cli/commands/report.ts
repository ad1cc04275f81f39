import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { readSearchResult } from '../../search/read-result.ts';
import { action } from '../command.ts';

/** `postnas report`: what a search found, as a page. */
export function reportCommand(): Command {
  const command = new Command('report')
    .description('make the page that shows what a search found')
    .argument('<result>', 'result.json of a search')
    .option('-o, --output <file>', 'where the page goes (report.html beside the result when not given)')
    .addHelpText(
      'after',
      '\nExamples:\n  postnas report runs/start/result.json\n  postnas report result.json -o /tmp/report.html',
    );
  return action<{ output?: string }>(command, async ({ result }, { output }, [path]) => {
    const page = output ?? join(dirname(path!), 'report.html');
    const found = readSearchResult(path!);
    // Charting is loaded when it is needed: it takes longer than all the rest.
    const { writeSearchReport } = await import('../../report/search-report.ts');
    writeSearchReport(page, found);
    result({ report: page }, `written to ${page}`);
  });
}
