import type { StageName } from '../../search/run/stage.ts';

/** What the stages of a run are about, as headings. */
export const STAGE_TITLES: Record<StageName, string> = {
  placement: 'Stage 1: where full attention stays',
  blocks: 'Stage 2: which block',
  design: 'Stage 3: how it is built',
  dimensions: 'Stage 4: heads and widths',
  throughput: 'What decoding depends on',
  windows: 'Sliding windows',
  final: 'The final model',
  mlps: 'Frozen or trained MLPs',
};
