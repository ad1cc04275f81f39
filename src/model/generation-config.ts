/** generation_config.json: how a model's makers want text to be generated. */
import type { ModelConfig } from './config.ts';
import { oneOrMany } from './hf-config.ts';
import { Fields, type JsonObject, shown } from './json-fields.ts';

/** Absent fields leave the choice to the caller. */
export interface GenerationConfig {
  bosTokenId: number | null;
  eosTokenIds: number[];
  doSample?: boolean;
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repetitionPenalty?: number;
  maxNewTokens?: number;
  /** Of prompt and text together, where `maxNewTokens` does not say. */
  maxLength?: number;
  /** No end before so many. */
  minNewTokens?: number;
  /** Tokens that never come. */
  suppressTokens?: number[];
  /** Tokens that do not come first. */
  beginSuppressTokens?: number[];
  stopStrings?: string[];
  /** What the file says beyond that, written again as it was. */
  others?: JsonObject;
}

/** What holds when there is no generation_config.json. */
export function defaultGeneration(config: ModelConfig): GenerationConfig {
  return { bosTokenId: config.bosTokenId, eosTokenIds: config.eosTokenIds };
}

/**
 * The fields of the file that are followed; token ids that it leaves out are those of the model.
 *
 * @throws InputError for a value out of its range
 */
export function generationFromHf(path: string, json: JsonObject, config: ModelConfig): GenerationConfig {
  const fields = new Fields(path, json);
  const eosTokenIds = fields.tokenIds('eos_token_id');
  const generation: GenerationConfig = {
    bosTokenId: fields.tokenIds('bos_token_id')[0] ?? config.bosTokenId,
    eosTokenIds: eosTokenIds.length > 0 ? eosTokenIds : config.eosTokenIds,
  };
  const share = (name: string) => {
    const value = fields.number(name);
    if (value > 1) throw fields.wrong(name, 'a number from 0 to 1');
    return value;
  };
  if (fields.has('do_sample')) generation.doSample = fields.boolean('do_sample');
  if (fields.has('temperature')) generation.temperature = fields.number('temperature');
  if (fields.has('top_k')) generation.topK = fields.integer('top_k', undefined, 0);
  if (fields.has('top_p')) generation.topP = share('top_p');
  if (fields.has('min_p')) generation.minP = share('min_p');
  if (fields.has('repetition_penalty')) generation.repetitionPenalty = fields.positive('repetition_penalty');
  if (fields.has('max_new_tokens')) generation.maxNewTokens = fields.integer('max_new_tokens');
  if (fields.has('max_length')) generation.maxLength = fields.integer('max_length');
  if (fields.has('min_new_tokens')) generation.minNewTokens = fields.integer('min_new_tokens', undefined, 0);
  if (fields.has('stop_strings')) generation.stopStrings = stopStrings(fields);
  const suppressed = [...fields.tokenIds('suppress_tokens'), ...badTokens(fields)];
  if (suppressed.length > 0) generation.suppressTokens = suppressed;
  const first = fields.tokenIds('begin_suppress_tokens');
  if (first.length > 0) generation.beginSuppressTokens = first;
  const others = Object.entries(json).filter(([name, value]) => value !== null && !FOLLOWED.includes(name));
  if (others.length > 0) generation.others = Object.fromEntries(others);
  return generation;
}

/** Those that generationToHf writes from their own fields. */
const FOLLOWED = [
  'bos_token_id',
  'eos_token_id',
  'do_sample',
  'temperature',
  'top_k',
  'top_p',
  'min_p',
  'repetition_penalty',
  'max_new_tokens',
  'max_length',
  'min_new_tokens',
  'stop_strings',
  'begin_suppress_tokens',
];

function stopStrings(fields: Fields): string[] {
  const value = fields.object.stop_strings;
  const strings = Array.isArray(value) ? value : [value];
  if (strings.every((text) => typeof text === 'string' && text !== '')) return strings as string[];
  throw fields.wrong('stop_strings', 'a text or a list of texts, none of them empty');
}

/** Of `bad_words_ids`, the words of a single token. */
function badTokens(fields: Fields): number[] {
  if (!fields.has('bad_words_ids')) return [];
  const words = fields.list('bad_words_ids');
  const isWord = (word: unknown): word is number[] =>
    Array.isArray(word) && word.length > 0 && word.every((id) => Number.isSafeInteger(id) && id >= 0);
  if (!words.every(isWord)) throw fields.wrong('bad_words_ids', 'a list of lists of token ids');
  return words.filter((word) => word.length === 1).flat();
}

/**
 * Fields that change which tokens come and that are not followed, with the values that change nothing. A field of beams
 * changes nothing without several beams.
 */
const NOT_FOLLOWED: Record<string, readonly unknown[]> = {
  num_beams: [1],
  num_return_sequences: [1],
  typical_p: [1],
  top_h: [],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
  penalty_alpha: [0],
  dola_layers: [],
  no_repeat_ngram_size: [0],
  encoder_no_repeat_ngram_size: [0],
  encoder_repetition_penalty: [1],
  min_length: [0],
  forced_bos_token_id: [],
  forced_eos_token_id: [],
  exponential_decay_length_penalty: [],
  sequence_bias: [],
  guidance_scale: [1],
  watermarking_config: [],
  token_healing: [false],
  max_time: [],
};

/** A sentence for each field of generation_config.json that is not followed. */
export function notFollowed(path: string, json: JsonObject): string[] {
  const say = (name: string, why = '') =>
    `${path}: ${name} is ${shown(json[name])}, which is not followed${why}`;
  const notices = Object.entries(NOT_FOLLOWED)
    .filter(([name, neutral]) => json[name] != null && !neutral.includes(json[name]))
    .map(([name]) => say(name));
  const bad = json.bad_words_ids;
  if (Array.isArray(bad) && bad.some((word) => Array.isArray(word) && word.length > 1)) {
    notices.push(say('bad_words_ids', ' for words of several tokens'));
  }
  return notices;
}

export function generationToHf(generation: GenerationConfig): JsonObject {
  const json: JsonObject = {
    bos_token_id: generation.bosTokenId,
    eos_token_id: oneOrMany(generation.eosTokenIds),
    do_sample: generation.doSample,
    temperature: generation.temperature,
    top_k: generation.topK,
    top_p: generation.topP,
    min_p: generation.minP,
    repetition_penalty: generation.repetitionPenalty,
    max_new_tokens: generation.maxNewTokens,
    max_length: generation.maxLength,
    min_new_tokens: generation.minNewTokens,
    stop_strings: generation.stopStrings,
    suppress_tokens: generation.suppressTokens,
    begin_suppress_tokens: generation.beginSuppressTokens,
    ...generation.others,
  };
  return Object.fromEntries(Object.entries(json).filter(([, value]) => value !== undefined));
}
