import type { Random } from '../../util/random.ts';
import type { Passage } from '../passage.ts';
import type { Draw } from './draw.ts';
import { haystack, type Needle } from './haystack.ts';
import { adjectives, nouns } from './words.ts';

/** Look-ups in a long text: what was said once has to be said again, exactly. */

/** A number of so many digits, the first of which is none. */
export function digits(random: Random, count: number): string {
  const least = 10 ** (count - 1);
  return String(least + random.below(9 * least));
}

const thing = (random: Random) => `${random.pick(adjectives)} ${random.pick(nouns)}`;

/** Different ones. */
export function things(random: Random, count: number): string[] {
  const drawn = new Set<string>();
  while (drawn.size < count) drawn.add(thing(random));
  return [...drawn];
}

/** @param keys how many there are, of which one is asked for at the depth; the others lie anywhere */
function needles(name: string, keys: number, kind: 'number' | 'word'): Draw {
  return (random, length, encode, depth = random.uniform()) => {
    const told = things(random, keys).map((key) => {
      const value = kind === 'number' ? digits(random, 5) : random.pick(nouns);
      return { key, value };
    });
    const asked = told[0]!;
    const statement = (key: string) => ` The secret ${kind} of the ${key} is`;
    const hidden = told.map(({ key, value }, i): Needle => {
      return { text: `${statement(key)} ${value}.`, depth: i === 0 ? depth : random.uniform() };
    });
    const question = `\n\nQuestion: What is the secret ${kind} of the ${asked.key}?\nAnswer:${statement(asked.key)}`;
    const answer = ` ${asked.value}`;
    const head = `Remember what is secret in this story.\n\n`;
    const before = haystack(name, random, length, encode, { head, needles: hidden, question, answer });
    return passage(name, before, answer, `${asked.key} ${asked.value}`);
  };
}

/** All values of one key, in the order of the text. */
function needleValues(name: string, count: number): Draw {
  return (random, length, encode, depth) => {
    const [key] = things(random, 1);
    const values = Array.from({ length: count }, () => digits(random, 5));
    const depths = values.map(() => random.uniform()).sort((a, b) => a - b);
    if (depth !== undefined) depths.fill(depth);
    const hidden = values.map((value, i): Needle => {
      return { text: ` A secret number of the ${key} is ${value}.`, depth: depths[i]! };
    });
    const question =
      `\n\nQuestion: What are all secret numbers of the ${key}, in the order of the story?\n` +
      `Answer: The secret numbers of the ${key} are`;
    const answer = ` ${values.join(', ')}`;
    const head = `Remember what is secret in this story.\n\n`;
    const before = haystack(name, random, length, encode, { head, needles: hidden, question, answer });
    return passage(name, before, answer, `${key}${answer}`);
  };
}

/** A number to be said again, by no name. */
function passkey(name: string): Draw {
  return (random, length, encode, depth = random.uniform()) => {
    const key = digits(random, 5);
    const hidden = [{ text: ` The pass key is ${key}. Keep it in mind: ${key} is the pass key.`, depth }];
    const head = 'A pass key is hidden in this story. Find it and keep it in mind.\n\n';
    const question = '\n\nWhat is the pass key? The pass key is';
    const before = haystack(name, random, length, encode, {
      ...{ head, needles: hidden, question, answer: ` ${key}` },
    });
    return passage(name, before, ` ${key}`, key);
  };
}

/** A passage with one question. */
export function passage(name: string, before: string, answer: string, content: string): Passage {
  return { parts: [{ before, answer }], after: '', contents: [`${name} ${content}`] };
}

export const needle = needles('needle', 1, 'number');
export const needleWords = needles('needle_words', 1, 'word');
export const needleKeys = needles('needle_keys', 8, 'number');
export const allValues = needleValues('needle_values', 4);
export const passKey = passkey('passkey');
