import { haystack } from '../../tasks/generated/haystack.ts';
import { digits, things } from '../../tasks/generated/needles.ts';
import { colors, nouns } from '../../tasks/generated/words.ts';
import { planText, type TextHalf } from '../../tasks/held-out-text.ts';
import { keys, values } from '../../tasks/lexicon.ts';
import type { Encode } from '../../tasks/task.ts';
import type { TextSource } from '../../train/batches.ts';
import { InputError } from '../../util/errors.ts';
import { Random } from '../../util/random.ts';
import type { Tail } from './tail-answers.ts';

/**
 * What placements are judged by: texts that are read once, and what follows them, which is judged. A text tells several secrets
 * at distances that double, and each is asked for behind it; rows of a user's text are judged by their last tokens.
 */

export interface Example {
  /** The text, which all tails follow. */
  prefix: readonly number[];
  tails: readonly Tail[];
  /** Of each tail, tokens between what was told and the answer; none for a user's text. */
  distances?: readonly number[];
  /** Of each tail, what is asked for. Kinds count alike, however many nats a wrong answer of one costs. */
  kinds?: readonly SecretKind[];
}

/** How secrets are told and asked for. No task of `postnas eval` words it so: those are unseen too. */
interface Family {
  name: string;
  head: string;
  names(random: Random, count: number): string[];
  /** What is secret of the i-th name: a sentence that tells it, and what it follows when it is asked for. */
  secret(random: Random, name: string, i: number): Secret;
}

type SecretKind = 'number' | 'word';

interface Secret {
  kind: SecretKind;
  told: string;
  question: string;
  answer: string;
}

/** Numbers and words in turn, by the name of a thing: heads that find numbers again need not find words. */
function english(family: {
  name: string;
  head: string;
  /** What is told of a thing: a number of so many digits, and one of these words. */
  number: { what: string; digits: number; unit: string };
  word: { what: string; words: readonly string[] };
  /** What comes between a story and its answer, before the sentence is begun again. */
  ask(what: string, name: string): string;
}): Family {
  const { number, word, ask } = family;
  return {
    ...{ name: family.name, head: family.head, names: things },
    secret: (random, name, i) => {
      const kind = i % 2 === 0 ? 'number' : 'word';
      const [what, value, unit] =
        kind === 'number'
          ? [number.what, digits(random, number.digits), number.unit]
          : [word.what, random.pick(word.words), ''];
      const sentence = ` The ${what} of the ${name} is`;
      return {
        ...{ kind, told: `${sentence} ${value}${unit}.`, answer: ` ${value}` },
        question: `\n\n${ask(what, name)}${sentence}`,
      };
    },
  };
}

const ENGLISH = english({
  name: 'codes of four digits and nicknames that are nouns, by the name of a thing',
  head: 'Things in this story have codes or nicknames, which are told along the way.\n\n',
  number: { what: 'code', digits: 4, unit: '' },
  word: { what: 'nickname', words: nouns },
  ask: (what, name) => `What is the ${what} of the ${name}?`,
});

/** In other words, of other things, with other answers. SmolLM2-135M finds most of both. */
const ENGLISH_UNSEEN = english({
  name: 'prices of three digits and colours, by the name of a thing',
  head: 'Many things are for sale in this story. What they cost and how they look is said along the way.\n\n',
  number: { what: 'price', digits: 3, unit: ' coins' },
  word: { what: 'color', words: colors },
  ask: (what, name) => `Tell me the ${what} of the ${name}.`,
});

/** Models of the generated world know no other words. */
const WORLD: Family = {
  name: 'words by their keys, in the words of the generated world',
  head: 'Story: ',
  names: (random, count) => random.shuffled(keys).slice(0, count),
  secret: (random, name) => {
    const value = random.pick(values);
    return {
      kind: 'word',
      told: ` The secret of ${name} is ${value}.`,
      question: ` Again: the secret of ${name} is`,
      answer: ` ${value}`,
    };
  },
};

/** What is searched by, and what the search never sees. */
export const familiesOf = (ofTheWorld: boolean): { searched: Family; reported: Family } =>
  ofTheWorld ? { searched: WORLD, reported: WORLD } : { searched: ENGLISH, reported: ENGLISH_UNSEEN };

/** The nearest distance that is asked for: a window shows what is nearer. */
const NEAREST = 256;
/** Secrets of a text in its farthest octave, and in each nearer one. */
const [FAR, NEAR] = [4, 3];

/** Bounds of distances: 256, 512, 1,024 and so on; the last are those of the context. */
export function distanceBounds(context: number, nearest = NEAREST): [from: number, to: number][] {
  const bounds: [number, number][] = [];
  for (let to = context; to > nearest; to = Math.ceil(to / 2)) {
    bounds.unshift([to / 2 > nearest ? Math.ceil(to / 2) : nearest, to]);
  }
  return bounds;
}

/**
 * Texts that tell secrets: as long as the context, a quarter of that and so on.
 *
 * @param encode with the token that begins a text, where a tokenizer has one
 * @param options as many texts of each length as ask `questions` at least
 * @throws InputError for a context that does not hold a text with its questions
 */
export function recallExamples(
  family: Family,
  context: number,
  encode: Encode,
  { seed, nearest = NEAREST, questions = 1 }: { seed: number; nearest?: number; questions?: number },
): Example[] {
  const random = new Random(seed);
  const bounds = distanceBounds(context, nearest);
  if (bounds.length === 0) {
    throw new InputError(
      `recall over ${context} tokens: expected more than ${nearest}, which windows may show`,
    );
  }
  const lengths = bounds.map((_, i) => i).filter((i) => (bounds.length - 1 - i) % 2 === 0);
  const octavesOf = (last: number) =>
    bounds.slice(0, last + 1).map(([from, to], i) => ({ from, to, count: i === last ? FAR : NEAR }));
  const asked = lengths.flatMap(octavesOf).reduce((sum, { count }) => sum + count, 0);
  const texts = Array.from({ length: Math.ceil(questions / asked) });
  return lengths.flatMap((last) =>
    texts.map(() => oneText(random, family, bounds[last]![1], octavesOf(last), encode)),
  );
}

function oneText(
  random: Random,
  { head, names, secret }: Family,
  length: number,
  octaves: readonly { from: number; to: number; count: number }[],
  encode: Encode,
): Example {
  const asked = octaves.flatMap(({ from, to, count }) =>
    // Spread over the octave, each anywhere in its part.
    Array.from({ length: count }, (_, i) => from * (to / from) ** ((i + random.uniform()) / count)),
  );
  const secrets = names(random, asked.length).map((name, i) => secret(random, name, i));
  const tokens = (text: string) => encode(text).length;
  const sizes = secrets.map(({ question, answer }) => tokens(question + answer));
  const longest = secrets[sizes.indexOf(Math.max(...sizes))]!;
  const text = haystack('recall', random, length, encode, {
    ...{ head, question: longest.question, answer: longest.answer },
    needles: secrets.map(({ told }, i) => ({ text: told, depth: Math.max(0, 1 - asked[i]! / length) })),
  });
  const story = text.slice(0, -longest.question.length);
  const rows = secrets.map(({ told, question, answer }) => ({
    ids: encode(story + question + answer),
    from: encode(story + question).length,
    distance: tokens(story.slice(story.indexOf(told) + told.length) + question),
  }));
  const shared = commonBeginning(rows);
  return {
    prefix: rows[0]!.ids.slice(0, shared),
    tails: rows.map(({ ids, from }) => ({
      ids: ids.slice(shared),
      places: Array.from({ length: ids.length - from }, (_, i) => from - shared - 1 + i),
    })),
    distances: rows.map(({ distance }) => distance),
    kinds: secrets.map(({ kind }) => kind),
  };
}

/** Tokens that all rows have in common, with one left before the first answer. */
function commonBeginning(rows: readonly { ids: readonly number[]; from: number }[]): number {
  const most = Math.min(...rows.map(({ from }) => from)) - 1;
  let shared = 0;
  while (shared < most && rows.every(({ ids }) => ids[shared] === rows[0]!.ids[shared])) shared++;
  return shared;
}

/** Every so many tokens of a row's end the next one is judged. */
const STRIDE = 2;

/**
 * Rows of a text, judged by their last `judged` tokens.
 *
 * @throws InputError for a text that is too short
 */
export function textExamples(
  source: TextSource,
  encode: Encode,
  options: { rows: number; length: number; judged: number; seed: number; half: TextHalf },
): Example[] {
  const { judged } = options;
  const { rows } = planText('text', source, encode, options);
  const least = Math.min(options.length, judged + 2);
  return rows.map(({ ids }) => {
    if (ids.length < least) {
      throw new InputError(
        `the text has a row of ${ids.length} tokens in its ${options.half} half, expected at least ${least}: a longer text is needed`,
      );
    }
    const tail = Math.min(judged, ids.length - 2);
    const at = ids.length - tail - 1;
    const places = Array.from({ length: Math.ceil(tail / STRIDE) }, (_, i) => i * STRIDE);
    return { prefix: ids.slice(0, at), tails: [{ ids: ids.slice(at), places }] };
  });
}
