import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { Model } from '../../runtime/model.ts';
import { InputError } from '../../util/errors.ts';
import { action, wholeNumber } from '../command.ts';
import { WORLD_OBJECTIVES } from '../data-options.ts';
import { runSearch, type SearchOptions, summary } from './search.ts';

/** The base model that the package ships; `postnas pretrain` made it. */
const BASE = fileURLToPath(new URL('../../../models/base', import.meta.url));

const PROMPT = 'Story: Tom found the';

/** `postnas start`: the whole of stage 1 on the embedded model, in minutes. */
export function start(): Command {
  const command = new Command('start')
    .description('search the placement of full attention on the embedded model and show what comes out')
    .option('--out <folder>', 'where states, report and hybrid go', 'runs/start')
    .option('--seeds <n>', 'how often the whole search is repeated', wholeNumber, 1)
    .addHelpText('after', '\nExamples:\n  postnas start\n  postnas start --seeds 3 --out runs/three');
  return action<{ out: string; seeds: number }>(command, async (common, { out, seeds }) => {
    if (!existsSync(join(BASE, 'config.json')))
      throw new InputError(`${BASE}: the embedded model is missing`);
    const options: SearchOptions = { ...QUICK, out, seeds };
    const result = await runSearch(common, BASE, options);
    await using hybrid = await Model.fromPretrained(join(out, 'seed-1', 'hybrid'), { signal: common.signal });
    let text = PROMPT;
    for await (const token of hybrid.generate(PROMPT, { maxNewTokens: 48, signal: common.signal })) {
      text += token.text;
    }
    common.result({ ...result, generated: text }, `${summary(result, out)}\nit writes: ${text}`);
  });
}

/** What fits into some minutes on two cores. */
const QUICK: Omit<SearchOptions, 'out' | 'seeds'> = {
  mixer: 'gated_deltanet',
  budget: 2,
  data: 'world',
  objective: WORLD_OBJECTIVES,
  examples: 96,
  alignSteps: 100,
  supernetSteps: 200,
  finishSteps: 0,
  rows: 8,
  length: 256,
  rate: '2e-3',
  sampling: 'budget',
  beam: 3,
  random: 4,
  exhaustive: true,
};
