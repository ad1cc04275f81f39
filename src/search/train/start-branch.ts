import {
  constant,
  input,
  linear,
  matmul,
  reshape,
  sub,
  swapLast,
  type Tensor,
  type Value,
  type Values,
} from '../../graph/index.ts';
import type { AttentionReading, Calibration } from '../../mixers/calibration.ts';
import { mixerOf } from '../../mixers/registry.ts';
import type { LinearSpec } from '../../mixers/spec.ts';
import { weightInputs } from '../../model/decoder.ts';
import type { LayerPrograms } from '../../model/layer-programs.ts';
import { ridgeRegression } from './ridge.ts';

/** One layer's part of a calibrated start: a mixer's weights fitted to what was read of the attention. */

/** The same of output projections. */
const OUTPUT_RIDGE = 0.3;

/** Scales of outputs, as there is noise in what so few tokens say. */
const [LEAST, MOST] = [0.1, 10];

export function floats({ data }: Value): Float32Array {
  return data as Float32Array;
}

/** What was read of a layer, of query heads; see `readAttention`. */
export interface Seen {
  distance: readonly number[];
  entropy: readonly number[];
  one: Float32Array;
  heads: Value;
  y: Value;
  /** What the mixer gets [B, T, D]. */
  x: Value;
}

/** Of what is given, what a program takes. */
export async function placed(
  programs: LayerPrograms,
  names: readonly string[],
  given: Values,
): Promise<Values> {
  return programs.memory.place(Object.fromEntries(names.map((name) => [name, given[name]!])));
}

/** Starts a mixer, whose weights are changed in place. */
export async function startBranch(
  programs: LayerPrograms,
  part: LinearSpec,
  own: Calibration<LinearSpec>,
  seen: Seen,
  weights: Readonly<Values>,
  threads = 0,
): Promise<void> {
  const { config } = programs;
  const byHead = (values: readonly number[]) =>
    Array.from({ length: part.heads }, (_, head) => values[head] ?? mean(values));
  const reading: AttentionReading = {
    distance: byHead(seen.distance),
    entropy: byHead(seen.entropy),
    one: seen.one,
  };
  own.set(
    part,
    config,
    new Map(Object.entries(weights).map(([name, value]) => [name, floats(value)])),
    reading,
  );
  const output = floats(weights[own.output]!);
  const channels = part.heads * part.valueDim;
  const outputs = await programs.compiled(
    `heads ${JSON.stringify(part)}`,
    () => {
      const params = weightInputs(mixerOf(part).parameters(part, config));
      // In the output projection's place, so that what comes before it comes out.
      params[own.output] = identity(channels);
      const x = programs.hidden('x');
      return { heads: mixerOf(part).forward(part, config, { x, params, form: 'chunk' }).y };
    },
    { read: true },
  );
  const { heads } = await outputs.run(await placed(programs, outputs.inputNames, { x: seen.x, ...weights }));
  const order = own.order?.(part, reading);
  const scales = Array.from({ length: part.heads }, (_, head) =>
    headScale(
      { all: floats(heads!), head, width: part.valueDim, count: part.heads },
      { all: floats(seen.heads), head: order?.[head] ?? head, width: config.headDim, count: config.numHeads },
    ),
  );
  for (let i = 0; i < output.length; i++) output[i]! *= scales[Math.floor(i / part.valueDim) % part.heads]!;
  const rest = await programs.compiled(
    `rest ${channels}`,
    () => {
      const z = reshape(input('heads', 'float32', [programs.shape.batch, programs.shape.length, channels]), [
        -1,
        channels,
      ]);
      const weight = input('weight', 'float32', [config.hiddenSize, channels]);
      const left = sub(reshape(programs.hidden('y'), [-1, config.hiddenSize]), linear(z, weight));
      return { gram: matmul(swapLast(z), z), right: matmul(swapLast(z), left) };
    },
    { read: true },
  );
  const { gram, right } = await rest.run({ heads: heads!, y: seen.y, weight: weights[own.output]! });
  const change = await ridgeRegression(floats(gram!), floats(right!), OUTPUT_RIDGE, threads);
  for (let row = 0; row < config.hiddenSize; row++) {
    for (let c = 0; c < channels; c++) output[row * channels + c]! += change[c * config.hiddenSize + row]!;
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** A head of many that stand side by side in every row [tokens, count * width]. */
interface Head {
  all: Float32Array;
  head: number;
  width: number;
  count: number;
}

/** The scale by which one head is nearest to another, in the channels that both have; 1 where there is no other. */
function headScale(own: Head, other: Head): number {
  if (other.head >= other.count) return 1;
  const tokens = own.all.length / (own.width * own.count);
  const at = ({ head, width, count }: Head, token: number) => (token * count + head) * width;
  let [product, square] = [0, 0];
  for (let token = 0; token < tokens; token++) {
    const [a, b] = [at(own, token), at(other, token)];
    for (let c = 0; c < Math.min(own.width, other.width); c++) {
      product += own.all[a + c]! * other.all[b + c]!;
      square += own.all[a + c]! ** 2;
    }
  }
  return square > 0 ? Math.min(MOST, Math.max(LEAST, product / square)) : 1;
}

function identity(size: number): Tensor {
  return constant(
    Array.from({ length: size * size }, (_, n) => (n % (size + 1) === 0 ? 1 : 0)),
    [size, size],
  );
}
