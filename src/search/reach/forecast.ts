import type { ModelConfig } from '../../model/config.ts';
import { leftOf, MANY } from './eliminate.ts';
import type { Example } from './examples.ts';
import { tailTokens } from './reach-judge.ts';
import { LONGEST_FULL } from './scores.ts';

/** How long a search will take, from what it is going to read. */

interface Ahead {
  config: ModelConfig;
  searched: readonly Example[];
  reported: readonly Example[];
  windows: readonly number[];
  fromFull: boolean;
  /** Heads of the smallest placement that is wanted. */
  fewest: number;
  /** Budgets, and placements that are judged at the end. */
  budgets: number;
  placements: number;
}

/** Exchanges of a budget, as they went in the searches of docs/LOG.md: readings, rounds between two, placements judged in a round. */
const [READINGS, ROUNDS, JUDGED] = [1.5, 2, 60];

/** Tokens through all layers that the stages of a search take, about. */
export function tokensAhead(
  ahead: Ahead,
): Record<'scores' | 'elimination' | 'exchanges' | 'judgement', number> {
  const { config, searched, reported, windows, fromFull, fewest, budgets, placements } = ahead;
  const [layers, heads] = [config.layers.length, config.layers.length * config.numKvHeads];
  const read = (examples: readonly Example[]) => sum(examples.map(({ prefix }) => prefix.length));
  const followed = (examples: readonly Example[], count: number) =>
    sum(examples.map((example) => tailTokens(example, count)));
  const whole = (examples: readonly Example[]) => read(examples) + followed(examples, 1);
  const short = searched.filter(({ prefix, distances }) => !distances || prefix.length <= LONGEST_FULL);
  let elimination = 0;
  for (let left = heads; fromFull && left > Math.max(1, fewest); left = leftOf(left, fewest)) {
    const texts = left > MANY * heads ? short : searched;
    elimination += read(texts) + followed(texts, left);
  }
  return {
    elimination,
    scores:
      followed(searched, 1 + heads + windows.length * layers) +
      (fromFull ? read(short) + followed(short, 1 + heads) : 0),
    exchanges: budgets * READINGS * (whole(searched) + ROUNDS * followed(searched, JUDGED)),
    judgement: placements * whole(reported),
  };
}

/** 'about 12 minutes: scores 3, exchanges 7, judgement 2' */
export function shownForecast(ahead: Ahead, tokensPerSecond: number): string {
  const stages = Object.entries(tokensAhead(ahead)).map(([name, tokens]) => ({
    name,
    seconds: tokens / tokensPerSecond,
  }));
  const total = sum(stages.map(({ seconds }) => seconds));
  const [unit, size] = total < 90 ? ['seconds', 1] : total < 5400 ? ['minutes', 60] : ['hours', 3600];
  const shown = (seconds: number) => Number((seconds / size).toPrecision(seconds / size < 10 ? 1 : 2));
  return `the search takes about ${shown(total)} ${unit} on this machine: ${stages.map(({ name, seconds }) => `${name} ${shown(seconds)}`).join(', ')}`;
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
