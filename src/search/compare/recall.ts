import type { Engine } from '../../runtime/engine.ts';
import { argMaxOf } from '../../runtime/sampler.ts';
import { haystack } from '../../tasks/generated/haystack.ts';
import { digits, things } from '../../tasks/generated/needles.ts';
import { keys, values } from '../../tasks/lexicon.ts';
import type { Encode } from '../../tasks/task.ts';
import { InputError } from '../../util/errors.ts';
import type { OnProgress } from '../../util/progress.ts';
import { Random } from '../../util/random.ts';
import type { RecallMap } from './result.ts';

/** Whether what a text told is found again, by the length of the text and by where in it that stood. */

const DEPTHS = [0, 0.25, 0.5, 0.75, 1];
const LENGTHS = 4;
const SHORTEST = 128;
const SEED = 19;

/** How secrets are told and asked for; models of the generated world know no other words. */
interface Speech {
  head: string;
  names(random: Random, count: number): string[];
  secret(random: Random): string;
  told(name: string, secret: string): string;
  question(name: string): string;
}

const ENGLISH: Speech = {
  head: 'Remember what is secret in this story.\n\n',
  names: things,
  secret: (random) => digits(random, 5),
  told: (name, secret) => ` The secret number of the ${name} is ${secret}.`,
  question: (name) =>
    `\n\nQuestion: What is the secret number of the ${name}?\nAnswer: The secret number of the ${name} is`,
};

const WORLD: Speech = {
  head: 'Story: ',
  names: (random, count) => random.shuffled(keys).slice(0, count),
  secret: (random) => random.pick(values),
  told: (name, secret) => ` The secret of ${name} is ${secret}.`,
  question: (name) => ` Again: the secret of ${name} is`,
};

/** A question at the end of a text, answered: tokens, of which those from `from` on are the answer. */
interface Asked {
  ids: readonly number[];
  from: number;
  length: number;
  depth: number;
}

export interface RecallPlan {
  name: RecallMap['name'];
  /** The questions of one text stand together. */
  texts: readonly (readonly Asked[])[];
}

/** The context and its halves, four of them, but none too short for the texts. */
export function recallLengths(context: number): number[] {
  const lengths = Array.from({ length: LENGTHS }, (_, i) => Math.floor(context / 2 ** (LENGTHS - 1 - i)));
  return lengths.filter((length) => length >= Math.min(SHORTEST, context));
}

/**
 * One number in each text (needle), and one for each depth in a text, of which each is asked for (keys).
 *
 * @param encode without special tokens
 * @param read with the token that begins a text, where a tokenizer has one
 * @param count texts of each length, and for needles of each depth
 * @returns none where not even the longest text holds the questions
 */
export function planRecall(
  encode: Encode,
  read: Encode,
  ofTheWorld: boolean,
  context: number,
  count: number,
): RecallPlan[] {
  const speech = ofTheWorld ? WORLD : ENGLISH;
  const holds = (length: number) => {
    try {
      return oneText(new Random(SEED), speech, length, DEPTHS, encode, read).length > 0;
    } catch (error) {
      if (error instanceof InputError) return false;
      throw error;
    }
  };
  const lengths = recallLengths(context).filter(holds);
  if (lengths.length === 0) return [];
  const each = (seed: number, depths: readonly number[][]) => {
    const random = new Random(seed);
    return lengths.flatMap((length) =>
      Array.from({ length: count }, () =>
        depths.map((some) => oneText(random, speech, length, some, encode, read)),
      ).flat(),
    );
  };
  const single = DEPTHS.map((depth) => [depth]);
  return [
    { name: 'needle', texts: each(SEED, single) },
    { name: 'keys', texts: each(SEED + 1, [DEPTHS]) },
  ];
}

function oneText(
  random: Random,
  { head, names, secret, told, question }: Speech,
  length: number,
  depths: readonly number[],
  encode: Encode,
  read: Encode,
): Asked[] {
  const secrets = names(random, depths.length).map((name, i) => {
    return { name, answer: secret(random), depth: depths[i]! };
  });
  const tokens = ({ name, answer }: (typeof secrets)[number]) => encode(`${question(name)} ${answer}`).length;
  const longest = secrets.reduce((a, b) => (tokens(b) > tokens(a) ? b : a));
  const last = question(longest.name);
  const text = haystack('recall', random, length, encode, {
    ...{ head, question: last, answer: ` ${longest.answer}` },
    needles: secrets.map(({ name, answer, depth }) => ({ text: told(name, answer), depth })),
  });
  const story = text.slice(0, -last.length);
  return secrets.map(({ name, answer, depth }) => {
    const context = story + question(name);
    return { ids: read(`${context} ${answer}`), from: read(context).length, length, depth };
  });
}

/** What a model finds: right where every token of the answer is the most probable one. */
export async function measureRecall(
  engine: Engine,
  { name, texts }: RecallPlan,
  { onProgress, signal }: { onProgress?: OnProgress | undefined; signal?: AbortSignal | undefined },
): Promise<RecallMap> {
  const cells = new Map<string, RecallMap['cells'][number]>();
  // Long texts take longer: the time left is by tokens.
  const total = texts.reduce((sum, text) => sum + text[0]!.ids.length, 0);
  let done = 0;
  for (const text of texts) {
    const shared = commonBeginning(text);
    using story = engine.start();
    await engine.append(story, text[0]!.ids.slice(0, shared), signal ? { signal } : {});
    for (const asked of text) {
      const right = await answersRightly(engine, story, shared, asked);
      const key = `${asked.length} ${asked.depth}`;
      const { length, depth } = asked;
      const cell = cells.get(key) ?? { length, depth, right: 0, examples: 0 };
      cells.set(key, { ...cell, right: cell.right + Number(right), examples: cell.examples + 1 });
    }
    done += text[0]!.ids.length;
    onProgress?.({ stage: `recall of ${name}`, done, total, unit: 'tokens' });
  }
  return { name, cells: [...cells.values()] };
}

/** Tokens that all questions of a text have in common before the first answer, but for one that is left to be read. */
function commonBeginning(text: readonly Asked[]): number {
  const [first] = text as [Asked];
  const most = Math.min(...text.map(({ from }) => from)) - 1;
  let shared = 0;
  while (shared < most && text.every(({ ids }) => ids[shared] === first.ids[shared])) shared++;
  return shared;
}

async function answersRightly(
  engine: Engine,
  story: ReturnType<Engine['start']>,
  shared: number,
  { ids, from }: Asked,
): Promise<boolean> {
  using sequence = story.fork();
  let right = true;
  await engine.append(sequence, ids.slice(shared, -1), {
    each: (place, logits) => {
      if (place + 1 >= from) right &&= argMaxOf(logits) === ids[place + 1];
    },
  });
  return right;
}
