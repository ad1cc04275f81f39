import type { ModelConfig } from '../config.ts';
import type { Derivations } from '../derived-tensors.ts';
import type { Fields } from '../json-fields.ts';
import { type Family, inLayers, sameWindow } from './family.ts';

/** Phi 3: queries, keys and values are rows of one matrix, gate and up of another. */
function phi3Weights(_fields: Fields, config: ModelConfig): Derivations {
  const { numHeads, numKvHeads, headDim, intermediateSize: size } = config;
  const [q, kv] = [numHeads * headDim, numKvHeads * headDim];
  const parts = [
    ['self_attn.q_proj', 'self_attn.qkv_proj', 0, q],
    ['self_attn.k_proj', 'self_attn.qkv_proj', q, kv],
    ['self_attn.v_proj', 'self_attn.qkv_proj', q + kv, kv],
    ['mlp.gate_proj', 'mlp.gate_up_proj', 0, size],
    ['mlp.up_proj', 'mlp.gate_up_proj', size, size],
  ] as const;
  return new Map(
    inLayers(config, (prefix) =>
      parts.map(([name, stored, first, count]) => [
        `${name}.weight`,
        { stored: `${prefix}${stored}.weight`, rows: [[first, count]] },
      ]),
    ),
  );
}

export const phi3: Family = {
  ...{ maxPositions: 4096, ropeTheta: 10000, tieWordEmbeddings: false, rmsNormEps: 1e-5 },
  reads: ['partial_rotary_factor'],
  rotaryShare: 1,
  layers: (fields, count) => sameWindow(fields, count, { window: null, maxPositions: 4096 }),
  weights: phi3Weights,
};
