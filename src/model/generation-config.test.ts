import { describe, expect, test } from 'vitest';
import { tinyConfig } from '../../test/support/random-model.ts';
import { generationFromHf, generationToHf, notFollowed } from './generation-config.ts';
import type { JsonObject } from './json-fields.ts';

const config = tinyConfig([{ kind: 'attention' }], { bosTokenId: 1, eosTokenIds: [2] });
const read = (json: JsonObject) => generationFromHf('g.json', json, config);

test('what is followed', () => {
  const generation = read({
    min_p: 0.99,
    suppress_tokens: [3, 4],
    begin_suppress_tokens: [5],
    bad_words_ids: [[6], [7, 8]],
    stop_strings: 'END',
    max_length: 100,
    min_new_tokens: 2,
  });
  expect(generation).toMatchObject({
    minP: 0.99,
    suppressTokens: [3, 4, 6],
    beginSuppressTokens: [5],
    stopStrings: ['END'],
    maxLength: 100,
    minNewTokens: 2,
  });
});

test('everything is written again as it was, followed or not', () => {
  const json = {
    bos_token_id: 1,
    eos_token_id: [2, 3, 4],
    pad_token_id: 0,
    do_sample: true,
    min_p: 0.1,
    suppress_tokens: [3],
    bad_words_ids: [[6], [7, 8]],
    no_repeat_ngram_size: 3,
    stop_strings: ['END', '###'],
    max_length: 64,
    transformers_version: '5.24.0',
    ['__proto__']: { x: 1 },
  };
  const written = generationToHf(read(json));
  expect(written).toEqual(json);
  expect(read(written)).toEqual(read(json));
  expect(({} as JsonObject).x).toBeUndefined();
});

describe('what is not followed is named, once each', () => {
  test.each<[string, unknown, unknown]>([
    ['no_repeat_ngram_size', 3, 0],
    ['num_beams', 4, 1],
    ['typical_p', 0.9, 1],
    ['epsilon_cutoff', 3e-4, 0],
    ['eta_cutoff', 3e-4, 0.0],
    ['penalty_alpha', 0.6, null],
    ['forced_eos_token_id', 2, null],
    ['forced_bos_token_id', 1, null],
    ['sequence_bias', [[[1], 2]], null],
    ['guidance_scale', 1.5, 1],
    ['dola_layers', 'high', null],
    ['encoder_repetition_penalty', 1.2, 1],
    ['bad_words_ids', [[1, 2]], [[1]]],
  ])('%s: %j is, %j is not', (name, telling, neutral) => {
    const [notice, ...more] = notFollowed('g.json', { [name]: telling });
    expect(notice).toContain(`g.json: ${name} is ${JSON.stringify(telling)}, which is not followed`);
    expect(more).toEqual([]);
    expect(
      notFollowed('g.json', {
        [name]: neutral,
        do_sample: true,
        length_penalty: 2,
        renormalize_logits: true,
      }),
    ).toEqual([]);
  });
});

test.each<[JsonObject, RegExp]>([
  [{ top_p: 1.5 }, /g\.json: top_p is 1\.5, expected a number from 0 to 1/],
  [{ min_p: -1 }, /min_p is -1/],
  [{ temperature: '1' }, /temperature is "1"/],
  [{ top_k: 2.5 }, /top_k is 2\.5, expected a whole number of at least 0/],
  [{ suppress_tokens: [1.5] }, /suppress_tokens is \[1\.5\], expected a token id or a list/],
  [{ bad_words_ids: [3] }, /bad_words_ids is \[3\], expected a list of lists of token ids/],
  [{ stop_strings: [''] }, /stop_strings is \[""\], expected a text or a list of texts, none of them empty/],
  [{ max_new_tokens: 1e12 }, /max_new_tokens is 1000000000000/],
  [{ eos_token_id: -1 }, /eos_token_id is -1/],
])('%j is refused', (json, message) => {
  expect(() => read(json)).toThrow(message);
  expect(() => read(json)).toThrow(expect.objectContaining({ name: 'InputError' }));
});
