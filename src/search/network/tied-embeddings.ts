import { MemoryTensors } from '../../model/memory-tensors.ts';
import type { Hybrid } from './hybrid.ts';

/**
 * A head that is the embedding too distils badly (RADLADS, spec §4.2): it is made a matrix of its own while all
 * weights are trained, and one with the embedding again afterwards.
 */

const EMBEDDING = 'model.embed_tokens.weight';
const HEAD = 'lm_head.weight';

/** The head's rows are what the losses were of; the embedding follows with less harm (docs/LOG.md). */
const HEAD_SHARE = 1;

/** The same model with a head of its own; both are the same array until one of them is copied. */
export function untied({ config, weights }: Hybrid): Hybrid {
  const shape = weights.info(EMBEDDING).shape;
  const more = new MemoryTensors(tensors({ config, weights }));
  more.set(HEAD, { shape, data: weights.read(EMBEDDING) });
  return { config: { ...config, tieWordEmbeddings: false }, weights: more };
}

/** The model with one matrix for both: `share` of the head and the rest of the embedding. */
export function retied({ config, weights }: Hybrid, share = HEAD_SHARE): Hybrid {
  const [embedding, head] = [weights.read(EMBEDDING), weights.read(HEAD)];
  const data = embedding.map((x, i) => x + share * (head[i]! - x));
  const fewer = new MemoryTensors(tensors({ config, weights }).filter(([name]) => name !== HEAD));
  fewer.set(EMBEDDING, { shape: weights.info(EMBEDDING).shape, data });
  return { config: { ...config, tieWordEmbeddings: true }, weights: fewer };
}

function tensors({ weights }: Hybrid) {
  return weights.names().map((name) => {
    return [name, { shape: weights.info(name).shape, data: weights.read(name) }] as const;
  });
}
