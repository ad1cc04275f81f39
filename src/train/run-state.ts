import { existsSync, renameSync, rmSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { SafetensorsFile, writeSafetensors } from '../model/safetensors.ts';
import { InputError } from '../util/errors.ts';
import type { Random } from '../util/random.ts';
import { differences } from '../util/store/differences.ts';
import { canonical, type Identity } from '../util/store/identity.ts';
import { OtherWorkError } from '../util/store/other-work.ts';
import type { Moments } from './adamw.ts';
import type { ParameterVector } from './parameters.ts';

/**
 * Everything a training run needs to go on as if it had never stopped: weights, moments, step and the state of
 * the random generator, in one file, so that they always belong together. The state before it is kept beside it, for
 * a file that was cut off or damaged after it was written.
 */
export interface RunState {
  /** Steps taken. */
  step: number;
  /** What they took, saving and judging included. */
  seconds: number;
  parameters: ParameterVector;
  moments: Moments;
  random: Random;
}

/** What the metadata of a state file hold beside the check sum of all. */
interface Described {
  step: string;
  updates: string;
  random: string;
  fingerprint: string;
}

/** Of the file's layout; files without one have no check sum. */
const VERSION = '2';

/** A file that does not hold what was written to it. */
class Damaged extends Error {}

/** Where the state before is kept. */
const previousOf = (path: string) => path.replace(/(\.[^./\\]*)?$/, '.previous$1');

/** The vectors of a state by their names in the file. */
function vectors({ parameters, moments }: RunState): Record<string, ParameterVector> {
  return { parameters, m: moments.m, v: moments.v };
}

/**
 * Writes the state beside its place and renames it there. `identity` says what the run is: its options.
 *
 * @throws InputError naming the file when it cannot be written; the state saved before is still there then
 */
export function saveRunState(path: string, state: RunState, identity: Identity): void {
  const described: Described = {
    step: String(state.step),
    updates: String(state.moments.step),
    random: JSON.stringify(state.random.state),
    fingerprint: JSON.stringify(identity),
  };
  const tensors = Object.entries(vectors(state));
  writeSafetensors(
    path,
    tensors.map(([name, { data, size }]) => ({ name, dtype: 'F32', shape: [size], data })),
    {
      ...described,
      seconds: String(state.seconds),
      version: VERSION,
      check: checkSum(
        described,
        tensors.map(([, { data }]) => data),
      ),
    },
    previousOf(path),
  );
}

/**
 * Loads a saved state into `state`, if the file exists. A damaged one is laid aside, and the state before it taken.
 *
 * @param onNotice is told of a damaged file, and what it costs
 * @returns whether there was one
 * @throws OtherWorkError when the file belongs to a run with other settings, or to another version
 */
export function loadRunState(
  path: string,
  state: RunState,
  identity: Identity,
  onNotice: (line: string) => void = () => {},
): boolean {
  const previous = previousOf(path);
  if (!existsSync(path)) {
    // Whoever deletes a state wants to start afresh.
    rmSync(previous, { force: true });
    return false;
  }
  try {
    take(path, state, identity);
    return true;
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    renameSync(path, `${path}.damaged`);
    const what = `${path} is damaged (${error.message}) and laid aside as ${path}.damaged`;
    if (existsSync(previous)) {
      renameSync(previous, path);
      try {
        take(path, state, identity);
        onNotice(`${what}; going on from the state before it, saved after step ${state.step}`);
        return true;
      } catch (again) {
        if (!(again instanceof Damaged)) throw again;
        rmSync(path);
      }
    }
    onNotice(`${what}; there is no good state before it: this training begins anew`);
    return false;
  }
}

/** Fills `state` from a file. @throws Damaged, with `state` as it was; InputError as loadRunState */
function take(path: string, state: RunState, identity: Identity): void {
  const { described, seconds, data } = readState(path, Object.keys(vectors(state)));
  const { step, updates, random } = described;
  const found: unknown = JSON.parse(described.fingerprint);
  if (canonical(found) !== canonical(identity)) {
    throw new OtherWorkError(path, differences(found, identity));
  }
  for (const [i, [name, { size }]] of Object.entries(vectors(state)).entries()) {
    if (data[i]!.length !== size) {
      throw new InputError(
        `${path}: tensor '${name}' has shape [${data[i]!.length}], this run has ${size} weights`,
      );
    }
  }
  for (const [i, vector] of Object.values(vectors(state)).entries()) vector.data.set(data[i]!);
  state.step = Number(step);
  state.seconds = seconds;
  state.moments.step = Number(updates);
  state.random.state = JSON.parse(random) as Random['state'];
}

/** @throws Damaged when the file cannot be understood or its check sum is another */
function readState(
  path: string,
  names: readonly string[],
): { described: Described; seconds: number; data: readonly Float32Array[] } {
  let version: string | undefined;
  try {
    const file = new SafetensorsFile(path);
    const { step, updates, random, fingerprint, check } = file.metadata;
    version = file.metadata.version;
    if (version === undefined || version === VERSION) {
      const described = { step, updates, random, fingerprint } as Described;
      for (const [name, text] of Object.entries(described)) {
        if (text === undefined) throw new Damaged(`it has no ${name}`);
      }
      const data = names.map((name) => file.read(name));
      if (version === VERSION && check !== checkSum(described, data)) {
        throw new Damaged('its check sum is another');
      }
      // States of earlier versions do not say it.
      const seconds = Number(file.metadata.seconds ?? 0);
      if (!(seconds >= 0)) throw new Damaged('its seconds are no number');
      return { described, seconds, data };
    }
  } catch (error) {
    // A header that was cut off or changed makes anything of a file but a state.
    throw new Damaged((error as Error).message);
  }
  throw new OtherWorkError(path, [
    `it is of another version of postnas (layout ${version}, this one has ${VERSION})`,
  ]);
}

/** Bytes that are summed at a time: a length is limited to 4 GB. */
const CHUNK = 1 << 30;

function checkSum(described: Described, data: readonly Float32Array[]): string {
  const { step, updates, random, fingerprint } = described;
  let sum = crc32(JSON.stringify([step, updates, random, fingerprint]));
  for (const { buffer, byteOffset, byteLength } of data) {
    for (let at = 0; at < byteLength; at += CHUNK) {
      sum = crc32(new Uint8Array(buffer, byteOffset + at, Math.min(CHUNK, byteLength - at)), sum);
    }
  }
  return sum.toString(16);
}
