import { join } from 'node:path';
import { isFullAttention, showArchitecture } from '../../../mixers/registry.ts';
import { openCheckpoint, saveCheckpoint } from '../../../model/checkpoint.ts';
import { noticeBy } from '../../../util/progress.ts';
import { hashOf } from '../../../util/store/identity.ts';
import { remember } from '../../../util/store/kept.ts';
import { objectiveOf } from '../../judge/judge.ts';
import { measured } from '../../measured.ts';
import { type Hybrid, holdsModel, hybridOf } from '../../network/hybrid.ts';
import { Network } from '../../network/network.ts';
import { chosenNetwork } from '../../run/chosen.ts';
import { type RunContext, training } from '../../run/context.ts';
import { conditionsOf, costsOf } from '../../run/cost.ts';
import { unitIdentity } from '../../run/identity.ts';
import { type Findings, type MakeStage, stageFolder, type Unit } from '../../run/stage.ts';
import { tokensOf } from '../../train/settings.ts';
import { judgeNetwork } from '../blocks/trial.ts';
import type { Judged } from '../placement/searcher.ts';
import { addWindows, windowPath } from '../windows.ts';
import { distill } from './distill.ts';
import type { FinalResult } from './result.ts';
import type { DistillSettings } from './settings.ts';

/**
 * The final training of the chosen architecture, or of a hybrid that is given, with every seed, judged after each of its
 * stages on examples that no stage of the search has seen.
 */
export const finalStage: MakeStage<'final'> = (context, findings) => {
  const { recipe, finalTasks } = context;
  const { final, seeds } = recipe;
  if (!final) return undefined;
  const stages = trainingsOf(context);
  return {
    units: seeds.map((seed) => ({
      id: `final/seed-${seed}`,
      tokens: Object.values(stages).reduce((sum, stage) => sum + tokensOf(stage), 0),
      run: (control) => finish(context, findings, seed, control),
    })),
    finish: async (control) => {
      const runs: FinalResult['runs'] = [];
      for (const seed of seeds) runs.push(await finish(context, findings, seed, control));
      const { config, weights } = openCheckpoint(context.model);
      const keep = join(stageFolder(context, 'final'), 'parent.json');
      return {
        architecture: showArchitecture(openCheckpoint(runs[0]!.hybrid).config.layers),
        objective: objectiveOf(finalTasks),
        examples: Math.max(...finalTasks.map(({ plan }) => plan.examples.length)),
        base: await judgeWhole(context, { config, weights }, keep, 'parent', control),
        runs,
        cost: await costOf(context, runs[0]!.hybrid, control),
      };
    },
  };
};

/** The trainings of a recipe that has a final stage. */
export function trainingsOf({ recipe }: RunContext) {
  const final = recipe.final!;
  return {
    features: training(recipe, final, final.featureSteps, final.featureRate),
    logits: training(recipe, final, final.logitSteps, final.logitRate),
    all: {
      ...training(recipe, final, final.allSteps, final.allRate),
      bodyRate: final.bodyRate,
      crossEntropy: final.crossEntropy,
      embeddings: final.embeddings,
    },
  };
}

/** The training of a seed, from the model to the student. */
export function distillation(context: RunContext, seed: number, student: string): DistillSettings {
  const { model, batches, heldOut, recipe, threads, device, signal } = context;
  const { temperature, cacheLogits, cacheLimit, dtype, windowDropout, rateLeft } = recipe.final!;
  const { patience, answersOnly = false } = recipe.final!;
  return {
    ...trainingsOf(context),
    teacher: model,
    student,
    out: seedFolder(context, seed),
    ...{ seed, batches, temperature, cacheLimit, dtype, threads, device, signal, rateLeft, answersOnly },
    ...(heldOut && { heldOut }),
    ...(heldOut && patience > 0 && { patience }),
    ...(cacheLogits !== undefined && { cacheLogits }),
    ...(windowDropout !== undefined && { windowDropout }),
  };
}

/** One training of a hybrid that is given has the stage's folder for itself. */
function seedFolder(context: RunContext, seed: number): string {
  const { final, seeds } = context.recipe;
  const folder = stageFolder(context, 'final');
  return final!.hybrid !== undefined && seeds.length === 1 ? folder : join(folder, `seed-${seed}`);
}

async function finish(
  context: RunContext,
  findings: Findings,
  seed: number,
  control: Parameters<Unit['run']>[0],
): Promise<FinalResult['runs'][number]> {
  const { model, recipe } = context;
  const folder = seedFolder(context, seed);
  const { student, fingerprint } = await studentOf(context, findings, seed, control);
  const identity = {
    ...unitIdentity(context, 'final', findings, seed),
    student: hashOf(student.config, fingerprint),
  };
  const hybrid = join(folder, 'hybrid');
  const label = `final, seed ${seed}`;
  const { onProgress } = control;
  const onNotice = noticeBy(onProgress, label);
  const { stages } = await remember(
    join(folder, 'found.json'),
    identity,
    async () => {
      const judged = new Map<string, Judged>();
      const judge = async (name: string, each: Hybrid) =>
        judged.set(
          name,
          await judgeWhole(context, each, join(folder, `judged-${name}.json`), label, control),
        );
      await judge('search', student);
      const own = recipe.final!.hybrid ?? join(folder, 'student');
      if (recipe.final!.hybrid === undefined) {
        const { generation } = openCheckpoint(model);
        await saveCheckpoint(own, student.config, student.weights, {
          dtype: 'F32',
          tokenizerFrom: model,
          generation,
          signal: control.signal,
        });
      }
      const trained = await distill({
        ...distillation(context, seed, own),
        ...control,
        onProgress: onProgress && ((event) => onProgress({ ...event, stage: `${label}: ${event.stage}` })),
        onNotice,
        afterStage: async (name, each) => void (await judge(name, each)),
      });
      const none = { curve: [], more: null };
      const before = { name: 'search', steps: 0, tokens: 0, seconds: 0, loss: 0, ...none };
      return {
        stages: [before, ...trained.stages].map((stage) => ({ ...stage, judged: judged.get(stage.name)! })),
      };
    },
    { onNotice, isWhole: () => holdsModel(hybrid) },
  );
  return { seed, stages, hybrid };
}

/** What is trained: the hybrid that is given, or the chosen architecture as the search trained it. */
async function studentOf(
  context: RunContext,
  findings: Findings,
  seed: number,
  control: Parameters<Unit['run']>[0],
): Promise<{ student: Hybrid; fingerprint: string }> {
  const { recipe, config } = context;
  if (recipe.final!.hybrid !== undefined) {
    const student = openCheckpoint(recipe.final!.hybrid);
    return { student, fingerprint: new Network(student.config, student.weights).fingerprint() };
  }
  const { network, placement } = await chosenNetwork(context, findings, seed, control);
  const windows = findings.windows?.chosen ?? [];
  addWindows(network, windows, recipe.windows?.size ?? 0, recipe.windows?.sinks);
  const student = hybridOf(network, windowPath(placement, windows, config.layers.length));
  return { student, fingerprint: network.fingerprint() };
}

/** What the parent and the finished hybrid cost, timed in turns. */
async function costOf(
  context: RunContext,
  hybrid: string,
  control: Parameters<Unit['run']>[0],
): Promise<FinalResult['cost']> {
  const { model, recipe, threads = 0 } = context;
  const models = [model, hybrid].map((folder) => openCheckpoint(folder));
  const [parent, finished] = models.map(({ config }) => hashOf(config));
  const { onProgress } = control;
  const kept = await measured(
    join(stageFolder(context, 'final'), 'cost.json'),
    { parent, finished, decode: recipe.decode },
    () => costsOf(models, recipe, { ...control, threads }),
    { threads, onProgress },
  );
  const [base, own] = kept.values;
  return { decode: conditionsOf(recipe, kept.threads), base: base!, hybrid: own! };
}

/** A model as it is, on the fresh examples; the layers of its placement are those with full attention. */
async function judgeWhole(
  { finalTasks: tasks }: RunContext,
  { config, weights }: Hybrid,
  keep: string,
  label: string,
  control: Parameters<Unit['run']>[0],
): Promise<Judged> {
  const layers = config.layers.map((_, layer) => layer);
  const judged = await judgeNetwork({ ...control, tasks }, new Network(config, weights), layers, keep, label);
  return { ...judged, placement: layers.filter((layer) => isFullAttention(config.layers[layer]!)) };
}
