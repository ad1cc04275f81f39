import { add, div, float32, input, mul, Program, sqrt, sub, sum, type Value } from '../graph/index.ts';
import { type MatrixGroup, Muon } from './muon.ts';
import type { ParameterVector, Range } from './parameters.ts';

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

export class AdamW {
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
    const number = (name: string) => input(name, 'float32', []);
    const [p, g, m, v] = [vector('p'), vector('g'), vector('m'), vector('v')];
    const scaled = mul(g, number('scale'));
    const m1 = add(mul(m, all.beta1), mul(scaled, 1 - all.beta1));
    const v1 = add(mul(v, all.beta2), mul(mul(scaled, scaled), 1 - all.beta2));
    const direction = div(m1, add(mul(sqrt(v1), number('rootCorrection')), all.eps));
    const p1 = sub(mul(p, number('keep')), mul(direction, number('rate')));
    return new AdamW(
      await Program.compile({ newP: p1, newM: m1, newV: v1 }, { threads }),
      await Program.compile({ squares: sum(mul(g, g)) }, { threads }),
      new Muon(threads),
      all,
    );
  }

  /**
   * One step, in place.
   *
   * @param scale factor of the gradient before anything else, such as 1 / accumulated batches
   * @returns the norm of the scaled gradient before clipping
   */
  async step(
    parameters: ParameterVector,
    gradient: ParameterVector,
    moments: Moments,
    rate: number,
    scale = 1,
  ): Promise<number> {
    const { weightDecay, clipNorm, muon } = this.options;
    const { squares } = await this.squares.run({ g: float32(gradient.data, [gradient.size]) });
    const norm = Math.sqrt((squares!.data as Float32Array)[0]!) * scale;
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

  private async adamw(
    parameters: ParameterVector,
    gradient: ParameterVector,
    moments: Moments,
    { from, to, decay, rate, clip }: { from: number; to: number; decay: number; rate: number; clip: number },
  ): Promise<void> {
    if (from === to) return;
    const { beta1, beta2 } = this.options;
    const number = (x: number) => float32(Float32Array.of(x), []);
    const part = ({ data }: ParameterVector): Value => float32(data.subarray(from, to), [to - from]);
    const [p, m, v] = [part(parameters), part(moments.m), part(moments.v)];
    await this.update.run(
      {
        p,
        m,
        v,
        g: part(gradient),
        scale: number(clip),
        rootCorrection: number(1 / Math.sqrt(1 - beta2 ** moments.step)),
        keep: number(1 - rate * decay),
        rate: number(rate / (1 - beta1 ** moments.step)),
      },
      { newP: p, newM: m, newV: v },
    );
  }

  async dispose(): Promise<void> {
    await this.muon.dispose();
    await this.update.dispose();
    await this.squares.dispose();
  }
}

/** Moments before the first step. */
export function freshMoments(parameters: ParameterVector): Moments {
  return { m: parameters.like(), v: parameters.like(), step: 0 };
}

/** The matrices of a range that Muon takes, in order of the layout, those of one shape together. */
function matrixGroups(parameters: ParameterVector, { from, to }: Range): MatrixGroup[] {
  const groups: MatrixGroup[] = [];
  for (const { name, shape, decay } of parameters.parameters) {
    if (!decay || shape.length !== 2 || /embed_tokens|lm_head/.test(name)) continue;
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
