import { createHash } from 'node:crypto';
import { float32, type Values } from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import { SafetensorsFile, type TensorToWrite, writeSafetensors } from '../model/safetensors.ts';
import { InputError } from '../util/errors.ts';
import type { Engine } from './engine.ts';
import { fixedState } from './segments.ts';
import type { Sequence } from './sequence.ts';

/**
 * A sequence as a safetensors file: `state.{name}` of linear layers, and of each attention layer in order the keys
 * and values that are still seen, `k.{i}` and `v.{i}` [KV, tokens, d], all float32. The metadata have the tokens and a
 * hash of the architecture.
 */

const FORMAT = 'postnas-sequence';

/** Writes what the engine remembers of these tokens, wherever it does. */
export async function saveSequence(
  path: string,
  engine: Engine,
  sequence: Sequence,
  ids: readonly number[],
): Promise<void> {
  sequence.check();
  if (ids.length !== sequence.length) {
    throw new InputError(`the sequence has ${sequence.length} tokens, ${ids.length} were given for its file`);
  }
  const { numKvHeads: heads, headDim: width } = engine.config;
  const { state, caches } = await engine.content(sequence);
  const tensor = (name: string, shape: readonly number[], data: Float32Array): TensorToWrite => ({
    name,
    dtype: 'F32',
    shape: [...shape],
    data,
  });
  const states = Object.entries(state).map(([name, value]) =>
    tensor(`state.${name}`, value.dims, value.data as Float32Array),
  );
  const cached = caches.flatMap(({ k, v }, i) => {
    const shape = [heads, k.length / (heads * width), width];
    return [tensor(`k.${i}`, shape, k), tensor(`v.${i}`, shape, v)];
  });
  writeSafetensors(path, [...states, ...cached], {
    format: FORMAT,
    architecture: architecture(engine.config),
    ids: ids.join(' '),
    starts: caches.map(({ start }) => start).join(' '),
  });
}

/**
 * Reads such a file, whatever device it was made on.
 *
 * @throws InputError for a file of another kind or of a model of another architecture
 */
export async function loadSequence(
  path: string,
  engine: Engine,
): Promise<{ sequence: Sequence; ids: number[] }> {
  const file = new SafetensorsFile(path);
  const { format, architecture: made, ids: text = '', starts = '' } = file.metadata;
  if (format !== FORMAT)
    throw new InputError(`${path} holds no sequence: format is '${format}', expected '${FORMAT}'`);
  if (made !== architecture(engine.config)) {
    throw new InputError(`${path} was made by a model of another architecture`);
  }
  const numbers = (list: string) => (list === '' ? [] : list.split(' ').map(Number));
  const ids = numbers(text);
  const state: Values = {};
  for (const { name, shape } of fixedState(engine.config)) {
    state[name] = float32(file.read(`state.${name}`), [1, ...shape]);
  }
  const caches = numbers(starts).map((start, i) => ({
    k: file.read(`k.${i}`),
    v: file.read(`v.${i}`),
    start,
  }));
  return { sequence: await engine.restored({ state, caches }, ids.length), ids };
}

function architecture(config: ModelConfig): string {
  return createHash('sha256').update(JSON.stringify(config)).digest('hex');
}
