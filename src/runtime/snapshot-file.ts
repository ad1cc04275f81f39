import { createHash } from 'node:crypto';
import { float32, type Values } from '../graph/index.ts';
import type { ModelConfig } from '../model/config.ts';
import { shown } from '../model/json-fields.ts';
import { SafetensorsFile, type TensorToWrite, writeSafetensors } from '../model/safetensors.ts';
import { FiniteTensors } from '../model/weights.ts';
import { InputError } from '../util/errors.ts';
import type { Engine } from './engine.ts';
import type { Sequence } from './sequence.ts';
import type { CachedTokens, SequenceContent } from './sequence-content.ts';
import { cachedGroups, fixedState } from './sequence-parts.ts';

/**
 * A sequence as a safetensors file: `state.{name}` of linear layers and of the rings of windows (ring.ts), and of each cache
 * of keys and values in order those that are still seen, `k.{i}` and `v.{i}` [heads, tokens, d], all float32. The metadata
 * have the tokens, the place of each cache's first key, a hash of the architecture, and under `sha256 {tensor}` one of each
 * tensor's bytes.
 */

const FORMAT = 'postnas-sequence';
/** How windows are kept: files without it had those of each layer in a cache. */
const WINDOWS = 'rings';

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
  refuseCachedSinks(engine.config);
  const { headDim: width } = engine.config;
  const groups = cachedGroups(engine.config);
  const { state, caches } = await engine.content(sequence);
  const tensor = (name: string, shape: readonly number[], data: Float32Array) => ({
    name,
    dtype: 'F32' as const,
    shape: [...shape],
    data,
  });
  const states = Object.entries(state).map(([name, value]) =>
    tensor(`state.${name}`, value.dims, value.data as Float32Array),
  );
  const cached = caches.flatMap(({ k, v }, i) => {
    const heads = groups[i]!.heads.length;
    const shape = [heads, k.length / (heads * width), width];
    return [tensor(`k.${i}`, shape, k), tensor(`v.${i}`, shape, v)];
  });
  const tensors = [...states, ...cached];
  writeSafetensors(path, tensors satisfies TensorToWrite[], {
    format: FORMAT,
    architecture: architecture(engine.config),
    windows: WINDOWS,
    ids: ids.join(' '),
    starts: caches.map(({ start }) => start).join(' '),
    ...Object.fromEntries(tensors.map(({ name, data }) => [`sha256 ${name}`, hashOf(data)])),
  });
}

/**
 * Reads such a file, whatever device it was made on.
 *
 * @throws InputError naming file and field for a file of another kind, of a model of another architecture, or that was
 * changed or damaged since it was written
 */
export async function loadSequence(
  path: string,
  engine: Engine,
): Promise<{ sequence: Sequence; ids: number[] }> {
  refuseCachedSinks(engine.config);
  const { content, ids } = readSequence(path, engine.config);
  return { sequence: await engine.restored(content, ids.length), ids };
}

/** @throws InputError for a window in a cache with sinks, which files have no place for */
function refuseCachedSinks(config: ModelConfig): void {
  const found = cachedGroups(config).find(({ sinks }) => sinks > 0);
  if (!found) return;
  throw new InputError(
    `layer ${found.layer} has a window of ${found.window} with sinks (${found.sinks}): files of sequences hold sinks of ` +
      'smaller windows only',
  );
}

/** @throws InputError naming file and field */
function readSequence(path: string, config: ModelConfig): { content: SequenceContent; ids: number[] } {
  const file = new SafetensorsFile(path);
  const { format, architecture: made, windows } = file.metadata;
  if (format !== FORMAT)
    throw new InputError(`${path} holds no sequence: format is '${format}', expected '${FORMAT}'`);
  if (made !== architecture(config)) {
    throw new InputError(`${path} was made by a model of another architecture`);
  }
  const states = fixedState(config).map(({ name, shape, ring }) => ({ name, shape: [1, ...shape], ring }));
  if (windows !== WINDOWS && states.some(({ ring }) => ring)) {
    throw new InputError(
      `${path}: windows is ${windows === undefined ? 'missing' : `'${windows}'`}, expected '${WINDOWS}': ` +
        'the file was written by another version of postnas, and its text must be read once more',
    );
  }
  const groups = cachedGroups(config);
  const ids = readIds(file, config);
  const starts = readStarts(
    file,
    groups.map(({ window }) => window),
    ids.length,
  );
  const cacheShape = (i: number) => [groups[i]!.heads.length, ids.length - starts[i]!, config.headDim];
  const expected = new Map([
    ...states.map(({ name, shape }) => [`state.${name}`, shape] as const),
    ...groups.flatMap((_, i) => [`k.${i}`, `v.${i}`].map((name) => [name, cacheShape(i)] as const)),
  ]);
  checkTensors(file, expected);
  const finite = new FiniteTensors(file, path);
  const read = (name: string) => {
    const values = finite.read(name);
    if (file.metadata[`sha256 ${name}`] !== hashOf(values)) {
      throw new InputError(`${path}: tensor '${name}' is not what was written: its SHA-256 is another one`);
    }
    return values;
  };
  const state: Values = {};
  for (const { name, shape } of states) state[name] = float32(read(`state.${name}`), shape);
  const caches = starts.map((start, i): CachedTokens => ({ k: read(`k.${i}`), v: read(`v.${i}`), start }));
  return { content: { state, caches }, ids };
}

function readIds(file: SafetensorsFile, { vocabSize, maxPositionEmbeddings }: ModelConfig): number[] {
  const ids = numbers(file, 'ids');
  const wrong = ids.find((id) => id >= vocabSize);
  if (wrong !== undefined) {
    throw new InputError(`${file.path}: ids has ${wrong}, expected token ids from 0 to ${vocabSize - 1}`);
  }
  if (ids.length > maxPositionEmbeddings) {
    throw new InputError(
      `${file.path}: ids has ${ids.length} tokens, the model's context holds ${maxPositionEmbeddings}`,
    );
  }
  return ids;
}

/** The place of the first token that each cache has: not after one that the next token sees. */
function readStarts(file: SafetensorsFile, windows: readonly number[], tokens: number): number[] {
  const starts = numbers(file, 'starts');
  if (starts.length !== windows.length) {
    throw new InputError(
      `${file.path}: starts has ${starts.length} numbers, expected ${windows.length}: one for each cache of keys`,
    );
  }
  for (const [i, start] of starts.entries()) {
    const last = Math.max(0, tokens + 1 - windows[i]!);
    if (start > last) {
      throw new InputError(
        `${file.path}: starts has ${start} for k.${i}, expected a place from 0 to ${last}`,
      );
    }
  }
  return starts;
}

/** Whole numbers from 0 on with spaces between, as the metadata have them. */
function numbers({ path, metadata }: SafetensorsFile, field: string): number[] {
  const text = metadata[field];
  if (text === '') return [];
  const list = text?.split(' ') ?? [];
  const wrong = list.find((item) => !/^\d{1,10}$/.test(item));
  if (list.length > 0 && wrong === undefined) return list.map(Number);
  const found = text === undefined ? 'is missing' : `has ${shown(wrong)}`;
  throw new InputError(`${path}: ${field} ${found}, expected whole numbers`);
}

function checkTensors(file: SafetensorsFile, expected: ReadonlyMap<string, readonly number[]>): void {
  for (const [name, shape] of expected) {
    if (!file.has(name)) throw new InputError(`${file.path}: tensor '${name}' is missing`);
    const found = file.info(name);
    if (found.dtype !== 'F32' || found.shape.join() !== shape.join()) {
      throw new InputError(
        `${file.path}: tensor '${name}' is ${found.dtype} [${found.shape}], expected F32 [${shape}]`,
      );
    }
  }
  const extra = file.names().find((name) => !expected.has(name));
  if (extra !== undefined)
    throw new InputError(`${file.path}: tensor '${extra}' belongs to no layer of the model`);
}

function hashOf({ buffer, byteOffset, byteLength }: Float32Array): string {
  return createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex');
}

function architecture(config: ModelConfig): string {
  return createHash('sha256').update(JSON.stringify(config)).digest('hex');
}
