import { z } from 'zod';

/** A prompt of a completion: a text, or token ids. */
export type Prompt = string | Int32Array;

const EXPECTED = 'expected a text, token ids, or a list of texts or of lists of token ids';
/** As in OpenAI's API. */
const MOST = 2048;
const IDS = { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 1 };

class Wrong extends Error {
  constructor(
    message: string,
    readonly path: number[] = [],
  ) {
    super(message);
  }
}

/** Looked at in one pass: a union of zod's would try every alternative on a million ids. */
export const prompts = z
  .unknown()
  .meta({
    anyOf: [
      { type: 'string' },
      { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: MOST },
      IDS,
      { type: 'array', items: IDS, minItems: 1, maxItems: MOST },
    ],
  })
  .transform((value, context): Prompt[] => {
    try {
      return promptsOf(value);
    } catch (error) {
      const { message, path } = error as Wrong;
      context.issues.push({ code: 'custom', message, path, input: value });
      return z.NEVER;
    }
  });

function promptsOf(value: unknown): Prompt[] {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) throw new Wrong(EXPECTED);
  if (typeof value[0] === 'number') return [idsOf(value, [])];
  if (value.length === 0 || value.length > MOST)
    throw new Wrong(`${value.length} prompts, expected 1 to ${MOST}`);
  if (typeof value[0] !== 'string' && !Array.isArray(value[0])) throw new Wrong(EXPECTED, [0]);
  const texts = typeof value[0] === 'string';
  return value.map((one: unknown, i) => {
    if (texts && typeof one === 'string') return one;
    if (texts || !Array.isArray(one))
      throw new Wrong(`expected ${texts ? 'string' : 'a list of token ids'}`, [i]);
    return idsOf(one, [i]);
  });
}

function idsOf(list: readonly unknown[], path: number[]): Int32Array {
  if (list.length === 0) throw new Wrong('expected at least one token id', path);
  return Int32Array.from(list, (id, i) => {
    if (Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 31) return id as number;
    throw new Wrong('expected a token id: a whole number >=0', [...path, i]);
  });
}
