import { sizedPart } from '../../../mixers/sized-part.ts';
import { type BlockSpec, linearMixer } from '../../network/linear-mixer.ts';
import { type RunContext, training } from '../../run/context.ts';
import { type Findings, type MakeStage, type Stage, stageFolder } from '../../run/stage.ts';
import { tokensOf } from '../../train/settings.ts';
import { keptLayers } from '../placement/agreed.ts';
import { asFastThenBest, bestThenFastest, type ChoiceRule, meanScore } from './choice.ts';
import { type Candidate, type CompareSettings, compareBlocks, trialsOf } from './compare.ts';
import { designsNamed, jetDesigns } from './designs.ts';
import { nearbyHeads, sameStateSize } from './dimensions.ts';
import type { BlocksResult, BlocksStage } from './result.ts';
import { runTrial } from './trial.ts';

/** Stages 2 to 4: one comparison each, with other candidates. */

type Comparison = BlocksStage;

/** Stage 2: which block replaces attention. */
export const blocksStage: MakeStage<'blocks'> = (context, findings) =>
  stageOf(comparison('blocks', context, findings));

/** Stage 3: how a JetBlock is built. */
export const designStage: MakeStage<'design'> = (context, findings) =>
  stageOf(comparison('design', context, findings));

/** Stage 4: heads and widths at a fixed size of the state, on this machine. */
export const dimensionsStage: MakeStage<'dimensions'> = (context, findings) =>
  stageOf(comparison('dimensions', context, findings));

function stageOf(settings: CompareSettings | undefined): Stage<BlocksResult> | undefined {
  return (
    settings && {
      units: trialsOf(settings).map(({ candidate, seed }) => ({
        id: `${settings.stage}/seed-${seed}/${candidate.name}`,
        tokens: tokensOf(settings.align) + tokensOf(settings.train),
        run: (control) => runTrial({ ...settings, ...control }, candidate, seed),
      })),
      finish: (control) => compareBlocks({ ...settings, ...control }),
    }
  );
}

/** The settings of a comparison; undefined where the recipe leaves it out. */
export function comparison(
  stage: Comparison,
  context: RunContext,
  findings: Findings,
): CompareSettings | undefined {
  const { recipe, tasks, batches, model, threads, device } = context;
  const own = recipe[stage];
  if (!own) return undefined;
  return {
    stage,
    model,
    out: stageFolder(context, stage),
    placement: keptLayers(context, findings),
    start: own.start,
    windowDropout: own.windowDropout,
    seeds: recipe.seeds,
    tasks,
    batches,
    align: training(recipe, own, own.alignSteps, own.rate),
    train: training(recipe, own, own.trainSteps, own.rate),
    decode: recipe.decode,
    threads,
    device,
    ...candidatesOf(stage, context, findings),
  };
}

function candidatesOf(
  stage: Comparison,
  { recipe, config }: RunContext,
  findings: Findings,
): { candidates: Candidate[]; rule: ChoiceRule } {
  if (stage === 'blocks') {
    const { mixers } = recipe.blocks!;
    return {
      candidates: mixers.map((kind) => ({ name: kind, spec: linearMixer(kind, config) })),
      rule: bestThenFastest,
    };
  }
  if (stage === 'design') {
    const size = { heads: config.numHeads, keyDim: config.headDim, valueDim: config.headDim };
    const { designs } = recipe.design!;
    return {
      candidates: designs ? designsNamed(designs, size) : jetDesigns(size),
      rule: bestThenFastest,
    };
  }
  const { heads, aspect, convSizes, slack } = recipe.dimensions!;
  const spec = blockBefore('dimensions', recipe.placement!.mixer, config, findings);
  return {
    candidates: sameStateSize(spec, {
      heads: heads ?? nearbyHeads(sizedPart(spec).heads),
      aspect,
      // Which block it would be was not known when the recipe was written.
      convSizes: 'convSize' in sizedPart(spec) ? convSizes : [],
    }),
    rule: asFastThenBest(slack),
  };
}

/** In which order the stages that choose a block come: a later one's choice stands. */
const CHOOSING: readonly Comparison[] = ['dimensions', 'design', 'blocks'];

/**
 * The block that was chosen last before a stage. The design of the JetBlock counts where it beats the block of stage 2
 * on the same seeds and tasks, or where there was no stage 2: a JetBlock is one candidate among others.
 */
function blockBefore(
  stage: Comparison,
  mixer: string,
  config: RunContext['config'],
  findings: Findings,
): BlockSpec {
  const earlier = CHOOSING.slice(CHOOSING.indexOf(stage) + 1);
  return lastChoice(earlier, findings)?.candidate.spec ?? linearMixer(mixer, config);
}

/** What the stages have chosen, and in which of them it was trained; undefined if none of them was run. */
export function chosenBlock(findings: Findings): { stage: Comparison; candidate: Candidate } | undefined {
  return lastChoice(CHOOSING, findings);
}

function lastChoice(
  stages: readonly Comparison[],
  findings: Findings,
): { stage: Comparison; candidate: Candidate } | undefined {
  const choices = stages.flatMap((stage) => {
    const result = findings[stage];
    if (!result) return [];
    const found = result.candidates.find(({ name }) => name === result.choice.name)!;
    const candidate = { name: found.name, spec: found.spec as BlockSpec };
    return [{ stage, mean: meanScore(found), candidate }];
  });
  const [last, ...rest] = choices;
  if (!last || last.stage === 'dimensions') return last;
  // Of the kind of block and the design of the JetBlock, whichever came out better.
  return rest.reduce((best, each) => (each.mean > best.mean ? each : best), last);
}
