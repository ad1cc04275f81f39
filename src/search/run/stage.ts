import type { Device } from '../../graph/index.ts';
import type { OnProgress } from '../../util/progress.ts';
import type { Result } from '../result.ts';
import type { RunContext } from './context.ts';

/** What a run has found so far: the parts of its result. */
export type Findings = Partial<
  Pick<Result, 'placement' | 'mlps' | 'blocks' | 'design' | 'dimensions' | 'throughput' | 'windows' | 'final'>
>;

export type StageName = keyof Findings;

/** In order; a stage may use what those before it found. */
export const STAGES: readonly StageName[] = [
  'placement',
  'blocks',
  'design',
  'dimensions',
  'throughput',
  'windows',
  'final',
  // No stage waits for it: it says whether the first one may be trusted.
  'mlps',
];

/** How the work of a stage is done. */
export interface Control {
  onProgress?: OnProgress;
  signal?: AbortSignal;
  threads?: number;
  /** Where it is trained and judged; the CPU unless told. */
  device?: Device;
}

/** A part of a stage that depends on no other part, so that parts can be done side by side, in any process. */
export interface Unit {
  /** Unique in the run: 'blocks/seed-1/gla'. */
  id: string;
  /** What is trained on, for progress and estimates; judging is not counted. */
  tokens: number;
  /** Does the work; what is found is kept in the stage's folder. Does nothing if that was done before. */
  run(control: Control): Promise<unknown>;
}

/** A stage with all settings known: those that earlier stages found included. */
export interface Stage<T = unknown> {
  units: readonly Unit[];
  /** Puts together what the units found, and measures what must have the machine for itself. */
  finish(control: Pick<Control, 'onProgress' | 'signal' | 'device'>): Promise<T>;
}

/** Makes a stage of what was found before; undefined where the recipe leaves it out. */
export type MakeStage<N extends StageName> = (
  context: RunContext,
  findings: Findings,
) => Stage<NonNullable<Findings[N]>> | undefined;
