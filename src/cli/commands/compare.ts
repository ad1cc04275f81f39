import { join } from 'node:path';
import { Argument, Command, Option } from 'commander';
import { WEIGHT_DTYPES } from '../../model/quantized-tensors.ts';
import { type Card, writeCards } from '../../search/compare/card.ts';
import { compare } from '../../search/compare/compare.ts';
import { COMPARED, type CompareOptions } from '../../search/compare/options.ts';
import { action } from '../command.ts';
import { commandLine, settingsOf } from '../command-line.ts';
import { compareSummary } from '../compare-summary.ts';
import { withTasks } from '../data-options.ts';
import {
  Alias,
  addWithAliases,
  dtypeOption,
  modelArgument,
  otherwise,
  outFolder,
  placementOption,
  threadsOption,
} from '../options.ts';
import { tokenCount, wholeNumber } from '../parsers.ts';

type Settings = Omit<CompareOptions, 'parent' | 'hybrids' | 'placements' | 'tasks' | 'command'>;
type Options = Settings & { placement?: string; task?: string[]; card: boolean; seeds?: never };

/** `postnas compare`: what a hybrid keeps of its parent, what it lost, and what it costs. */
export function compareCommand(): Command {
  const command = new Command('compare')
    .description(
      'Compare hybrids with their parent, and with the parent cut to windows of as many bytes: text by position, recall ' +
        'by distance, tasks, answers, memory and speed, with a verdict.',
    )
    .addArgument(modelArgument('parent'))
    .addArgument(new Argument('[hybrids...]', 'model folders, or names on the Hugging Face Hub: org/model'))
    .addOption(placementOption())
    .addOption(outFolder('runs/compare'));
  const context = new Option('--context <n>', 'tokens of the sequence').argParser(tokenCount);
  command.addOption(otherwise(context, `the parent's, at most ${COMPARED.context}`));
  addWithAliases(
    command,
    new Option('--held-out-rows <n>', 'rows of the held-out text, spread over it')
      .argParser(wholeNumber)
      .default(COMPARED.heldOutRows),
    '--rows',
  );
  withTasks(command, 'what needs the whole context', COMPARED.examples);
  alias(command, '--data', '--held-out');
  alias(command, '--tasks', '--task');
  command
    .option(
      '--recall-texts <n>',
      'texts of each length, and for needles of each depth, that recall is judged on',
      wholeNumber,
      COMPARED.recallTexts,
    )
    .option('--answers <n>', 'answers that each model writes', wholeNumber, COMPARED.answers)
    .option('--no-speed', 'do not measure speed')
    .option('--no-card', "leave the hybrids' README.md as they are")
    .addOption(otherwise(dtypeOption(WEIGHT_DTYPES), 'as they are stored'))
    .addOption(threadsOption())
    .addHelpText(
      'after',
      '\nThe folder of --out gets report.html, result.json and what was measured: the same command goes on from there, and ' +
        'with another hybrid the parent is not measured again. Models other than those of the generated world need a text ' +
        'by --held-out that they were not trained on. Beside generated tasks such as needle@4096 there are those of postnas ' +
        'eval. --placement compares the parent under a placement, or under several with commas between. A hybrid that is a folder gets the figures into its README.md, between two marks; the rest of the file stays.\n' +
        '\nExamples:\n  postnas compare models/base models/hybrid --no-card\n' +
        '  postnas compare ./smollm2 --placement 64K-100MB,64K-50MB --held-out novels.txt\n' +
        '  postnas compare ./smollm2 ./windows ./hybrid --context 4K --held-out novels.txt\n' +
        '  postnas compare org/parent ./hybrid --held-out novels.txt --task needle_keys@8192 mqar@2048:accuracy:32 --out runs/c',
    );
  return action<Options>(
    command,
    async ({ progress, signal, result }, { card, ...options }, [parent = '', ...hybrids]) => {
      const { out, speed, ...others } = options;
      const repeated = commandLine('compare', [parent, ...hybrids], { out, ...others });
      const { placement, ...settings } = settingsOf(options);
      const placements = placement?.split(',').filter(Boolean);
      const found = await compare({
        ...settings,
        ...{
          parent,
          hybrids,
          placements,
          out,
          threads: options.threads,
          signal,
          onProgress: progress.report,
        },
        command: speed ? repeated : `${repeated} --no-speed`,
      });
      // Charting is loaded when it is needed: that takes a second.
      const { writeCompareReport } = await import('../../report/compare/report.ts');
      const page = join(out, 'report.html');
      writeCompareReport(page, found);
      const cards: Card[] = card ? writeCards(found, { parent, hybrids }) : [];
      const written = [page, join(out, 'result.json'), ...cards.map(({ path }) => path)];
      result(found, `${compareSummary(found)}\n\nwritten: ${written.join(', ')}`);
    },
    { end: 'stopped; what was measured is kept: run the same command again to go on' },
  );
}

/** Another spelling of an option that the command has. */
function alias(command: Command, flag: string, of: string): void {
  command.addOption(new Alias(flag, command.options.find(({ long }) => long === of)!));
}
