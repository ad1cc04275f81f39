import { createHash } from 'node:crypto';
import { float32, type Values } from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import { SafetensorsFile, type TensorToWrite, writeSafetensors } from '../model/safetensors.ts';
import { InputError } from '../util/errors.ts';
import type { Engine } from './engine.ts';
import { HostSequence } from './host-sequence.ts';
import type { Sequence } from './sequence.ts';

/**
 * A sequence as a safetensors file: `state.{name}` of linear layers, and of each attention layer in order the keys
 * and values that are still seen, `k.{i}` and `v.{i}` [KV, tokens, d], all float32. The metadata have the tokens and a
 * hash of the architecture.
 */

const FORMAT = 'postnas-sequence';

/** Writes what the engine remembers of these tokens. */
export function saveSequence(path: string, engine: Engine, sequence: Sequence, ids: readonly number[]): void {
  sequence.check();
  if (!(sequence instanceof HostSequence)) throw notOnHost();
  if (ids.length !== sequence.length) {
    throw new InputError(`the sequence has ${sequence.length} tokens, ${ids.length} were given for its file`);
  }
  const states = Object.entries(sequence.state).map(
    ([name, value]): TensorToWrite => ({
      name: `state.${name}`,
      dtype: 'F32',
      shape: [...value.dims],
      data: value.data as Float32Array,
    }),
  );
  const caches = sequence.caches.flatMap((cache, i) => {
    const { heads, width } = cache.shape;
    const shape = [heads, cache.length - cache.start, width];
    return (['k', 'v'] as const).map(
      (part): TensorToWrite => ({ name: `${part}.${i}`, dtype: 'F32', shape, data: () => cache.rows(part) }),
    );
  });
  writeSafetensors(path, [...states, ...caches], {
    format: FORMAT,
    architecture: architecture(engine.config),
    ids: ids.join(' '),
    starts: sequence.caches.map(({ start }) => start).join(' '),
  });
}

/**
 * Reads such a file.
 *
 * @throws InputError for a file of another kind or of a model of another architecture
 */
export function loadSequence(path: string, engine: Engine): { sequence: Sequence; ids: number[] } {
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
  const sequence = engine.start();
  if (!(sequence instanceof HostSequence)) throw notOnHost();
  for (const [name, value] of Object.entries(sequence.state)) {
    state[name] = float32(file.read(`state.${name}`), value.dims);
  }
  const first = numbers(starts);
  for (const [i, cache] of sequence.caches.entries()) {
    cache.restore(file.read(`k.${i}`), file.read(`v.${i}`), first[i]!, ids.length);
  }
  sequence.restore(state, ids.length);
  return { sequence, ids };
}

function notOnHost(): InputError {
  return new InputError("sequences on a device cannot be saved to files or loaded: use device 'cpu'");
}

function architecture(config: ModelConfig): string {
  return createHash('sha256').update(JSON.stringify(config)).digest('hex');
}
