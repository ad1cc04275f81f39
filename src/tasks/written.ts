import type { Model } from '../runtime/model.ts';
import { Scheduler } from '../runtime/scheduler.ts';
import type { ScoreOptions } from './harness.ts';
import { readingOf } from './reading.ts';

/** Answers that a model writes, as lm-evaluation-harness asks for them and takes what counts out of them. */

/** What ends an answer, beside the tokens that the model ends texts with, and its most tokens. */
export const WRITING = { until: ['Question:', '</s>', '<|im_end|>'], maxTokens: 256 };

/**
 * Greedy answers to prompts, many at once. A prompt that leaves less room than an answer may take loses its beginning.
 *
 * @param contextLength of prompt and answer together, in tokens
 */
export async function writeAnswers(
  model: Model,
  prompts: readonly string[],
  contextLength: number,
  { onProgress, signal }: ScoreOptions = {},
): Promise<string[]> {
  const { encode } = readingOf(model.tokenizer!);
  const room = Math.max(1, contextLength - WRITING.maxTokens);
  const scheduler = new Scheduler(model, { contextLength, maxQueue: Math.max(1, prompts.length) });
  const options = {
    maxNewTokens: WRITING.maxTokens,
    temperature: 0,
    stop: WRITING.until,
    ...(signal && { signal }),
  };
  const all = scheduler.submitAll(
    prompts.map((prompt) => ({ ...options, prompt: encode(prompt).slice(-room) })),
  );
  let done = 0;
  return Promise.all(
    all.map(async (tokens) => {
      let text = '';
      for await (const token of tokens) text += token.text;
      onProgress?.({ stage: 'write', done: ++done, total: prompts.length, unit: 'answers' });
      return text;
    }),
  );
}

const NOTHING = '[invalid]';

/** The ways by which an answer is taken from a text: the last number in it, or what follows '#### '. */
export const FILTERS: Readonly<Record<string, (text: string) => string>> = {
  'flexible-extract': (text) => text.match(/-?[$0-9.,]{2,}|-?[0-9]+/g)?.at(-1) ?? NOTHING,
  'strict-match': (text) => /#### (-?[0-9.,]+)/.exec(text)?.[1] ?? NOTHING,
};

/** What makes no difference: commas, dollars, the way to the answer, a full stop at the end, and capitals. */
const plainly = (text: string) =>
  text
    .replaceAll(',', '')
    .replaceAll('$', '')
    .replace(/[\s\S]*#### /, '')
    .replace(/\.(?=\n?$)/, '')
    .toLowerCase();

export function isRight(answer: string, target: string): boolean {
  return plainly(answer) === plainly(target);
}
