import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { Model } from '../../runtime/model.ts';
import { readRecipe } from '../../search/read-recipe.ts';
import { InputError } from '../../util/errors.ts';
import { resumingAction } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { outFolder } from '../options.ts';
import { type RunOptions, runFromRecipe, withRunning } from '../recipe-command.ts';
import { LEFTOVERS } from '../restart.ts';
import { runSummary } from '../run-summary.ts';
import { RESUMES } from './run.ts';

/** The recipe that the package ships for its embedded base model, which `postnas pretrain` made. */
const QUICK = fileURLToPath(new URL('../../../recipes/quick.json', import.meta.url));

const PROMPT = 'Story: Tom found the';

/** `postnas start`: the whole of PostNAS on the embedded model, in minutes. */
export function start(): Command {
  const command = new Command('start')
    .description('Do all stages of PostNAS on the embedded model, in minutes, and show the result.')
    .addOption(outFolder('runs/start'));
  withRunning(command).addHelpText(
    'after',
    `${RESUMES}\nExamples:\n  postnas start\n  postnas start --watch\n  postnas start --jobs 1 --out runs/alone`,
  );
  const folderOf = ({ out }: { out: string }) => out;
  return resumingAction<RunOptions>(
    command,
    LEFTOVERS.run,
    folderOf,
    async (common, options, _args, begin) => {
      if (!existsSync(QUICK)) throw new InputError(`${QUICK}: the recipe is missing`);
      const { out } = options;
      const recipe = readRecipe(QUICK);
      const source = { recipe, file: QUICK, command: commandLine('run', QUICK, { out }) };
      const result = await runFromRecipe(common, source, options, begin);
      if (!result) return;
      const { signal } = common;
      await using hybrid = await Model.fromPretrained(result.hybrid!, { signal });
      let text = PROMPT;
      for await (const token of hybrid.generate(PROMPT, { maxNewTokens: 48, signal })) text += token.text;
      common.result({ ...result, generated: text }, `${runSummary(result, out)}\nit writes: ${text}`);
    },
    { writes: ({ estimate }) => !estimate },
  );
}
