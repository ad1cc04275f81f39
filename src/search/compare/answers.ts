import type { Tokenizer } from '../../model/tokenizer.ts';
import type { Engine } from '../../runtime/engine.ts';
import { argMaxOf } from '../../runtime/sampler.ts';
import type { OnProgress } from '../../util/progress.ts';

/** What models write, side by side: to questions where there is a template for them, else on from beginnings of the text. */

/** For models that answer. */
const QUESTIONS = [
  'What is the capital of France?',
  'Name three animals that live in the sea.',
  'What is 17 plus 25?',
  'Why is the sky blue?',
  'Write one sentence about autumn.',
  'Translate into French: "Good morning, my friend."',
  'Who wrote Romeo and Juliet?',
  'How do plants make food?',
  'List the days of the week.',
  'What is the opposite of "early"?',
  'Give me a short recipe for pancakes.',
  'Which is heavier, a kilogram of iron or a kilogram of feathers?',
  'Write a two-line poem about the moon.',
  'What does a doctor do?',
  'Explain in one sentence what a computer is.',
  'Sort these numbers from small to large: 9, 2, 7, 4.',
  'Tom has 3 apples and buys 4 more. He eats 2. How many are left?',
  'What is water made of?',
  'Repeat this word three times: lantern.',
  'What should I do if I am lost in a forest?',
];

/** Tokens of a beginning, and those that are written. */
const BEGINNING = 48;
export const WRITTEN = 48;

export interface Prompt {
  /** As it is shown. */
  text: string;
  ids: readonly number[];
}

/** @param rows of the text, from which beginnings are cut where the model has no chat template */
export function promptsOf(
  tokenizer: Tokenizer,
  rows: readonly (readonly number[])[],
  context: number,
  count: number,
): Prompt[] {
  if (tokenizer.hasChatTemplate) {
    const prompts = QUESTIONS.slice(0, count).map((text) => {
      const messages = [{ role: 'user' as const, content: text }];
      const templated = tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true });
      return { text, ids: tokenizer.encode(templated, { addSpecialTokens: false }) };
    });
    return prompts.filter(({ ids }) => ids.length + WRITTEN <= context);
  }
  const length = Math.min(BEGINNING, Math.floor(context / 2));
  return Array.from({ length: count }, (_, i) => {
    const row = rows[i % rows.length]!;
    const from = Math.floor(
      (Math.floor(i / rows.length) * (row.length - length)) / Math.ceil(count / rows.length),
    );
    const ids = row.slice(Math.max(0, from), Math.max(0, from) + length);
    return { text: tokenizer.decode([...ids]), ids };
  });
}

/** The most probable tokens, up to the end of the text. */
export async function measureAnswers(
  engine: Engine,
  prompts: readonly Prompt[],
  tokenizer: Tokenizer,
  eosTokenIds: readonly number[],
  { onProgress, signal }: { onProgress?: OnProgress | undefined; signal?: AbortSignal | undefined },
): Promise<string[]> {
  const answers: string[] = [];
  for (const { ids } of prompts) {
    using sequence = engine.start();
    const written: number[] = [];
    let next = argMaxOf(await engine.append(sequence, ids, signal ? { signal } : {}));
    while (!eosTokenIds.includes(next)) {
      written.push(next);
      if (written.length === WRITTEN) break;
      signal?.throwIfAborted();
      next = argMaxOf(await engine.append(sequence, [next]));
    }
    answers.push(tokenizer.decode(written));
    onProgress?.({ stage: 'write answers', done: answers.length, total: prompts.length, unit: 'answers' });
  }
  return answers;
}
