import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { Model } from '../../runtime/model.ts';
import { InputError } from '../../util/errors.ts';
import { resumingAction } from '../command.ts';
import { jobsOption, outFolder } from '../options.ts';
import { LEFTOVERS } from '../restart.ts';
import { runSummary } from '../run-summary.ts';
import { type WatchOptions, watchOptions } from '../watch.ts';
import { RESUMES, runFromRecipe } from './run.ts';

/** The recipe that the package ships for its embedded base model, which `postnas pretrain` made. */
const QUICK = fileURLToPath(new URL('../../../recipes/quick.json', import.meta.url));

const PROMPT = 'Story: Tom found the';

type StartOptions = { out: string; jobs?: number } & WatchOptions;

/** `postnas start`: the whole of PostNAS on the embedded model, in minutes. */
export function start(): Command {
  const command = new Command('start')
    .description('Do all stages of PostNAS on the embedded model, in minutes, and show the result.')
    .addOption(outFolder('runs/start'))
    .addOption(jobsOption())
    .addHelpText(
      'after',
      `${RESUMES}\nExamples:\n  postnas start\n  postnas start --watch\n  postnas start --jobs 1 --out runs/alone`,
    );
  for (const option of watchOptions()) command.addOption(option);
  const folderOf = ({ out }: { out: string }) => out;
  return resumingAction<StartOptions>(
    command,
    LEFTOVERS.run,
    folderOf,
    async (common, options, _args, begin) => {
      if (!existsSync(QUICK)) throw new InputError(`${QUICK}: the recipe is missing`);
      const { out } = options;
      const result = await runFromRecipe(common, QUICK, options, begin);
      const { signal } = common;
      await using hybrid = await Model.fromPretrained(result.final!.runs[0]!.hybrid, { signal });
      let text = PROMPT;
      for await (const token of hybrid.generate(PROMPT, { maxNewTokens: 48, signal })) text += token.text;
      common.result({ ...result, generated: text }, `${runSummary(result, out)}\nit writes: ${text}`);
    },
  );
}
