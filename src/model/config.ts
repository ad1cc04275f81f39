import type { MixerContext, MixerSpec } from '../mixers/spec.ts';

/** What a decoder has that is not as in Llama, Qwen 2 and Qwen 3, in words; null for one that is as they are. */
export function whyNotPlain(config: ModelConfig): string | null {
  const { activation, norms, qkNormOfAll, attentionGate, rotaryShare, layers } = config;
  if (norms) return `norms ${norms} mixers and MLPs`;
  if (activation) return `the activation ${activation}`;
  if (attentionGate) return 'gates of attention';
  if (rotaryShare !== undefined) return 'rotation of a part of each head';
  if (qkNormOfAll) return 'norms over all heads of queries and of keys';
  const own = layers.findIndex((spec) => 'noRope' in spec || 'localRope' in spec);
  if (own < 0) return null;
  return `layer ${own} with ${'noRope' in layers[own]! ? 'no rotation' : 'a rotation of its own'}`;
}

/**
 * A decoder-only language model as plain data. Read from and written to Hugging Face's config.json
 * (hf-config.ts). Every layer is: x += mixer(RMSNorm(x)); x += MLP(RMSNorm(x)), MLP = down(silu(gate) * up), where nothing
 * else is said.
 */
export interface ModelConfig extends MixerContext {
  modelType: 'llama' | 'qwen2' | 'qwen3' | 'jet_nemotron' | 'postnas';
  vocabSize: number;
  intermediateSize: number;
  mlpBias: boolean;
  /** Of the MLP's gate, in place of silu: GELU by its tanh form. */
  activation?: 'gelu_tanh';
  /** Where RMSNorms stand, if not before mixer and MLP: after each of the two (OLMo 2), or before and after (Gemma 3). */
  norms?: 'after' | 'around';
  /** The logits use the embedding matrix. */
  tieWordEmbeddings: boolean;
  /** Longest context the model was trained for, in tokens. */
  maxPositionEmbeddings: number;
  initializerRange: number;
  bosTokenId: number | null;
  eosTokenIds: number[];
  /** The token mixer of each layer; its length is the number of layers. */
  layers: MixerSpec[];
}
