import type { ModelConfig } from '../config.ts';
import type { Derivations } from '../derived-tensors.ts';
import type { Fields } from '../json-fields.ts';
import { type Family, inLayers, llamaBiases } from './family.ts';

/** Granite: four factors, of the embedding, of what layers add, of the scores, and under the logits. */
function graniteWeights(fields: Fields, config: ModelConfig): Derivations {
  const { headDim, qkvBias, oBias, mlpBias, tieWordEmbeddings } = config;
  const factor = (name: string) => fields.positive(name, 1);
  const [embedding, residual] = [factor('embedding_multiplier'), factor('residual_multiplier')];
  const scores = factor('attention_multiplier') * Math.sqrt(headDim);
  // A head that is tied to the embedding has its factor, too.
  const logits = 1 / factor('logits_scaling') / (tieWordEmbeddings ? embedding : 1);
  const scaled = (names: readonly string[], times: number) => (prefix: string) =>
    names.map((name) => [name, { stored: `${prefix}${name}`, times }] as const);
  const both = (name: string, bias: boolean) => [`${name}.weight`, ...(bias ? [`${name}.bias`] : [])];
  const added = [...both('self_attn.o_proj', oBias), ...both('mlp.down_proj', mlpBias)];
  return new Map([
    ['model.embed_tokens.weight', { stored: 'model.embed_tokens.weight', times: embedding }],
    ...inLayers(config, scaled(both('self_attn.q_proj', qkvBias), scores)),
    ...inLayers(config, scaled(added, residual)),
    ['model.norm.weight', { stored: 'model.norm.weight', times: logits }],
  ]);
}

export const granite: Family = {
  ...{ maxPositions: 2048, ropeTheta: 10000, tieWordEmbeddings: false },
  reads: ['embedding_multiplier', 'logits_scaling', 'residual_multiplier', 'attention_multiplier'],
  biases: llamaBiases,
  weights: graniteWeights,
};
