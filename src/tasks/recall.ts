/**
 * Key-value recall: a list of pairs, then questions for their keys, in several surface forms. It is multi-query
 * associative recall (Arora et al. 2023, arXiv:2312.04927) in words: keys and values are bound afresh in every
 * passage, so only the text at hand can answer, and a state of fixed size forgets when the pairs are many.
 *
 *     List: kato = lamp; mibu = fig; sode = hill; Ask: sode = hill; kato = lamp;
 */
import type { Random } from '../util/random.ts';
import { drawSide } from './held-out.ts';
import { keys, values } from './lexicon.ts';
import type { Part, Passage } from './passage.ts';

interface Form {
  opening: string;
  pair(key: string, value: string): string;
  asking: string;
  /** Up to where the value is to follow. */
  question(key: string): string;
  after: string;
  /** What a pair and an answered question take. */
  pairTokens: number;
  questionTokens: number;
  /** How often training uses the form, of 10: the terse ones have more answers to a token. */
  share: number;
}

const forms: Form[] = [
  {
    opening: 'Table:',
    pair: (key, value) => ` ${key} ${value},`,
    asking: ' Ask:',
    question: (key) => ` ${key}`,
    after: ',',
    pairTokens: 3,
    questionTokens: 3,
    share: 3,
  },
  {
    opening: 'List:',
    pair: (key, value) => ` ${key} = ${value};`,
    asking: ' Ask:',
    question: (key) => ` ${key} =`,
    after: ';',
    pairTokens: 4,
    questionTokens: 4,
    share: 3,
  },
  {
    opening: 'Notes:',
    pair: (key, value) => ` The ${key} holds the ${value}.`,
    asking: '',
    question: (key) => ` What does the ${key} hold? The`,
    after: '.',
    pairTokens: 7,
    questionTokens: 9,
    share: 2,
  },
];

const formsByShare = forms.flatMap((form) => Array.from({ length: form.share }, () => form));

const mostPairs = 28;
const questionsAsked = 8;

/** The longest list whose keys can all be asked for once. */
const mostIn = (form: Form, room: number) =>
  Math.min(mostPairs, Math.floor((room - 5) / (form.pairTokens + form.questionTokens)));

/**
 * A training passage has 2 to 28 pairs, as many short lists as long ones, and asks for all keys again and again
 * until its room is used: what is asked must outweigh what cannot be foreseen, and short lists are where the
 * ability begins. One in four asks in the order of the list, which makes the keys foreseeable too. Evaluation asks
 * for eight keys of a list of 8 to 28 pairs (13 in sentences).
 */
export function recall(random: Random, heldOut: boolean, room: number): Passage {
  const form = random.pick((heldOut ? forms : formsByShare).filter((each) => mostIn(each, room) >= 2));
  const most = mostIn(form, room);
  const least = heldOut ? questionsAsked : 2;
  const count = heldOut
    ? least + random.below(most - least + 1)
    : Math.floor(least * ((most + 1) / least) ** random.uniform());
  const pairs = drawSide(
    heldOut,
    () => {
      const chosen = random.shuffled(values);
      return random
        .shuffled(keys)
        .slice(0, count)
        .map((key, i): [string, string] => [key, chosen[i]!]);
    },
    contentOf,
  );
  const ordered = !heldOut && random.below(4) === 0;
  const left = heldOut
    ? questionsAsked
    : Math.floor((room - 5 - count * form.pairTokens) / form.questionTokens);
  const asked: [string, string][] = [];
  while (asked.length < left) asked.push(...(ordered ? pairs : random.shuffled(pairs)));
  let before = form.opening + pairs.map((pair) => form.pair(...pair)).join('') + form.asking;
  const parts = asked.slice(0, left).map(([key, value]): Part => {
    const part = { before: before + form.question(key), answer: ` ${value}` };
    before = form.after;
    return part;
  });
  return { parts, after: form.after, contents: [contentOf(pairs)] };
}

const contentOf = (pairs: [string, string][]) => `recall ${pairs.join(' ')}`;
