import { existsSync } from 'node:fs';
import { SafetensorsFile, writeSafetensors } from '../model/safetensors.ts';
import { InputError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';
import type { Moments } from './adamw.ts';
import { differences } from './differences.ts';
import type { ParameterVector } from './parameters.ts';

/**
 * Everything a training run needs to go on as if it had never stopped: weights, moments, step and the state of
 * the random generator, in one file, so that they always belong together.
 */
export interface RunState {
  /** Steps taken. */
  step: number;
  parameters: ParameterVector;
  moments: Moments;
  random: Random;
}

/** A state was found that a run with other settings saved. */
export class OtherRunError extends InputError {
  /** @param differences a line for each setting: 'rows: 8 -> 4' */
  constructor(
    path: string,
    readonly differences: readonly string[],
  ) {
    super(
      `${path} was saved by a run with other settings:${differences.map((line) => `\n  ${line}`).join('')}\n` +
        'Delete it to begin anew, or give the settings it was begun with.',
    );
  }
}

/** The vectors of a state by their names in the file. */
function vectors({ parameters, moments }: RunState): Record<string, ParameterVector> {
  return { parameters, m: moments.m, v: moments.v };
}

/**
 * Writes the state beside its place and renames it there. `fingerprint` says what the run is (its options).
 *
 * @throws InputError naming the file when it cannot be written; the state saved before is still there then
 */
export function saveRunState(path: string, state: RunState, fingerprint: string): void {
  writeSafetensors(
    path,
    Object.entries(vectors(state)).map(([name, { data, size }]) => ({
      name,
      dtype: 'F32',
      shape: [size],
      data,
    })),
    {
      step: String(state.step),
      updates: String(state.moments.step),
      random: JSON.stringify(state.random.state),
      fingerprint,
    },
  );
}

/**
 * Loads a saved state into `state`, if the file exists.
 *
 * @returns whether there was one
 * @throws OtherRunError when the file belongs to a run with other settings, InputError when it is damaged
 */
export function loadRunState(path: string, state: RunState, fingerprint: string): boolean {
  if (!existsSync(path)) return false;
  const file = new SafetensorsFile(path);
  const { step, updates, random, fingerprint: found } = file.metadata;
  if (canonical(found) !== canonical(fingerprint)) {
    throw new OtherRunError(path, differences(JSON.parse(found ?? '{}'), JSON.parse(fingerprint)));
  }
  for (const [name, { size }] of Object.entries(vectors(state))) {
    const { shape } = file.info(name);
    if (shape.join() !== String(size)) {
      throw new InputError(`${path}: tensor '${name}' has shape [${shape}], this run has ${size} weights`);
    }
  }
  for (const [name, { data }] of Object.entries(vectors(state))) data.set(file.read(name));
  state.step = Number(step);
  state.moments.step = Number(updates);
  state.random.state = JSON.parse(random!) as Random['state'];
  return true;
}

/** The same text for the same options, in whatever order they were written. */
function canonical(fingerprint: string | undefined): string {
  return JSON.stringify(JSON.parse(fingerprint ?? '{}'), (_, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
