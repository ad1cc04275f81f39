import { mixerOf } from '../../src/mixers/registry.ts';
import type { MixerSpec } from '../../src/mixers/spec.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { countParameters, mlpParameters } from '../../src/model/parameters.ts';
import { BranchWeights } from '../../src/search/network/branches.ts';
import { linearMixer } from '../../src/search/network/linear-mixer.ts';
import { align } from '../../src/search/train/align.ts';
import { trainSuperNetwork } from '../../src/search/train/super-network.ts';
import type { OnProgress } from '../../src/util/progress.ts';
import type { Random } from '../../src/util/random.ts';
import { randomNetwork, smolLm2 } from '../smollm2.ts';
import type { Section } from './section.ts';

/**
 * Floating-point operations of a token in products with weights, two per weight and product; what attention and
 * recurrences compute of tokens with tokens is left out.
 */
function operations(config: ModelConfig, spec: MixerSpec) {
  const matrices = (list: readonly { shape: readonly number[] }[]) =>
    countParameters(list.filter(({ shape }) => shape.length === 2));
  const attention = matrices(mixerOf(config.layers[0]!).parameters(config.layers[0]!, config));
  const mixer = matrices(mixerOf(spec).parameters(spec, config));
  const mlp = matrices(mlpParameters(config));
  const layers = config.layers.length;
  return {
    // Teacher; student forwards, and its weights' and its inputs' gradients.
    align: 2 * layers * (attention + mlp + 3 * mixer),
    // Teacher; student forwards twice, gradients of hidden states, and of the mixers' weights.
    features: 2 * layers * (attention + mlp + 2 * (mixer + mlp) + mixer + mlp + mixer),
  };
}

export const training: Section = {
  title: "Training on SmolLM2-135M's shapes, random weights, a linear mixer in every layer",
  options: { batch: 4, length: 1024, steps: 5, layers: 30, vocabulary: 49152 },
  columns: ['tokens/s', 'GFLOP/s', 'of the product', 'first step, s'],
  async *rows(options, adapter) {
    const { batch, length, steps, layers, vocabulary } = options as Record<string, number> & {
      [K in keyof typeof training.options]: number;
    };
    const config = smolLm2({ layers: layers!, vocabSize: vocabulary! });
    const shape = { batch: batch!, length: length! };
    const tokens = shape.batch * shape.length;
    for (const kind of ['gated_deltanet', 'jet_block']) {
      const network = randomNetwork(config);
      const spec = linearMixer(kind, config);
      const branches = new BranchWeights(
        network,
        config.layers.map((_, layer) => layer),
        spec,
      );
      branches.initialise(1);
      const shared = {
        branches,
        batches: {
          fill: (out: Int32Array, _width: number, random: Random) => {
            for (let i = 0; i < out.length; i++) out[i] = random.below(vocabulary!);
          },
        },
        shape,
        schedule: { peak: 1e-4, warmup: 1, steps: steps! + 1, decay: 'constant', final: 1 } as const,
        seed: 1,
        device: 'webgpu' as const,
      };
      const counted = operations(config, spec);
      const row = async (what: 'align' | 'features', train: (onProgress: OnProgress) => Promise<unknown>) => {
        const begun = performance.now();
        const ends: number[] = [];
        await train(() => ends.push(performance.now()));
        const seconds = ends
          .slice(1)
          .map((end, i) => (end - ends[i]!) / 1000)
          .sort((a, b) => a - b);
        const rate = tokens / seconds[seconds.length >> 1]!;
        const gflops = (rate * counted[what]) / 1e9;
        return [
          `${what}, ${kind}, ${shape.batch} x ${shape.length} tokens`,
          rate.toFixed(0),
          gflops.toFixed(1),
          `${((100 * gflops) / adapter.gflops).toFixed(1)} %`,
          ((ends[0]! - begun) / 1000).toFixed(1),
        ];
      };
      yield await row('align', (onProgress) => align({ ...shared, onProgress }));
      branches.attach();
      const sampling = { rule: 'fixed', path: config.layers.map(() => 1) } as const;
      yield await row('features', (onProgress) => trainSuperNetwork({ ...shared, sampling, onProgress }));
    }
  },
};
