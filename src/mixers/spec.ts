/**
 * Architecture as data: which token mixer a layer has, and its dimensions. Plain JSON; what a mixer does is in
 * the file of its kind.
 */

/** Rotary position encoding stretched to longer contexts the way Llama 3.1 does it. */
interface Llama3RopeScaling {
  type: 'llama3';
  factor: number;
  lowFreqFactor: number;
  highFreqFactor: number;
  originalMaxPositionEmbeddings: number;
}

/** Positions divided by `factor` ("linear" scaling). */
interface LinearRopeScaling {
  type: 'linear';
  factor: number;
}

/** YaRN (Peng et al. 2023): planes that turn often keep their speed, slow ones are divided by `factor`. */
interface YarnRopeScaling {
  type: 'yarn';
  factor: number;
  originalMaxPositionEmbeddings: number;
  /** Planes that turn more often than this over the original context keep their speed. */
  betaFast: number;
  /** Planes that turn less often than this are slowed down in full. */
  betaSlow: number;
  /** The planes where the ramp between the two begins and ends are whole numbers. */
  truncate: boolean;
  /** Of cosines and sines: logits of attention grow by its square. */
  attentionFactor: number;
}

export type RopeScaling = Llama3RopeScaling | LinearRopeScaling | YarnRopeScaling;

/** What a mixer has to know of the decoder around it. Letters of docs/glossary.md in brackets. */
export interface MixerContext {
  /** Model width [D]. */
  hiddenSize: number;
  /** Query heads of the attention layers [H]. */
  numHeads: number;
  /** Key and value heads of the attention layers; divides numHeads. */
  numKvHeads: number;
  /** Width of one attention head; query, key and value alike. */
  headDim: number;
  rmsNormEps: number;
  ropeTheta: number;
  ropeScaling: RopeScaling | null;
  /** Of layers that say `localRope`, which have no scaling. */
  localRopeTheta?: number;
  /** Bias on q_proj, k_proj and v_proj (Qwen2; Llama with attention_bias). */
  qkvBias: boolean;
  /** Bias on o_proj (Llama with attention_bias). */
  oBias: boolean;
  /** RMSNorm over each query and key head before the rotation (Qwen3). */
  qkNorm: boolean;
  /** Outputs of the heads are multiplied by sigmoid(G x), G `gate_proj`, before the output projection (Qwen 3.5). */
  attentionGate?: true;
  /** Share of each head that is rotated, its first channels; all when absent. */
  rotaryShare?: number;
  /** These norms are over all query heads together, and over all key heads (OLMo 2). */
  qkNormOfAll?: true;
}

/** What attention has whatever it sees. */
export interface AttentionForm {
  /** Queries and keys are not rotated (SmolLM3: every fourth layer). */
  noRope?: true;
  /** They are rotated by the theta that layers with windows have (Gemma 3), `localRopeTheta`. */
  localRope?: true;
}

export interface AttentionSpec extends AttentionForm {
  kind: 'attention';
}

/** Attention over the last `window` tokens, the current one included, and over the first `sinks` tokens of the text. */
export interface SlidingWindowSpec extends AttentionForm {
  kind: 'sliding_window';
  window: number;
  /** None when absent. */
  sinks?: number;
}

/** Attention in which some key and value heads, with their query heads, see all tokens, and the others a window. */
export interface HeadAttentionSpec extends AttentionForm {
  kind: 'head_attention';
  /** Key and value heads that see all tokens, ascending: some of them, but not all. */
  fullHeads: readonly number[];
  /** Tokens that the other heads see, the current one included. */
  window: number;
  /** First tokens of the text that they see besides; none when absent. */
  sinks?: number;
}

/** Multi-scale retention (Sun et al. 2023). */
export interface RetNetSpec {
  kind: 'retnet';
  heads: number;
  /** Key width of a head [K]. */
  keyDim: number;
  /** Value width of a head [V]. */
  valueDim: number;
  /** RMSNorm over each query and key head, as some parents' attention has it; no paper's block does. */
  qkNorm?: true;
  /** Biases of queries, keys and values, as some parents' attention has them; no paper's block does. */
  qkvBias?: true;
}

/** Gated linear attention (Yang et al. 2023). */
export interface GlaSpec {
  kind: 'gla';
  heads: number;
  /** Key width of a head [K]. */
  keyDim: number;
  /** Value width of a head [V]. */
  valueDim: number;
  /** Rank of the two-matrix projection that makes the decay. */
  gateRank: number;
  /** Rotate queries and keys as the parent's attention does. */
  rope: boolean;
  /** RMSNorm over each query and key head, as some parents' attention has it; no paper's block does. */
  qkNorm?: true;
  /** Biases of queries, keys and values, as some parents' attention has them; no paper's block does. */
  qkvBias?: true;
}

/** DeltaNet (Yang et al. 2024). */
export interface DeltaNetSpec {
  kind: 'deltanet';
  heads: number;
  keyDim: number;
  valueDim: number;
  /** Taps of the short causal convolutions on q, k and v [W]; 0 for none. */
  convSize: number;
  rope: boolean;
  /** Biases of queries, keys and values, as some parents' attention has them; no paper's block does. */
  qkvBias?: true;
}

/** Gated DeltaNet (Yang et al. 2024). */
export interface GatedDeltaNetSpec {
  kind: 'gated_deltanet';
  heads: number;
  keyDim: number;
  valueDim: number;
  /** Taps of the short causal convolutions on q, k and v [W]; 0 for none. */
  convSize: number;
  rope: boolean;
  /** Biases of queries, keys and values, as some parents' attention has them; no paper's block does. */
  qkvBias?: true;
  /** Of the RMSNorm over each head's output; 1e-5 when absent. */
  normEps?: number;
}

/** Kimi Delta Attention (Kimi Team 2025). */
export interface KdaSpec {
  kind: 'kda';
  heads: number;
  keyDim: number;
  valueDim: number;
  /** Rank of the two-matrix projections that make the decays and the output gate. */
  gateRank: number;
  /** Taps of the short causal convolutions on q, k and v [W]; 0 for none. */
  convSize: number;
  /** Biases of queries, keys and values, as some parents' attention has them; no paper's block does. */
  qkvBias?: true;
}

/** RWKV7 (Peng et al. 2025). Its projections of low rank r are two matrices, [r, D] and [out, r]. */
export interface Rwkv7Spec {
  kind: 'rwkv7';
  heads: number;
  keyDim: number;
  valueDim: number;
  /** Rank of what makes the decays. */
  decayRank: number;
  /** Rank of what makes the rates at which the state is corrected. */
  rateRank: number;
  /** Rank of what makes the output gate. */
  gateRank: number;
  /** Rank of what says how much of the first RWKV7 layer's values to take; 0 to take none. */
  valueRank: number;
  /** Biases of queries, keys and values, as some parents' attention has them; no paper's block does. */
  qkvBias?: true;
}

/** How neighbouring tokens are mixed into q, k or v: not, by one filter per channel, or by one for each token too. */
export type Convolution = 'none' | 'static' | 'dynamic';

/** JetBlock (Gu et al. 2025) and the blocks around it that a search can choose from. */
export interface JetBlockSpec {
  kind: 'jet_block';
  heads: number;
  keyDim: number;
  valueDim: number;
  qConv: Convolution;
  kConv: Convolution;
  vConv: Convolution;
  /** Taps of the convolutions [W]. */
  convSize: number;
  /** How many channels of a dynamic convolution share one hidden unit of the generator of its filters. */
  generatorReduction: number;
  /** What filters are generated from: the input of the mixer, or the projection that they are applied to. */
  generatorInput: 'hidden' | 'projection';
  /** Activation of the output gate. */
  gate: 'silu' | 'sigmoid';
  /** Rotate queries and keys as the parent's attention does; the released block does not and has no such field. */
  rope?: true;
  /** Biases of queries, keys and values, as some parents' attention has them; no paper's block does. */
  qkvBias?: true;
}

/** Mamba2, the scalar state-space duality (Dao, Gu 2024), in the words of attention. */
export interface Mamba2Spec {
  kind: 'mamba2';
  heads: number;
  /** Size of the state per value channel: width of B and C, which act as key and query [K]. */
  keyDim: number;
  /** Width of a head [V]. */
  valueDim: number;
  /** How many heads share B and C: 1, each its own; as many as there are heads, the usual Mamba2. Divides them. */
  headsPerGroup: number;
  /** Taps of the short causal convolution on x, B and C [W]. */
  convSize: number;
  /** RMSNorm over each query and key head, as some parents' attention has it; no paper's block does. */
  qkNorm?: true;
}

/**
 * A linear mixer from outside of the package, made known by `registerMixer`. Its state is sized as that of every block of
 * the search; what else could be set in it is in its code.
 */
export interface CustomSpec {
  kind: `custom_${string}`;
  heads: number;
  /** Key width of a head [K]. */
  keyDim: number;
  /** Value width of a head [V]. */
  valueDim: number;
}

/** What keeps a state of fixed size, whatever it has read. */
export type LinearSpec =
  | RetNetSpec
  | GlaSpec
  | DeltaNetSpec
  | GatedDeltaNetSpec
  | KdaSpec
  | JetBlockSpec
  | Mamba2Spec
  | Rwkv7Spec
  | CustomSpec;

/** Attention over a window and a linear mixer side by side: what the window has let go is in the other's state. */
export interface WindowLinearSpec {
  kind: 'window_linear';
  /** Tokens that the attention sees, the current one included. */
  window: number;
  /** First tokens of the text that it sees besides; none when absent. */
  sinks?: number;
  /** The mixer beside it, which sees all tokens. */
  linear: LinearSpec;
}

export type MixerSpec = AttentionSpec | SlidingWindowSpec | HeadAttentionSpec | WindowLinearSpec | LinearSpec;
export type MixerKind = MixerSpec['kind'];
export type BuiltInKind = Exclude<MixerKind, CustomSpec['kind']>;
