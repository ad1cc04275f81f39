import type { Draw } from './draw.ts';
import { haystack, type Needle } from './haystack.ts';
import { digits, passage } from './needles.ts';

/**
 * Variable tracking (after RULER, Hsieh et al. 2024, arXiv:2404.06654): chains of names that stand for one another, told
 * in order but far apart; what the last of a chain stands for takes as many look-ups as the chain has links.
 */

const CHAINS = 2;
const LINKS = 4;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

export const variableTracking: Draw = (random, length, encode) => {
  const names = new Set<string>();
  while (names.size < CHAINS * LINKS) {
    names.add(Array.from({ length: 3 }, () => LETTERS[random.below(LETTERS.length)]).join(''));
  }
  const all = [...names];
  const chains = Array.from({ length: CHAINS }, (_, i) => ({
    names: all.slice(i * LINKS, (i + 1) * LINKS),
    value: digits(random, 5),
  }));
  const needles = chains.flatMap((chain): Needle[] => {
    const depths = chain.names.map(() => random.uniform()).sort((a, b) => a - b);
    return chain.names.map((name, i) => {
      const value = i === 0 ? chain.value : chain.names[i - 1]!;
      return { text: ` Let ${name} be ${value}.`, depth: depths[i]! };
    });
  });
  const { names: chain, value } = random.pick(chains);
  const last = chain.at(-1)!;
  const question = `\n\nQuestion: Which number is ${last}?\nAnswer: The number ${last} is`;
  const answer = ` ${value}`;
  const head = 'Keep in mind what each name stands for.\n\n';
  const before = haystack('variable_tracking', random, length, encode, { head, needles, question, answer });
  return passage('variable_tracking', before, answer, `${chain.join(' ')} ${value}`);
};
