import { describe, expect, test } from 'vitest';
import { chatTokenizerFiles } from '../../test/support/chat-tokenizer.ts';
import { Tokenizer } from '../model/tokenizer.ts';
import { Continuation, type ContinuationOptions } from './continuation.ts';

const tokenizer = new Tokenizer(JSON.parse(chatTokenizerFiles['tokenizer.json']), {});
const id = (token: string) => tokenizer.tokenId(token)!;
const plain = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });

/** What comes of a model that chooses these tokens, up to the end. */
function written(ids: number[], options: ContinuationOptions = {}, prompt = plain('a')) {
  const writer = { tokenizer, generation: { bosTokenId: null, eosTokenIds: [] }, contextLength: 1000 };
  const continuation = new Continuation(writer, prompt, { maxNewTokens: ids.length, ...options });
  let text = '';
  for (const chosen of ids) {
    const logits = new Float32Array(tokenizer.vocabSize);
    logits[chosen] = 10;
    const token = continuation.next(logits);
    text += token.text;
    if (token.finish) return { text, finish: token.finish, tokens: token.usage!.completionTokens };
  }
  throw new Error('no end');
}

describe('stop strings that are special tokens', () => {
  const ids = [...plain('one'), id('<|im_start|>'), ...plain(' two')];
  const before = plain('one').length;

  test('stop the text though they do not show', () => {
    expect(written(ids)).toEqual({ text: 'one two', finish: 'length', tokens: ids.length });
    for (const stop of ['<|im_start|>', ['x', '<|im_start|>'], ['zzz', '<|im_start|> t']]) {
      const long = Array.isArray(stop) && stop[0] === 'zzz' ? plain(' t').length : 0;
      expect(written(ids, { stop })).toEqual({ text: 'one', finish: 'stop', tokens: before + 1 + long });
    }
    expect(written(ids, { stop: 'e<|im_start|>' })).toMatchObject({ text: 'on', finish: 'stop' });
    expect(written(ids, { stop: '<|im_end|>' })).toMatchObject({ text: 'one two', finish: 'length' });
  });

  test('an added token that shows is text as before', () => {
    const call = [...plain('a'), id('<tool_call>'), ...plain('b')];
    expect(written(call)).toMatchObject({ text: 'a<tool_call>b' });
    expect(written(call, { stop: '<tool_call>' })).toMatchObject({ text: 'a', finish: 'stop' });
  });
});

test('after a prompt that ends in U+FFFD or within a character, only what was generated', () => {
  expect(written(plain('bc'), {}, plain('a\ufffd'))).toMatchObject({ text: 'bc' });
  expect(written(plain('bc'), {}, plain('€').slice(0, 2))).toMatchObject({ text: 'bc' });
  expect(written(plain('\ufffdb'), {}, plain('a'))).toMatchObject({ text: '\ufffdb' });
});
