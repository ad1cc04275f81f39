/**
 * The library: load a model and write with it, read and write checkpoints, import and download them. The graph engine
 * below it is `postnas/graph`; `postnas/search` makes hybrids.
 */
export { type ExportGgufOptions, exportGguf } from './export/gguf/export-gguf.ts';
export { type ExportJetOptions, exportJet } from './export/jet.ts';
export { type ExportOnnxOptions, exportOnnx } from './export/onnx/export-onnx.ts';
export type {
  AttentionSpec,
  DeltaNetSpec,
  GatedDeltaNetSpec,
  GlaSpec,
  HeadAttentionSpec,
  JetBlockSpec,
  KdaSpec,
  Mamba2Spec,
  MixerSpec,
  RetNetSpec,
  Rwkv7Spec,
  SlidingWindowSpec,
} from './mixers/spec.ts';
export { type Checkpoint, openCheckpoint, type SaveOptions, saveCheckpoint } from './model/checkpoint.ts';
export type { ModelConfig } from './model/config.ts';
export { loadTokenizer } from './model/folder.ts';
export type { GenerationConfig } from './model/generation-config.ts';
export { pull, resolveModel } from './model/hub.ts';
export { type ImportOptions, importCheckpoint } from './model/import/import-checkpoint.ts';
export { asJetNemotron } from './model/jet-nemotron.ts';
export type { HubOptions, ModelFiles } from './model/model-files.ts';
export { openPlaced, writePlacement } from './model/placed-folder.ts';
export { type Placement, placementOf } from './model/placement.ts';
export { type InitOptions, initCheckpoint } from './model/random-checkpoint.ts';
export type { StreamDecoder } from './model/stream-decoder.ts';
export type { TensorInfo, TensorSource } from './model/tensor-source.ts';
export type {
  ChatMessage,
  ChatTemplateOptions,
  LoadTokenizerOptions,
  Tokenizer,
} from './model/tokenizer.ts';
export { weightsHash } from './model/weights-hash.ts';
export type { Batch } from './runtime/batch.ts';
export type { Constraint, GeneratedToken } from './runtime/continuation.ts';
export { Engine, type EngineOptions } from './runtime/engine.ts';
export { type GenerateOptions, type LoadOptions, Model } from './runtime/model.ts';
export type { SamplingOptions } from './runtime/sampler.ts';
export {
  Overloaded,
  type ScheduledRequest,
  type ScheduledToken,
  Scheduler,
  type SchedulerOptions,
} from './runtime/scheduler.ts';
export type { Sequence } from './runtime/sequence.ts';
export { loadSequence, saveSequence } from './runtime/snapshot-file.ts';
export { InputError } from './util/errors.ts';
export type { OnProgress, ProgressEvent } from './util/progress.ts';
