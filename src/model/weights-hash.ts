import { QUANTIZED_BLOCK } from '../graph/index.ts';
import { InputError } from '../util/errors.ts';
import { modelParameters } from './parameters.ts';
import type { Checkpoint } from './read-checkpoint.ts';
import type { TensorSource } from './tensor-source.ts';

/** Values of a tensor that count: runs of a few blocks, spread evenly. Small tensors count whole. */
const RUNS = 32;
const RUN = 4 * QUANTIZED_BLOCK;

/**
 * A short hash of a model's weights, by which it is told from others in a fraction of a second, whatever its size: of the
 * names and shapes of all tensors, and of up to 4,096 values of each. Training changes nearly all values, so that it
 * is seen; one value that was changed by hand need not be. Neither the files nor a type that holds the same values make
 * a difference. A copy in fewer bits that was made by `saveCheckpoint` has the hash of what it was made from.
 *
 * @returns 16 hexadecimal digits
 * @throws InputError where the system has no SHA-256: a page that is not served by https nor from this machine
 */
export async function weightsHash({ config, weights, roundedFrom }: Checkpoint): Promise<string> {
  if (roundedFrom !== undefined) return roundedFrom;
  if (!globalThis.crypto?.subtle) {
    throw new InputError(
      'weights cannot be told apart here: the page has to come by https, or from localhost',
    );
  }
  const tensors = [...modelParameters(config)].sort((a, b) => (a.name < b.name ? -1 : 1));
  const parts = tensors.flatMap(({ name, shape }) => [
    new TextEncoder().encode(`${name} [${shape}]\0`),
    ...samples(weights, name, shape),
  ]);
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function* samples(
  weights: TensorSource,
  name: string,
  shape: readonly number[],
): Generator<Float32Array<ArrayBuffer>> {
  const size = shape.reduce((a, b) => a * b, 1);
  if (size <= RUNS * RUN) {
    yield weights.read(name);
    return;
  }
  const whole = weights.part ? undefined : weights.read(name);
  for (let run = 0; run < RUNS; run++) {
    // At the beginnings of blocks, as weights of few bits are read.
    const from = Math.floor((run * (size - RUN)) / (RUNS - 1) / QUANTIZED_BLOCK) * QUANTIZED_BLOCK;
    yield whole?.slice(from, from + RUN) ?? weights.part!(name, from, RUN);
  }
}
