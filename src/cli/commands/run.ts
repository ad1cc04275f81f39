import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { readRecipe } from '../../search/read-recipe.ts';
import { prepareRun } from '../../search/run/prepare.ts';
import { STAGES, type StageName, stagesOf } from '../../search/run/stage.ts';
import { runUnit } from '../../search/run.ts';
import { writeFileAtomic } from '../../util/files.ts';
import { resumingAction } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { deviceOption, otherwise, outFolder, threadsOption } from '../options.ts';
import { fileToRead } from '../paths.ts';
import { type RunOptions, removedFrom, runFromRecipe, withRunning } from '../recipe-command.ts';
import { leftoversOf, leftoversOfStages } from '../restart.ts';
import { runSummary } from '../run-summary.ts';
import { asWorker } from '../workers.ts';

type Options = Omit<RunOptions, 'out'> & { out?: string; unit?: string; restartFrom?: StageName[] };

/** `postnas run`: all stages of PostNAS and the final training, from one recipe. */
export function run(): Command {
  const command = new Command('run')
    .description('Do the stages of PostNAS that a recipe names, and write the hybrid and a report.')
    .argument(
      '<recipe>',
      'a JSON file, such as those in recipes/',
      fileToRead('<recipe>', 'a recipe in JSON'),
    )
    .addOption(otherwise(outFolder(), 'runs/ and the name of the recipe'))
    .addOption(threadsOption())
    .addOption(otherwise(deviceOption(), "the recipe's"))
    .addOption(
      new Option(
        '--restart-from <stages>',
        'remove the work of a stage (or several: blocks,mlps) and of those that use it, and keep all else',
      )
        .argParser(stageNames)
        .conflicts(['restart', 'estimate']),
    )
    .addOption(
      new Option(
        '--unit <id>',
        'do one part of the run, such as blocks/seed-1/gla; the stages before it must be done',
      ).conflicts(['restart', 'restartFrom']),
    );
  withRunning(command).addHelpText(
    'after',
    `${RESUMES}\nExamples:\n  postnas run recipes/quick.json\n  postnas run recipes/nano.json --jobs 2 --out runs/nano\n` +
      '  postnas run recipes/nano.json --watch\n' +
      '  postnas run recipes/nano.json --estimate',
  );
  const folderOf = ({ out }: Options, [recipe = '']: string[]) =>
    out ?? join('runs', recipe.replace(/^.*[\\/]|\.json$/g, ''));
  return resumingAction<Options>(
    command,
    (_, [file = '']) => leftoversOf(readRecipe(file)),
    folderOf,
    async (common, options, args, begin) => {
      const [file = ''] = args;
      const out = folderOf(options, args);
      const recipe = readRecipe(file);
      const { unit, threads, device } = options;
      const line = commandLine('run', file, { out, threads, device });
      if (unit) {
        await asWorker(common, async (onProgress) => {
          const { signal } = common;
          const how = { out, threads, device, command: line, onProgress, signal };
          await runUnit(await prepareRun(recipe, how), unit);
        });
        return;
      }
      const text = readFileSync(file, 'utf8');
      const result = await runFromRecipe(common, { recipe, file, command: line }, { ...options, out }, () => {
        begin();
        // The recipe may be the one in the folder: it is no part of what was done.
        if (!existsSync(file)) writeFileAtomic(file, text);
      });
      if (result) common.result(result, runSummary(result, out));
    },
    {
      // The folder of a unit is its parent's.
      writes: ({ unit, estimate }) => unit === undefined && !estimate,
      restarted: ({ restartFrom }, [file = '']) => {
        if (!restartFrom) return undefined;
        const recipe = readRecipe(file);
        // A run of one stage has its files at the top.
        if (stagesOf(recipe).length === 1) return leftoversOf(recipe);
        return leftoversOfStages(removedFrom(recipe, restartFrom));
      },
    },
  );
}

/** 'blocks,mlps' */
function stageNames(text: string): StageName[] {
  return text.split(',').map((given) => {
    const name = STAGES.find((each) => each === given.trim());
    if (name) return name;
    throw new InvalidArgumentError(`Expected stages, of ${STAGES.join(', ')}.`);
  });
}

/** How a run goes on, for the help. */
export const RESUMES =
  '\nA run that is stopped by Ctrl-C or killed goes on when the same command is run again, and ends with the same result.\n';
