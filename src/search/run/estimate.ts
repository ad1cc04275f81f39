import { openCheckpoint } from '../../model/checkpoint.ts';
import { DEFAULTS } from '../defaults.ts';
import { linearMixer } from '../network/linear-mixer.ts';
import { measureSteps } from '../train/rates.ts';
import { type RunContext, training } from './context.ts';
import { type PlannedStage, planOf } from './plan.ts';

/** Seconds that training takes: what is expected, and by the fastest and by the slowest step that was timed. */
interface Seconds {
  seconds: number;
  low: number;
  high: number;
}

export interface Estimate extends Seconds {
  stages: (PlannedStage & Seconds)[];
  tokens: number;
}

/**
 * What a run will take on this machine: tokens by the recipe, seconds by a few steps of both kinds of training on the
 * model's first layers with the first mixer. Judging and timing are not counted.
 *
 * @param jobs units done side by side, each with its threads
 */
export async function estimateRun(context: RunContext, jobs: number): Promise<Estimate> {
  const { recipe, config, batches, threads, device, onProgress, signal } = context;
  const { placement, blocks, design, dimensions, final } = recipe;
  const first = placement && !('layers' in placement) ? placement : (blocks ?? design ?? dimensions ?? final);
  const { batch, length } = training(recipe, first ?? {}, 1, 1);
  const shape = { batch, length };
  const mixer = linearMixer(
    (first === blocks && blocks?.mixers[0]) || (placement?.mixer ?? DEFAULTS.placement.mixer),
    config,
  );
  const checkpoint = openCheckpoint(context.model);
  const steps = await measureSteps({
    ...{ checkpoint, mixer, batches, threads, device, onProgress, signal },
    align: shape,
    train: shape,
  });
  const perStep = shape.batch * shape.length * jobs;
  const stages = planOf(context.recipe, context.config).map((stage) => {
    const by = (which: 'median' | 'low' | 'high') =>
      (stage.aligned * steps.align[which] + stage.trained * steps.train[which]) / perStep;
    return { ...stage, seconds: by('median'), low: by('low'), high: by('high') };
  });
  const sum = (value: (stage: (typeof stages)[number]) => number) =>
    stages.reduce((total, stage) => total + value(stage), 0);
  return {
    stages,
    tokens: sum(({ aligned, trained }) => aligned + trained),
    seconds: sum(({ seconds }) => seconds),
    low: sum(({ low }) => low),
    high: sum(({ high }) => high),
  };
}
