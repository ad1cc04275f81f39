/**
 * The models of the package with weights of 8 bits: the texts that they write with exact weights, on every processor.
 * Run on an emulated one without VNNI by `npm run test:processors`.
 */
import { expect, test } from 'vitest';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { Model } from '../../src/runtime/model.ts';
import { logSumExp } from '../../src/runtime/sampler.ts';
import { FullSequence } from './full-sequence.ts';

/** Greedy texts of float32 in which the second token is always far behind the first. */
const GOLDEN = [
  {
    folder: 'models/base',
    prompt: 'Nora went to the yard. Nora took the lamp. Otto went to the barn. Where is Nora?',
    text: ' In the barn. Otto was alone in the yard. Where is the lamp?',
    tokens: 16,
  },
  {
    folder: 'models/hybrid',
    prompt: 'In the morning Otto went to the yard. Otto took the hat. Where is the hat?',
    text:
      ' In the yard. Otto put down the hat. Where is the hat? In the yard. Otto was alone in the yard. Where is ' +
      'the hat? In',
    tokens: 32,
  },
];

test.each(GOLDEN)(
  '$folder writes in 8 bits what it writes in 32',
  async ({ folder, prompt, text, tokens }) => {
    const { config, weights } = openCheckpoint(folder);
    const exact = new FullSequence(config, weights);
    await using model = await Model.fromPretrained(folder, { threads: 1, dtype: 'q8' });
    try {
      const written = [];
      for await (const token of model.generate(prompt, { maxNewTokens: tokens, temperature: 0 })) {
        written.push(token);
      }
      expect(written.map((token) => token.text).join('')).toBe(text);
      const read = model.tokenizer!.encode(prompt);
      const rows = await exact.logits([...read, ...written.map(({ id }) => id)]);
      for (const [i, { id, logProb }] of written.entries()) {
        const row = rows[read.length - 1 + i]!;
        expect(Math.abs(logProb - (row[id]! - logSumExp(row)))).toBeLessThan(0.04);
      }
    } finally {
      await exact.dispose();
    }
  },
);
