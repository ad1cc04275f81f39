import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { Model } from '../../runtime/model.ts';
import { InputError } from '../../util/errors.ts';
import { action, wholeNumber } from '../command.ts';
import { runSummary } from '../run-summary.ts';
import { type WatchOptions, watchOptions } from '../watch.ts';
import { runFromRecipe } from './run.ts';

/** The recipe that the package ships for its embedded base model, which `postnas pretrain` made. */
const QUICK = fileURLToPath(new URL('../../../recipes/quick.json', import.meta.url));

const PROMPT = 'Story: Tom found the';

/** `postnas start`: the whole of PostNAS on the embedded model, in minutes. */
export function start(): Command {
  const command = new Command('start')
    .description('do all stages of PostNAS on the embedded model and show what comes out')
    .option('--out <folder>', 'where states, report and hybrid go', 'runs/start')
    .option('--jobs <n>', 'trainings side by side (as many as cores when not given)', wholeNumber)
    .addHelpText(
      'after',
      '\nExamples:\n  postnas start\n  postnas start --watch\n  postnas start --jobs 1 --out runs/alone',
    );
  for (const option of watchOptions()) command.addOption(option);
  return action<{ out: string; jobs?: number } & WatchOptions>(command, async (common, options) => {
    if (!existsSync(QUICK)) throw new InputError(`${QUICK}: the recipe is missing`);
    const { out } = options;
    const result = await runFromRecipe(common, QUICK, options);
    const { signal } = common;
    await using hybrid = await Model.fromPretrained(result.final!.runs[0]!.hybrid, { signal });
    let text = PROMPT;
    for await (const token of hybrid.generate(PROMPT, { maxNewTokens: 48, signal })) text += token.text;
    common.result({ ...result, generated: text }, `${runSummary(result, out)}\nit writes: ${text}`);
  });
}
