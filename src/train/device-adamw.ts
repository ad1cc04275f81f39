import {
  add,
  float32,
  input,
  type Memory,
  mul,
  type Program,
  split,
  squeeze,
  stack,
  sum,
  type Tensor,
  type Value,
  type Values,
} from '../graph/index.ts';
import {
  ADAMW_DEFAULTS,
  AdamW,
  type AdamWOptions,
  adamwNumbers,
  adamwUpdate,
  isMuons,
  type Moments,
  type Optimizer,
} from './adamw.ts';
import { muonNumbers, muonUpdate } from './muon.ts';
import type { ParameterVector } from './parameters.ts';

/** The optimiser for where a training runs. */
export function optimizerFor(
  memory: Memory,
  options: Partial<AdamWOptions> = {},
  threads = 0,
): Promise<Optimizer> {
  return memory.device === 'cpu'
    ? AdamW.create(options, threads)
    : Promise.resolve(new DeviceAdamW(memory, { ...ADAMW_DEFAULTS, ...options }));
}

/** Tensors updated by one run: on a device a run of many small nodes costs what a run of many large ones does. */
const AT_ONCE = 8;
/** And how many elements they may have together, unless one has more. */
const ELEMENTS = 1 << 26;

/** Tensors of one shape that are updated alike, side by side in the vectors. */
interface Group {
  names: string[];
  shape: readonly number[];
  start: number;
  size: number;
  /** Of each tensor. */
  decay: boolean;
  rate: number;
  muon: boolean;
}

/**
 * AdamW and Muon on a device, where a vector is a value per tensor. Moments are stacked by group, and only gradients
 * and weights are tensors of their own.
 */
class DeviceAdamW implements Optimizer {
  private readonly programs = new Map<string, Promise<Program>>();
  private groups: { of: ParameterVector; list: Group[] } | undefined;

  constructor(
    private readonly memory: Memory,
    private readonly options: AdamWOptions,
  ) {}

  async step(
    parameters: ParameterVector,
    gradient: ParameterVector,
    moments: Moments,
    rate: number,
    scale = 1,
  ): Promise<number> {
    const { memory, options } = this;
    const { weightDecay, clipNorm } = options;
    const groups = this.groupsOf(parameters);
    const norm = (await this.norm(groups, gradient)) * scale;
    if (!Number.isFinite(norm)) return norm;
    moments.step++;
    const clip = scale * Math.min(1, clipNorm / norm);
    let numbers: { key: string; values: Values } = { key: '', values: {} };
    for (const group of groups) {
      const [rows = 1, columns = 1] = group.shape;
      const key = JSON.stringify([group.decay, group.rate, group.muon, group.muon && rows / columns]);
      if (numbers.key !== key) {
        memory.free(...Object.values(numbers.values));
        const own = rate * group.rate;
        const values: Values = group.muon
          ? muonNumbers({ rows, columns }, { learningRate: own * options.muon, weightDecay, scale: clip })
          : adamwNumbers(options, {
              step: moments.step,
              rate: own,
              decay: group.decay ? weightDecay : 0,
              scale: clip,
            });
        numbers = { key, values: await this.uploaded(values) };
      }
      await this.update(group, parameters, gradient, moments, numbers.values);
    }
    memory.free(...Object.values(numbers.values));
    return norm;
  }

  private async uploaded(values: Values): Promise<Values> {
    const uploaded: Values = {};
    for (const [name, value] of Object.entries(values)) uploaded[name] = await this.memory.upload(value);
    return uploaded;
  }

  /** Summed up on the device: one number comes down. */
  private async norm(groups: readonly Group[], gradient: ParameterVector): Promise<number> {
    const { memory } = this;
    let squares = await memory.upload(float32(Float32Array.of(0), []));
    for (const { names, shape } of groups) {
      const program = await this.compiled(`squares ${names.length} [${shape}]`, () => {
        const g = stacked('g', names.length, shape);
        return { squares: add(input('before', 'float32', []), sum(mul(g, g))) };
      });
      const feeds = { before: squares, ...(await this.tensors('g', names, gradient)) };
      const next = (await memory.run(program, feeds)).squares!;
      memory.free(squares);
      squares = next;
    }
    return Math.sqrt((await memory.numbers([squares]))[0]!);
  }

  private async update(
    group: Group,
    parameters: ParameterVector,
    gradient: ParameterVector,
    moments: Moments,
    numbers: Values,
  ): Promise<void> {
    const { memory, options } = this;
    const { names, shape, muon } = group;
    const count = names.length;
    const program = await this.compiled(`update ${muon} ${count} [${shape}]`, () => {
      const moment = (name: string) => input(name, 'float32', [count, ...shape]);
      const [p, g] = [stacked('p', count, shape), stacked('g', count, shape)];
      const { newP, ...rest } = muon
        ? muonUpdate({ p, g, m: moment('m') })
        : adamwUpdate({ p, g, m: moment('m'), v: moment('v') }, options);
      const sizes = names.map(() => 1);
      const parts = count === 1 ? [newP] : split(newP, 0, sizes);
      return { ...rest, ...Object.fromEntries(parts.map((part, i) => [`p${i}`, squeeze(part, 0)])) };
    });
    const place = ({ data }: ParameterVector): Value =>
      float32(data.subarray(group.start, group.start + group.size), [count, ...shape]);
    const own: Values = muon ? { m: place(moments.m) } : { m: place(moments.m), v: place(moments.v) };
    const feeds = {
      ...numbers,
      ...(await this.tensors('p', names, parameters)),
      ...(await this.tensors('g', names, gradient)),
      ...(await memory.place(own)),
    };
    const values = parameters.values();
    await memory.run(program, feeds, {
      newM: own.m!,
      ...(own.v ? { newV: own.v } : {}),
      ...Object.fromEntries(names.map((name, i) => [`p${i}`, values[name]!])),
    });
  }

  private tensors(prefix: string, names: readonly string[], vector: ParameterVector) {
    const values = vector.values();
    return this.memory.place(Object.fromEntries(names.map((name, i) => [`${prefix}${i}`, values[name]!])));
  }

  private compiled(key: string, build: () => Record<string, Tensor>): Promise<Program> {
    const known = this.programs.get(key);
    if (known) return known;
    const program = this.memory.compile(build());
    this.programs.set(key, program);
    return program;
  }

  private groupsOf(parameters: ParameterVector): Group[] {
    if (this.groups?.of === parameters) return this.groups.list;
    const list: Group[] = [];
    for (const parameter of parameters.parameters) {
      const { name, shape, decay, rate = 1 } = parameter;
      const size = shape.reduce((a, b) => a * b, 1);
      const muon = this.options.muon > 0 && isMuons(parameter);
      const last = list.at(-1);
      const alike =
        last &&
        last.shape.join() === shape.join() &&
        last.decay === decay &&
        last.rate === rate &&
        last.muon === muon;
      if (alike && last.names.length < AT_ONCE && last.size + size <= ELEMENTS) {
        last.names.push(name);
        last.size += size;
      } else {
        list.push({ names: [name], shape, start: parameters.start(name), size, decay, rate, muon });
      }
    }
    this.groups = { of: parameters, list };
    return list;
  }

  async dispose(): Promise<void> {
    for (const program of this.programs.values()) await this.memory.release(await program);
    this.programs.clear();
  }
}

/** Inputs of one shape, stacked: [count, ...shape]. */
function stacked(prefix: string, count: number, shape: readonly number[]): Tensor {
  return stack(
    Array.from({ length: count }, (_, i) => input(`${prefix}${i}`, 'float32', shape)),
    0,
  );
}
