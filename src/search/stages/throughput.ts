import { join } from 'node:path';
import { sizedPart, withSizedPart } from '../../mixers/sized-part.ts';
import { openCheckpoint } from '../../model/checkpoint.ts';
import { hashOf } from '../../util/store/identity.ts';
import { measured } from '../measured.ts';
import { type BlockSpec, linearMixer } from '../network/linear-mixer.ts';
import { Network } from '../network/network.ts';
import { conditionsOf, costsOf } from '../run/cost.ts';
import { type MakeStage, stageFolder } from '../run/stage.ts';
import { chosenBlock, comparison } from './blocks/stages.ts';
import { untrainedHybrid } from './blocks/untrained.ts';
import { keptLayers } from './placement/agreed.ts';
import { uniformPlacement } from './placement/uniform.ts';
import type { ThroughputResult } from './throughput-result.ts';

/**
 * What decoding depends on (the paper's fourth finding: the size of the state, not the number of parameters): the
 * chosen hybrid with other dimensions at the same state size, with larger and smaller states, and with more and fewer
 * full layers, all timed in turns. Nothing is trained for it.
 */
export const throughputStage: MakeStage<'throughput'> = (context, findings) => {
  const { recipe, config, model, threads = 0 } = context;
  if (!recipe.dimensions?.throughput) return undefined;
  const variants = variantsOf(
    comparison('dimensions', context, findings)!.candidates.map(({ spec }) => spec),
    chosenBlock(findings)?.candidate.spec ?? linearMixer(recipe.placement!.mixer, config),
    keptLayers(context, findings),
    config.layers.length,
  );
  const { decode } = recipe;
  return {
    units: [],
    finish: async ({ onProgress, signal }) => {
      const kept = await measured(
        join(stageFolder(context, 'throughput'), 'found.json'),
        {
          config: hashOf(config),
          variants: Object.fromEntries(
            variants.map((variant) => [`${variant.series} ${variant.name}`, variant]),
          ),
          decode,
        },
        async () => {
          const { config, weights } = openCheckpoint(model);
          const hybrids = variants.map(({ placement, spec }) =>
            untrainedHybrid(new Network(config, weights), placement, spec),
          );
          const costs = await costsOf(hybrids, recipe, { onProgress, signal, threads });
          const points = variants.map(({ name, series, placement }, i) => ({
            ...{ name, series, fullLayers: placement.length },
            ...costs[i]!,
          }));
          return points;
        },
        { threads, onProgress },
      );
      return { decode: conditionsOf(recipe, kept.threads), points: kept.values };
    },
  };
};

interface Variant {
  name: string;
  series: ThroughputResult['points'][number]['series'];
  placement: readonly number[];
  spec: BlockSpec;
}

/** Factors of the state size beside 1. */
const SIZES = [0.25, 0.5, 2, 4];

function variantsOf(
  grid: readonly BlockSpec[],
  chosen: BlockSpec,
  placement: readonly number[],
  layers: number,
): Variant[] {
  const name = (spec: BlockSpec) => {
    const { heads, keyDim, valueDim } = sizedPart(spec);
    return `${heads}x${keyDim}x${valueDim}`;
  };
  const part = sizedPart(chosen);
  const counts = new Set([0, 1, 2, 4, 8, 16, 32, layers].filter((count) => count <= layers));
  return [
    ...grid.map((spec): Variant => ({ name: name(spec), series: 'dimensions', placement, spec })),
    ...SIZES.map((factor) =>
      withSizedPart(chosen, { ...part, valueDim: Math.round(part.valueDim * factor) }),
    ).map((spec): Variant => ({ name: name(spec), series: 'state size', placement, spec })),
    ...[...counts].map(
      (count): Variant => ({
        name: `${count} full`,
        series: 'full layers',
        placement: uniformPlacement(layers, count),
        spec: chosen,
      }),
    ),
  ];
}
