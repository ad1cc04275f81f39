/** What a mixer of one's own is made of, beside the operations of `postnas/graph`: docs/guides/mixer.md has an example. */
export { joinHeads, splitHeads } from './attention.ts';
export type { AttentionReading, Calibration } from './calibration.ts';
export type { Recurrence, RecurrenceResult } from './chunks.ts';
export { DELTA_RULE } from './delta-rule.ts';
export { evenSoftplus } from './even-softplus.ts';
export { LINEAR_ATTENTION } from './linear-attention.ts';
export { startFromAttention } from './linear-start.ts';
export {
  type Form,
  linearWeight,
  type Mixer,
  type MixerInput,
  type MixerOutput,
  normalInit,
  type Parameter,
  type StateTensor,
  vector,
} from './mixer.ts';
export { registerMixer } from './registry.ts';
export { rope } from './rope.ts';
export type { CustomSpec, MixerContext } from './spec.ts';
