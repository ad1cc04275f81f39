import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Device } from '../../graph/index.ts';
import { InputError } from '../../util/errors.ts';
import type { OnProgress } from '../../util/progress.ts';
import type { Recipe } from '../recipe.ts';
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

const COMPARISONS: readonly StageName[] = ['blocks', 'design', 'dimensions'];

/** The stages whose findings a stage is made of, where the recipe has them. */
const USES: Record<StageName, readonly StageName[]> = {
  placement: [],
  blocks: ['placement'],
  design: ['placement'],
  dimensions: ['placement', 'blocks', 'design'],
  throughput: ['placement', ...COMPARISONS],
  windows: ['placement', ...COMPARISONS],
  final: ['placement', ...COMPARISONS, 'windows'],
  mlps: ['placement'],
};

export const usedBy = (name: StageName): readonly StageName[] => USES[name];

/** These stages and those that use them. */
export function withDependents(names: readonly StageName[]): StageName[] {
  return STAGES.filter((name) => names.includes(name) || usedBy(name).some((used) => names.includes(used)));
}

/** The stages that a recipe has, in order. */
export function stagesOf({ placement, dimensions, ...recipe }: Recipe): StageName[] {
  const has = {
    ...recipe,
    dimensions,
    placement: placement && 'layers' in placement ? undefined : placement,
    throughput: dimensions?.throughput || undefined,
  };
  return STAGES.filter((name) => has[name] !== undefined);
}

/** Where a stage keeps its files: a folder in that of the run, or this itself for a run of one stage. */
export function stageFolder({ recipe, out }: Pick<RunContext, 'recipe' | 'out'>, name: StageName): string {
  return stagesOf(recipe).length === 1 ? out : join(out, name);
}

/**
 * A folder has the files of one stage, or a folder for each of several.
 *
 * @throws InputError for a folder that a run of the other kind has begun, an earlier version's among them
 */
export function checkLayout({ recipe, out }: Pick<RunContext, 'recipe' | 'out'>): void {
  const stages = stagesOf(recipe);
  const own = (name: string) => existsSync(join(out, name));
  if (stages.length === 1) {
    const other = STAGES.find((name) => own(join(name, 'stage.json')) || own(join(name, 'seed-1')));
    if (!other) return;
    throw new InputError(
      `${out} holds a run of several stages, or of an earlier version (${other}/): give another folder`,
    );
  }
  const other = ['stage.json', 'seed-1', 'parent.json'].find(own);
  if (!other) return;
  throw new InputError(
    `${out} holds a run of one stage (${other}), and this one has ${stages.join(', ')}: give another folder`,
  );
}

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
