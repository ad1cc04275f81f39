import { expect, test } from 'vitest';
import { InputError } from './errors.ts';
import { checkKnown } from './known-options.ts';

const known = { topK: true, maxNewTokens: true } as const;

test('options that are known, or not given', () => {
  checkKnown({ topK: 1, toString: undefined }, known);
});

test.each([
  ['max_new_tokens', "unknown option 'max_new_tokens'; expected maxNewTokens"],
  ['topk', "unknown option 'topk'; expected topK"],
  ['streamer', "unknown option 'streamer'; expected one of topK, maxNewTokens"],
  ['constructor', "unknown option 'constructor'; expected one of topK, maxNewTokens"],
])('%s', (name, message) => {
  expect(() => checkKnown({ [name]: 1 }, known)).toThrow(new InputError(message));
});
