/** What a checkpoint's own words for its weights mean, as transformers 5 takes them (modeling_utils.py, tie_weights). */
import type { ModelConfig } from './config.ts';
import { DerivedTensors } from './derived-tensors.ts';
import type { TensorSource } from './tensor-source.ts';

const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';
/** In front of all names but the head's; a decoder that was saved without its head lacks it. */
const PREFIX = 'model.';

export interface ResolvedWeights {
  config: ModelConfig;
  weights: TensorSource;
  /** What the reader of a model should know. */
  notices: string[];
}

/**
 * Brings names and tying into the order that the rest relies on: names with their prefix; an embedding that is stored
 * once, as a head, under its own name; and a head that is stored beside the embedding it should be tied to, but differs
 * from it, as a head of its own.
 */
export function resolveWeights(config: ModelConfig, stored: TensorSource): ResolvedWeights {
  const weights = withPrefix(stored);
  if (!config.tieWordEmbeddings || !weights.has(HEAD)) return { config, weights, notices: [] };
  if (!weights.has(EMBEDDING)) {
    return {
      config,
      weights: new DerivedTensors(weights, new Map([[EMBEDDING, { stored: HEAD }]])),
      notices: [],
    };
  }
  if (sameTensor(weights, EMBEDDING, HEAD)) return { config, weights, notices: [] };
  return {
    config: { ...config, tieWordEmbeddings: false },
    weights,
    notices: [
      `config.json ties the head to the embedding, but ${HEAD} is another matrix than ${EMBEDDING}: they are not tied, ` +
        'as in transformers',
    ],
  };
}

/** Where the text's tensors stand in models of text and pictures, whose others are left out. */
const TEXT = ['model.language_model.', 'language_model.model.'];

function withPrefix(stored: TensorSource): TensorSource {
  const names = stored.names();
  const text = TEXT.find((prefix) => names.some((name) => name.startsWith(prefix)));
  if (text !== undefined) {
    const own = names.filter((name) => name.startsWith(text));
    const head = [HEAD, `language_model.${HEAD}`].find((name) => names.includes(name));
    const derived = own.map((name) => [PREFIX + name.slice(text.length), { stored: name }] as const);
    return new DerivedTensors(
      stored,
      new Map([...derived, ...(head ? [[HEAD, { stored: head }] as const] : [])]),
      {
        others: false,
      },
    );
  }
  if (names.some((name) => name.startsWith(PREFIX)) || !names.includes(EMBEDDING.slice(PREFIX.length))) {
    return stored;
  }
  const own = names.filter((name) => name !== HEAD);
  return new DerivedTensors(stored, new Map(own.map((name) => [PREFIX + name, { stored: name }])));
}

/** Whether two tensors hold the same values. Large ones are compared piece by piece, to the first that differs. */
function sameTensor(source: TensorSource, a: string, b: string): boolean {
  const [x, y] = [source.info(a), source.info(b)];
  if (x.shape.join() !== y.shape.join()) return false;
  if (x.dtype === y.dtype && source.pieces) {
    const others = source.pieces(b)[Symbol.iterator]();
    for (const piece of source.pieces(a)) {
      const other = others.next();
      if (other.done || !sameBytes(piece, other.value)) return false;
    }
    return true;
  }
  const [p, q] = [source.read(a), source.read(b)];
  return p.every((value, i) => value === q[i]);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
