import { expect, test } from 'vitest';
import { tinyTokenizerFiles } from '../../test/support/tiny-tokenizer.ts';
import type { GenerationConfig } from '../model/generation-config.ts';
import { Tokenizer } from '../model/tokenizer.ts';
import { Continuation, type ContinuationOptions } from './continuation.ts';

/** What generation_config.json asks for, on logits made by hand: token i has logit i, so that 9 is the best of ten. */

const logits = Float32Array.from({ length: 10 }, (_, i) => i);

function written(
  generation: Partial<GenerationConfig>,
  options: ContinuationOptions = {},
  prompt: number[] = [0],
): number[] {
  const writer = {
    tokenizer: null,
    generation: { bosTokenId: null, eosTokenIds: [9], ...generation },
    contextLength: 1000,
  };
  const text = new Continuation(writer, prompt, { maxNewTokens: 4, ...options });
  const ids: number[] = [];
  for (;;) {
    const { id, finish } = text.next(logits);
    ids.push(id);
    if (finish) return ids;
  }
}

test('tokens that never come, that do not come first, and no end before so many', () => {
  expect(written({})).toEqual([9]);
  expect(written({ suppressTokens: [9, 8] })).toEqual([7, 7, 7, 7]);
  expect(written({ suppressTokens: [9, 8] }, { logitBias: { 8: 0 } })).toEqual([8, 8, 8, 8]);
  expect(written({ beginSuppressTokens: [9, 8] })).toEqual([7, 9]);
  expect(written({ minNewTokens: 2 })).toEqual([8, 8, 9]);
});

test('min_p, where tokens are drawn', () => {
  const drawn = (options: ContinuationOptions) =>
    written(
      { doSample: true, minP: 0.99, eosTokenIds: [] },
      { temperature: 5, seed: 1, maxNewTokens: 50, ...options },
    );
  expect(new Set(drawn({}))).toEqual(new Set([9]));
  expect(new Set(drawn({ minP: 0 })).size).toBeGreaterThan(3);
});

test('the length of prompt and text', () => {
  const count = (generation: Partial<GenerationConfig>, prompt: number[]) =>
    written({ eosTokenIds: [], ...generation }, { maxNewTokens: undefined }, prompt).length;
  expect(count({ maxLength: 20 }, [1, 2, 3])).toBe(17);
  expect(count({ maxLength: 20, maxNewTokens: 5 }, [1, 2, 3])).toBe(5);
  expect(count({ maxLength: 3 }, [1, 2, 3])).toBe(256);
});

test('stop strings', () => {
  const tokenizer = new Tokenizer(JSON.parse(tinyTokenizerFiles['tokenizer.json']), {});
  const ids = tokenizer.encode('hello World', { addSpecialTokens: false });
  const textOf = (options: ContinuationOptions) => {
    const generation = { bosTokenId: null, eosTokenIds: [], stopStrings: ['World'] };
    const text = new Continuation({ tokenizer, generation, contextLength: 100 }, [ids[0]!], options);
    let all = '';
    for (const id of ids) {
      const one = new Float32Array(tokenizer.vocabSize);
      one[id] = 1;
      const token = text.next(one);
      all += token.text;
      if (token.finish) return `${all}|${token.finish}`;
    }
    return all;
  };
  expect(textOf({})).toBe('hello |stop');
  expect(textOf({ stop: [] })).toBe('hello World');
});
