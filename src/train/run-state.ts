import { existsSync } from 'node:fs';
import { SafetensorsFile, writeSafetensors } from '../model/safetensors.ts';
import { InputError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';
import type { Moments } from './adamw.ts';
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
 * @throws InputError when the file belongs to a run with other options, or is damaged
 */
export function loadRunState(path: string, state: RunState, fingerprint: string): boolean {
  if (!existsSync(path)) return false;
  const file = new SafetensorsFile(path);
  const { step, updates, random, fingerprint: found } = file.metadata;
  if (canonical(found) !== canonical(fingerprint)) {
    throw new InputError(
      `${path} was saved by a run with other options${differences(found, fingerprint)}\n` +
        'Delete it to start afresh, or give the options it was started with.',
    );
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

/** The options in which two fingerprints differ, a line each. */
function differences(saved: string | undefined, now: string): string {
  const [before, after] = [saved, now].map((text) => JSON.parse(canonical(text)) as Record<string, unknown>);
  const lines = [...new Set([...Object.keys(before!), ...Object.keys(after!)])]
    .map((key) => ({ key, was: JSON.stringify(before![key]), is: JSON.stringify(after![key]) }))
    .filter(({ was, is }) => was !== is)
    .map(({ key, was, is }) => `\n  ${key}: saved ${was ?? 'without'}, now ${is ?? 'without'}`);
  return `:${lines.join('')}`;
}
