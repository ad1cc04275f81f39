import {
  add,
  div,
  float32,
  input,
  mul,
  Program,
  sqrt,
  sub,
  sum,
  type Tensor,
  type Value,
} from '../graph/index.ts';
import { type MatrixGroup, Muon } from './muon.ts';
import type { ParameterVector, Range, TrainedParameter } from './parameters.ts';

/**
 * AdamW (Loshchilov and Hutter 2019): Adam with decoupled weight decay, as a graph over whole vectors.
 *
 *   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2
 *   p = p (1 - lr decay) - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
 */
export interface AdamWOptions {
  beta1: number;
  beta2: number;
  eps: number;
  /** Decoupled weight decay; norms, biases and other vectors have none. */
  weightDecay: number;
  /** Gradients are scaled down to this global norm; Infinity for never. */
  clipNorm: number;
  /**
   * Learning rate of Muon for matrices (all but embeddings and the head) as a multiple of the schedule's; 0 for
   * AdamW throughout.
   */
  muon: number;
}

export const ADAMW_DEFAULTS: AdamWOptions = {
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weightDecay: 0.1,
  clipNorm: 1,
  muon: 0,
};

/** The state of the optimiser: first and second moments, and how many steps were taken. */
export interface Moments {
  m: ParameterVector;
  v: ParameterVector;
  step: number;
}

/** What changes from step to step, as numbers of the update. */
const ADAMW_NUMBERS = ['scale', 'rootCorrection', 'keep', 'rate'] as const;

/** The update of p by its gradient g, with moments m and v; the numbers are inputs of their names. */
export function adamwUpdate(
  { p, g, m, v }: Record<'p' | 'g' | 'm' | 'v', Tensor>,
  { beta1, beta2, eps }: AdamWOptions,
): Record<'newP' | 'newM' | 'newV', Tensor> {
  const number = (name: (typeof ADAMW_NUMBERS)[number]) => input(name, 'float32', []);
  const scaled = mul(g, number('scale'));
  const newM = add(mul(m, beta1), mul(scaled, 1 - beta1));
  const newV = add(mul(v, beta2), mul(mul(scaled, scaled), 1 - beta2));
  const direction = div(newM, add(mul(sqrt(newV), number('rootCorrection')), eps));
  return { newP: sub(mul(p, number('keep')), mul(direction, number('rate'))), newM, newV };
}

/** The numbers of step `step`, counted from 1. */
export function adamwNumbers(
  { beta1, beta2 }: AdamWOptions,
  { step, rate, decay, scale }: { step: number; rate: number; decay: number; scale: number },
): Record<(typeof ADAMW_NUMBERS)[number], Value> {
  const number = (x: number) => float32(Float32Array.of(x), []);
  return {
    scale: number(scale),
    rootCorrection: number(1 / Math.sqrt(1 - beta2 ** step)),
    keep: number(1 - rate * decay),
    rate: number(rate / (1 - beta1 ** step)),
  };
}

/** Takes steps in place. */
export interface Optimizer {
  /**
   * @param scale factor of the gradient before anything else, such as 1 / accumulated batches
   * @returns the norm of the scaled gradient before clipping; nothing is changed where it is not finite
   */
  step(
    parameters: ParameterVector,
    gradient: ParameterVector,
    moments: Moments,
    rate: number,
    scale?: number,
  ): Promise<number>;
  dispose(): Promise<void>;
}

/**
 * Elements that are updated at a time: what a block's nodes hand to each other stays in the processor's cache, and takes no
 * memory to speak of. Of whole vectors it would be several times the model, and takes a quarter longer.
 */
const BLOCK = 1 << 18;

/** On the CPU: the ranges of the vectors are updated in place, without a copy, block by block. */
export class AdamW implements Optimizer {
  private constructor(
    private readonly update: Program,
    private readonly squares: Program,
    private readonly muon: Muon,
    readonly options: AdamWOptions,
  ) {}

  /** @param threads of ONNX Runtime; 0 for all cores */
  static async create(options: Partial<AdamWOptions> = {}, threads = 0): Promise<AdamW> {
    const all = { ...ADAMW_DEFAULTS, ...options };
    const vector = (name: string) => input(name, 'float32', ['N']);
    const [p, g, m, v] = [vector('p'), vector('g'), vector('m'), vector('v')];
    return new AdamW(
      await Program.compile(adamwUpdate({ p, g, m, v }, all), { threads }),
      await Program.compile({ squares: sum(mul(g, g)) }, { threads }),
      new Muon(threads),
      all,
    );
  }

  async step(
    parameters: ParameterVector,
    gradient: ParameterVector,
    moments: Moments,
    rate: number,
    scale = 1,
  ): Promise<number> {
    const { weightDecay, clipNorm, muon } = this.options;
    const norm = Math.sqrt(await this.sumOfSquares(gradient)) * scale;
    if (!Number.isFinite(norm)) return norm;
    moments.step++;
    const clip = scale * Math.min(1, clipNorm / norm);
    for (const range of parameters.ranges) {
      const decay = range.decay ? weightDecay : 0;
      const own = rate * range.rate;
      let { from } = range;
      for (const group of muon > 0 ? matrixGroups(parameters, range) : []) {
        await this.adamw(parameters, gradient, moments, { from, to: group.start, decay, rate: own, clip });
        from = group.start + group.count * group.rows * group.columns;
        await this.muon.step(
          group,
          { parameters: parameters.data, gradient: gradient.data, momentum: moments.m.data },
          { learningRate: own * muon, weightDecay, scale: clip },
        );
      }
      await this.adamw(parameters, gradient, moments, { from, to: range.to, decay, rate: own, clip });
    }
    return norm;
  }

  private async sumOfSquares({ data, size }: ParameterVector): Promise<number> {
    let total = 0;
    for (let from = 0; from < size; from += BLOCK) {
      const { squares } = await this.squares.run({ g: part(data, from, Math.min(size, from + BLOCK)) });
      total += (squares!.data as Float32Array)[0]!;
    }
    return total;
  }

  private async adamw(
    parameters: ParameterVector,
    gradient: ParameterVector,
    moments: Moments,
    { from, to, decay, rate, clip }: { from: number; to: number; decay: number; rate: number; clip: number },
  ): Promise<void> {
    const numbers = adamwNumbers(this.options, { step: moments.step, rate, decay, scale: clip });
    for (let start = from; start < to; start += BLOCK) {
      const end = Math.min(to, start + BLOCK);
      const [p, g, m, v] = [parameters, gradient, moments.m, moments.v].map(({ data }) =>
        part(data, start, end),
      ) as [Value, Value, Value, Value];
      await this.update.run({ p, g, m, v, ...numbers }, { newP: p, newM: m, newV: v });
    }
  }

  async dispose(): Promise<void> {
    await this.muon.dispose();
    await this.update.dispose();
    await this.squares.dispose();
  }
}

/** A stretch of a vector, without a copy. */
function part(data: Float32Array, from: number, to: number): Value {
  return float32(data.subarray(from, to), [to - from]);
}

/** Moments before the first step. */
export function freshMoments(parameters: ParameterVector): Moments {
  return { m: parameters.like(), v: parameters.like(), step: 0 };
}

/** Whether Muon takes it, where it is used: matrices, but for embeddings and the head. */
export function isMuons({ name, shape, decay }: Pick<TrainedParameter, 'name' | 'shape' | 'decay'>): boolean {
  return decay && shape.length === 2 && !/embed_tokens|lm_head/.test(name);
}

/** The matrices of a range that Muon takes, in order of the layout, those of one shape together. */
function matrixGroups(parameters: ParameterVector, { from, to }: Range): MatrixGroup[] {
  const groups: MatrixGroup[] = [];
  for (const { name, shape, decay } of parameters.parameters) {
    if (!isMuons({ name, shape, decay })) continue;
    const [rows, columns] = shape as [number, number];
    const start = parameters.start(name);
    if (start < from || start >= to) continue;
    const last = groups.at(-1);
    const follows = last && start === last.start + last.count * rows * columns;
    if (follows && last.rows === rows && last.columns === columns) last.count++;
    else groups.push({ start, count: 1, rows, columns });
  }
  return groups;
}
