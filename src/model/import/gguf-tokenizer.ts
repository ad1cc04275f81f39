/**
 * The tokenizer inside a GGUF file -> tokenizer.json: byte-level BPE ('gpt2') with the ways of cutting text into words
 * that llama.cpp calls `pre` (llama-vocab.cpp), and SentencePiece BPE ('llama').
 */
import { InputError } from '../../util/errors.ts';
import { isObject, type JsonObject } from '../json-fields.ts';
import type { GgufMetadata } from './gguf-metadata.ts';
import {
  type AddedToken,
  addedTokenJson,
  sentencePieceJson,
  type TokenizerFiles,
  templateProcessing,
} from './tokenizer-json.ts';

/** llama.cpp's token types. */
export const NORMAL = 1;
const UNKNOWN = 2;
export const CONTROL = 3;
export const USER_DEFINED = 4;
export const UNUSED = 5;

interface WordSplit {
  /** What happens to the text before the bytes of each word are merged. */
  preTokenizers: JsonObject[];
  normalizer: JsonObject | null;
  /** A word that is in the vocabulary is taken whole, whatever the merges say. */
  ignoreMerges: boolean;
  /** Begin-of-text token before a text when the file does not say. */
  addBos: boolean;
}

const byteLevel = (use_regex: boolean) => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex,
});

/** SmolLM's `Digits` takes every number character of Unicode. */
const eachDigit = { type: 'Split', pattern: { Regex: '\\p{N}' }, behavior: 'Isolated', invert: false };

/** The expression of Llama 3 and of Qwen2, which differ in how many digits make a word. */
const words = (digits: string): JsonObject[] => [
  {
    type: 'Split',
    pattern: {
      Regex:
        `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|` +
        '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
    },
    behavior: 'Isolated',
    invert: false,
  },
  byteLevel(false),
];

const gpt2: WordSplit = {
  preTokenizers: [byteLevel(true)],
  normalizer: null,
  ignoreMerges: false,
  addBos: false,
};
const qwen2: WordSplit = {
  preTokenizers: words('\\p{N}'),
  normalizer: { type: 'NFC' },
  ignoreMerges: false,
  addBos: false,
};
const llama3: WordSplit = {
  preTokenizers: words('\\p{N}{1,3}'),
  normalizer: null,
  ignoreMerges: true,
  addBos: true,
};

const WORD_SPLITS: Record<string, WordSplit> = {
  'gpt-2': gpt2,
  smollm: { ...gpt2, preTokenizers: [eachDigit, byteLevel(true)] },
  qwen2,
  'deepseek-r1-qwen': { ...qwen2, addBos: true },
  'llama-bpe': llama3,
  'llama-v3': llama3,
  llama3,
};

/**
 * What llama.cpp calls the way in which a byte-level tokenizer.json cuts text into words: the other way round.
 *
 * @returns undefined for one that is not among those above
 */
export function wordSplitName(tokenizer: JsonObject): string | undefined {
  const { pre_tokenizer: pre, normalizer } = tokenizer;
  const steps = isObject(pre) && Array.isArray(pre.pretokenizers) ? pre.pretokenizers : [pre];
  const own = JSON.stringify([steps.map(essence), normalizer ?? null]);
  return Object.keys(WORD_SPLITS).find((name) => {
    const known = WORD_SPLITS[name]!;
    return JSON.stringify([known.preTokenizers.map(essence), known.normalizer]) === own;
  });
}

/** Whether a word that is in the vocabulary is taken whole under that name. */
export function ignoresMerges(wordSplit: string): boolean {
  return WORD_SPLITS[wordSplit]!.ignoreMerges;
}

/** What a pre-tokenizer does, whatever fields it leaves out. */
function essence(step: unknown): unknown {
  if (!isObject(step)) return step;
  switch (step.type) {
    case 'ByteLevel':
      return ['bytes', step.use_regex ?? true, step.add_prefix_space ?? true];
    case 'Digits':
      return step.individual_digits ? essence(eachDigit) : step;
    case 'Split':
      return ['split', step.pattern, step.behavior, step.invert ?? false];
    default:
      return step;
  }
}

/** @throws InputError when the file has no tokenizer or one that is not supported */
export function tokenizerFromGguf(metadata: GgufMetadata): TokenizerFiles {
  const model = metadata.text('tokenizer.ggml.model');
  const tokens = metadata.texts('tokenizer.ggml.tokens');
  const types = metadata.has('tokenizer.ggml.token_type')
    ? metadata.numbers('tokenizer.ggml.token_type')
    : tokens.map(() => NORMAL);
  if (types.length !== tokens.length) {
    throw metadata.wrong(
      'tokenizer.ggml.token_type',
      `${tokens.length} entries, as many as there are tokens`,
    );
  }
  const added = tokens.flatMap((content, id): AddedToken[] => {
    const type = types[id]!;
    const special = type === CONTROL || (type === UNKNOWN && model === 'llama');
    return special || type === USER_DEFINED ? [{ id, content, special }] : [];
  });
  const repeated = firstRepeated(tokens);
  if (repeated !== undefined) {
    throw new InputError(`${metadata.path}: tokenizer.ggml.tokens holds ${JSON.stringify(repeated)} twice`);
  }
  const config = configFromGguf(metadata, tokens);
  if (model === 'gpt2') return { tokenizer: byteLevelJson(metadata, tokens, types, added), config };
  if (model === 'llama') return { tokenizer: scoredJson(metadata, tokens, types, added), config };
  throw metadata.wrong('tokenizer.ggml.model', "'gpt2' or 'llama'");
}

function firstRepeated(tokens: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (const token of tokens) {
    if (seen.has(token)) return token;
    seen.add(token);
  }
  return undefined;
}

/** The ids that the file wants around a text. */
function around(metadata: GgufMetadata, count: number, addBos: boolean): [before: number[], after: number[]] {
  const ids = (name: string, fallback: boolean) => {
    const id = metadata.tokenId(name, count);
    return id !== undefined && metadata.boolean(`tokenizer.ggml.add_${name}_token`, fallback) ? [id] : [];
  };
  return [ids('bos', addBos), ids('eos', false)];
}

function byteLevelJson(
  metadata: GgufMetadata,
  tokens: readonly string[],
  types: number[],
  added: AddedToken[],
): JsonObject {
  const pre = metadata.text('tokenizer.ggml.pre', 'gpt-2');
  const split = Object.hasOwn(WORD_SPLITS, pre) ? WORD_SPLITS[pre] : undefined;
  if (!split) throw metadata.wrong('tokenizer.ggml.pre', `one of ${Object.keys(WORD_SPLITS).join(', ')}`);
  const template = templateProcessing(...around(metadata, tokens.length, split.addBos), (id) => tokens[id]!);
  const vocab = tokens.flatMap((token, id): [string, number][] =>
    types[id] === UNUSED ? [] : [[token, id]],
  );
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map(addedTokenJson),
    normalizer: split.normalizer,
    pre_tokenizer: { type: 'Sequence', pretokenizers: split.preTokenizers },
    post_processor: template ?? byteLevel(true),
    decoder: byteLevel(true),
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: split.ignoreMerges,
      vocab: Object.fromEntries(vocab),
      merges: metadata.texts('tokenizer.ggml.merges').map((merge) => merge.split(' ')),
    },
  };
}

function scoredJson(
  metadata: GgufMetadata,
  tokens: readonly string[],
  types: number[],
  added: AddedToken[],
): JsonObject {
  const scores = metadata.numbers('tokenizer.ggml.scores');
  if (scores.length !== tokens.length) {
    throw metadata.wrong('tokenizer.ggml.scores', `${tokens.length} entries, as many as there are tokens`);
  }
  const [before, after] = around(metadata, tokens.length, true);
  return sentencePieceJson({
    pieces: tokens.map((text, id) => ({ text, score: scores[id]! })),
    mergeable: (id) => types[id] === NORMAL || types[id] === USER_DEFINED,
    added,
    space: '▁',
    prefixSpace: metadata.boolean('tokenizer.ggml.add_space_prefix', true),
    before,
    after,
    unknownId: metadata.tokenId('unknown', tokens.length) ?? 0,
  });
}

function configFromGguf(metadata: GgufMetadata, tokens: readonly string[]): JsonObject {
  const config: JsonObject = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    model_max_length: metadata.number(`${metadata.text('general.architecture')}.context_length`),
  };
  for (const [name, key] of [
    ['bos_token', 'bos'],
    ['eos_token', 'eos'],
    ['unk_token', 'unknown'],
    ['pad_token', 'padding'],
  ] as const) {
    const id = metadata.tokenId(key, tokens.length);
    if (id !== undefined) config[name] = tokens[id];
  }
  const template = templateFromGguf(metadata);
  if (template !== undefined) config.chat_template = template;
  return config;
}

/** The usual chat template, or a list where there are others by name. */
function templateFromGguf(metadata: GgufMetadata): unknown {
  const key = 'tokenizer.chat_template';
  const usual = metadata.has(key) ? metadata.text(key) : undefined;
  const names = metadata.has('tokenizer.chat_templates') ? metadata.texts('tokenizer.chat_templates') : [];
  if (names.length === 0) return usual;
  return [
    ...(usual === undefined ? [] : [{ name: 'default', template: usual }]),
    ...names.map((name) => ({ name, template: metadata.text(`${key}.${name}`) })),
  ];
}
