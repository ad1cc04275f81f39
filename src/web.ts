/**
 * The library in a browser: load a model and write with it. Everything is computed where it is called, so that a page
 * that wants to stay responsive calls it in a worker. Models are named by their place (`Model.fromPretrained`), or are
 * files of the user (`blobFiles`).
 */
export type { MixerSpec } from './mixers/spec.ts';
export { blobFiles } from './model/blob-files.ts';
export type { ModelConfig } from './model/config.ts';
export type { GenerationConfig } from './model/generation-config.ts';
export type { HubOptions, ModelFiles } from './model/model-files.ts';
export type { Placement } from './model/placement.ts';
export { type ModelSummary, summarise } from './model/summary.ts';
export type { ChatMessage, ChatTemplateOptions, Tokenizer } from './model/tokenizer.ts';
export type { GeneratedToken } from './runtime/continuation.ts';
export { Engine, type EngineOptions } from './runtime/engine.ts';
export { type GenerateOptions, type LoadOptions, Model } from './runtime/model.ts';
export type { SamplingOptions } from './runtime/sampler.ts';
export type { Sequence } from './runtime/sequence.ts';
export { InputError } from './util/errors.ts';
export type { OnProgress, ProgressEvent } from './util/progress.ts';
