/**
 * Multiple choice over memorised facts, answered by the option's letter as in MMLU: the fact has to be remembered,
 * found among the options, and the letter behind it named. In front of the options letters were not learnt within
 * the budget, a step back being a circuit of its own (docs/LOG.md).
 *
 *     What is the food of Kelven? fig A, plum B, rice C, bean D. Answer: C.
 */
import type { Random } from '../util/random.ts';
import { type Fact, facts } from './facts.ts';
import { drawFresh } from './held-out.ts';
import { NOTHING_TAKEN, type Passage } from './passage.ts';

/** What can be chosen among, an attribute each. */
const ranges = [...new Set(facts.map((fact) => fact.range))];

const letters = ['A', 'B', 'C', 'D'];
const letterOptions = letters.map((letter) => ` ${letter}`);

interface Asked {
  fact: Fact;
  options: string[];
}

const contentOf = ({ fact, options }: Asked) => `choice ${fact.hero} ${fact.attribute} ${options.join(' ')}`;

/** What has to be known: of whom what, and behind which letter it stands; the other options do not matter. */
const asksOf = ({ fact, options }: Asked) =>
  `choice ${fact.hero} ${fact.attribute} ${letters[options.indexOf(fact.value)]}`;

/** Undefined where everything that could be asked about the fact is taken. */
function ask(
  random: Random,
  fact: Fact,
  heldOut: boolean,
  used: ReadonlySet<string>,
  taken: ReadonlySet<string>,
): Asked | undefined {
  const wrong = fact.range.filter((value) => value !== fact.value && !used.has(value));
  return drawFresh(
    heldOut,
    () => ({ fact, options: random.shuffled([fact.value, ...random.shuffled(wrong).slice(0, 3)]) }),
    contentOf,
    (asked) => !taken.has(contentOf(asked)) && !taken.has(asksOf(asked)),
  );
}

function statement(random: Random, { hero, attribute, value }: Fact): string {
  switch (random.below(3)) {
    case 0:
      return ` The ${attribute} of ${hero} is ${value}.`;
    case 1:
      return ` ${hero} has the ${attribute} ${value}.`;
    default:
      return ` As ${attribute} ${hero} chose ${value}.`;
  }
}

function question(random: Random, { hero, attribute }: Fact): string {
  return random.below(2) ? ` What is the ${attribute} of ${hero}?` : ` Which ${attribute} has ${hero}?`;
}

const listed = (options: string[]) => ` ${options.map((option, i) => `${option} ${letters[i]}`).join(', ')}.`;

/**
 * Evaluation passages hold nothing but questions. Half of a training passage are the rungs towards them: facts told,
 * questions answered in a word, and questions answered by the word with its letter behind. No word stands in a
 * passage twice but as its own answer: a question is never answered by the text before it, and an option is found in
 * one place only (with options repeated under other letters the letters were not learnt).
 */
export function choice(
  random: Random,
  heldOut: boolean,
  room: number,
  taken: ReadonlySet<string> = NOTHING_TAKEN,
): Passage {
  const passage: Passage = { parts: [], after: '', contents: [] };
  let before = 'Facts.';
  const used = new Set<string>();
  const exhausted = new Set<Fact>();
  for (let left = room - 24; left > 0; ) {
    const enoughLeft = new Set(
      ranges.filter((range) => range.filter((value) => !used.has(value)).length >= 6),
    );
    const fitting = facts.filter(
      (fact) => !used.has(fact.value) && enoughLeft.has(fact.range) && !exhausted.has(fact),
    );
    if (fitting.length === 0) break;
    const fact = random.pick(fitting);
    const rung = heldOut ? 9 : random.below(10);
    if (rung < 2) {
      before += statement(random, fact);
      used.add(fact.value);
      left -= 9;
      continue;
    }
    const asking = question(random, fact);
    if (rung === 2) {
      before += `${asking} In a word: ${fact.value}.`;
      used.add(fact.value);
      left -= 13;
      continue;
    }
    const asked = ask(random, fact, heldOut, used, taken);
    if (!asked) {
      exhausted.add(fact);
      continue;
    }
    for (const option of asked.options) used.add(option);
    passage.contents.push(contentOf(asked));
    const letter = letterOptions[asked.options.indexOf(fact.value)]!;
    before += asking + listed(asked.options);
    left -= 23;
    if (rung < 5) {
      before += ` In a word: ${fact.value},${letter}.`;
      left -= 4;
      continue;
    }
    passage.parts.push({
      before: `${before} Answer:`,
      answer: letter,
      options: letterOptions,
      asks: asksOf(asked),
    });
    before = '.';
  }
  passage.after = before;
  return passage;
}
