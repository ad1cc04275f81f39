import { releasedJetBlock } from '../../src/mixers/jet-block.ts';
import type { MixerSpec } from '../../src/mixers/spec.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { countParameters, modelParameters } from '../../src/model/parameters.ts';
import { summarise } from '../../src/model/summary.ts';
import type { TensorInfo, TensorSource } from '../../src/model/tensor-source.ts';
import { BLOCK, keyBytes } from '../../src/runtime/device/recording.ts';
import { Engine } from '../../src/runtime/engine.ts';
import type { Sequence } from '../../src/runtime/sequence.ts';
import { Random } from '../../src/util/random.ts';
import type { Section } from './section.ts';

/** Generation: prompts read and tokens written with weights, states and caches on the device, random weights. */

const common = {
  rmsNormEps: 1e-6,
  ropeTheta: 1_000_000,
  ropeScaling: null,
  oBias: false,
  mlpBias: false,
  tieWordEmbeddings: true,
  maxPositionEmbeddings: 2 ** 20,
  initializerRange: 0.02,
  bosTokenId: null,
  eosTokenIds: [],
  headDim: 128,
  vocabSize: 151_936,
};

const A: MixerSpec = { kind: 'attention' };
const all = (count: number, at: (layer: number) => MixerSpec) =>
  Array.from({ length: count }, (_, i) => at(i));

/** Jet-Nemotron-2B (spec §1): full attention in 2 of 28 layers, windows in 2, JetBlock in the others. */
const JET = releasedJetBlock({ heads: 12, keyDim: 96, valueDim: 256 });
const SHAPES: Record<string, ModelConfig> = {
  'Jet-Nemotron-2B': {
    ...common,
    ...{ modelType: 'postnas', hiddenSize: 1536, intermediateSize: 8960, numHeads: 12, numKvHeads: 2 },
    ...{ qkvBias: true, qkNorm: false },
    layers: all(28, (i) =>
      i === 14 || i === 19 ? A : i === 20 || i === 21 ? { kind: 'sliding_window', window: 1152 } : JET,
    ),
  },
  'Qwen2.5-1.5B': {
    ...common,
    ...{ modelType: 'qwen2', hiddenSize: 1536, intermediateSize: 8960, numHeads: 12, numKvHeads: 2 },
    ...{ qkvBias: true, qkNorm: false },
    layers: all(28, () => A),
  },
  'Qwen3-1.7B': {
    ...common,
    ...{ modelType: 'qwen3', hiddenSize: 2048, intermediateSize: 6144, numHeads: 16, numKvHeads: 8 },
    ...{ qkvBias: false, qkNorm: true },
    layers: all(28, () => A),
  },
};

/** Uniform values made when they are read: a model of billions of weights is never in memory as a whole. */
export class DrawnTensors implements TensorSource {
  private readonly parameters;
  private readonly noise = Float32Array.from(
    { length: 65_521 },
    (_, i) => 0.07 * (((i * 40_503) % 65_521) / 65_521 - 0.5),
  );

  constructor(config: ModelConfig) {
    this.parameters = new Map(modelParameters(config).map((parameter) => [parameter.name, parameter]));
  }

  names(): string[] {
    return [...this.parameters.keys()];
  }

  has(name: string): boolean {
    return this.parameters.has(name);
  }

  info(name: string): TensorInfo {
    return { name, dtype: 'F32', shape: this.parameters.get(name)!.shape };
  }

  read(name: string): Float32Array<ArrayBuffer> {
    const { shape, init } = this.parameters.get(name)!;
    if (shape.length < 2) return Float32Array.from(init(new Random(1)));
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let at = 0; at < data.length; at += this.noise.length) {
      data.set(this.noise.subarray(0, data.length - at), at);
    }
    return data;
  }
}

/** A tiny model of the same kind, to see that all works: full attention, a window and a JetBlock. */
function tiny(config: ModelConfig): ModelConfig {
  const layers = [...new Map(config.layers.map((spec) => [spec.kind, spec])).values()].map(
    (spec): MixerSpec => (spec.kind === 'jet_block' ? { ...spec, heads: 2, keyDim: 8, valueDim: 16 } : spec),
  );
  const sizes = {
    hiddenSize: 64,
    intermediateSize: 96,
    numHeads: 4,
    numKvHeads: 2,
    headDim: 16,
    vocabSize: 512,
  };
  return { ...config, ...sizes, layers };
}

/** By name; all of them tiny if so asked. */
export function shapesOf(options: Readonly<Record<string, number>>): Record<string, ModelConfig> {
  const shapes = Object.entries(SHAPES);
  return Object.fromEntries(shapes.map(([name, shape]) => [name, options.tiny ? tiny(shape) : shape]));
}

const GIB = 2 ** 30;

/** By its bits, as options of this bench are numbers. */
export function dtypeOf(bits: number) {
  return bits === 16 ? 'f16' : bits === 8 ? 'q8' : bits === 4 ? 'q4' : 'f32';
}

export const decoding: Section = {
  title: 'Generation, random weights: prompts of one sequence, then steps of the largest batch that fits',
  options: {
    memory: 64,
    tokens: 32,
    bits: 16,
    prompt: 4096,
    contexts: 4,
    batch: 256,
    models: 3,
    first: 0,
    tiny: 0,
  },
  columns: ['batch', 'state of a sequence', 'decode tokens/s', 'step, ms', 'prefill tokens/s'],
  async *rows(options) {
    const {
      memory,
      tokens,
      bits,
      prompt,
      contexts,
      batch: most,
      models,
      first,
    } = options as Record<string, number> & {
      [K in keyof typeof decoding.options]: number;
    };
    for (const [name, config] of Object.entries(shapesOf(options)).slice(first!, first! + models!)) {
      const dtype = dtypeOf(bits!);
      await using engine = await Engine.create(config, new DrawnTensors(config), { device: 'webgpu', dtype });
      const random = new Random(1);
      const prefill = await prefillRate(engine, prompt!, random);
      // Weights are there for steps and for prompts.
      const weights = 2 * countParameters(modelParameters(config)) * (bits! / 8);
      for (let i = 0; i < contexts!; i++) {
        const context = (options.tiny ? 64 : 4096) * 4 ** i;
        const { stateBytes } = summarise(config, context + tokens!, 4);
        // Keys are copied, layer by layer, when a tail goes over into the past, and scores take room too, some at a time.
        const keys = keyBytes(config, context + 2 * BLOCK);
        const each = stateBytes + keys + 4 * 4 * config.numHeads * context;
        const fits = Math.floor((memory! * GIB - weights) / each);
        const batch = Math.min(most!, fits);
        const label = `${name}, ${dtype}, ${context} tokens`;
        const mega = `${(stateBytes / 1e6).toFixed(1)} MB`;
        if (batch < 1) {
          yield [label, '0', mega, 'does not fit', '', ''];
          continue;
        }
        const seconds = await stepSeconds(engine, { batch, context, tokens: tokens! });
        yield [
          label,
          String(batch),
          mega,
          (batch / seconds).toFixed(1),
          (1000 * seconds).toFixed(2),
          i === 0 ? `${prefill.toFixed(0)} (${prompt} tokens)` : '',
        ];
      }
    }
  },
};

/** The second of two readings: the first compiles what it needs. */
async function prefillRate(engine: Engine, tokens: number, random: Random): Promise<number> {
  let seconds = 0;
  for (let i = 0; i < 2; i++) {
    const ids = Array.from({ length: tokens }, () => random.below(engine.config.vocabSize));
    using sequence = engine.start();
    const begun = performance.now();
    await engine.append(sequence, ids);
    seconds = (performance.now() - begun) / 1000;
  }
  return tokens / seconds;
}

/** Median time of a step of a batch, all sequences of this length, which are drawn rather than read. */
async function stepSeconds(
  engine: Engine,
  { batch: size, context, tokens }: { batch: number; context: number; tokens: number },
): Promise<number> {
  const sequences: Sequence[] = await engine.drawn(size, context);
  const batch = engine.batch();
  for (const sequence of sequences) batch.add(sequence);
  let next = new Map(sequences.map((sequence) => [sequence, 1]));
  const times: number[] = [];
  for (let i = 0; i < tokens; i++) {
    const begun = performance.now();
    next = await batch.greedyStep(next);
    times.push((performance.now() - begun) / 1000);
  }
  for (const sequence of sequences) sequence.dispose();
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}
