import { mixerOf } from '../../mixers/registry.ts';
import { InputError } from '../../util/errors.ts';
import { checkTraining } from '../bounds.ts';
import { DEFAULTS } from '../defaults.ts';
import { linearMixer } from '../network/linear-mixer.ts';
import { checkComparison } from '../stages/blocks/compare.ts';
import { longestPrompt } from '../stages/blocks/decode-speed.ts';
import { designsNamed } from '../stages/blocks/designs.ts';
import { comparison } from '../stages/blocks/stages.ts';
import { checkDistillation } from '../stages/final/check.ts';
import { distillation, trainingsOf } from '../stages/final/stage.ts';
import { checkSearch } from '../stages/placement/search.ts';
import { searchSettings } from '../stages/placement/stage.ts';
import { startOf } from '../train/calibrate.ts';
import { ledBy, type RunContext, training } from './context.ts';

/** @throws InputError where a block may be chosen that has no window to leave out */
function checkWindowDropout({ recipe, config }: RunContext): void {
  const { final, blocks, design } = recipe;
  const given = recipe.placement?.mixer ?? DEFAULTS.placement.mixer;
  const kinds = blocks?.mixers ?? [given];
  const refuse = (stage: string, mixers: readonly string[], jets = false) => {
    const without = mixers.find((kind) => !mixerOf(linearMixer(kind, config)).beside);
    if (without === undefined && !jets) return;
    throw new InputError(
      `${stage}.windowDropout is for blocks beside a window, such as gated_deltanet+rope+window128, and not for ` +
        `${without ?? 'the designs of the JetBlock'}`,
    );
  };
  if (recipe.placement && 'windowDropout' in recipe.placement && recipe.placement.windowDropout) {
    refuse('placement', [given]);
  }
  if (blocks?.windowDropout) refuse('blocks', kinds);
  if (design?.windowDropout) refuse('design', [], true);
  if (recipe.dimensions?.windowDropout) refuse('dimensions', kinds, design !== undefined);
  if (final?.windowDropout && final.hybrid === undefined) refuse('final', kinds, design !== undefined);
}

/**
 * Whether a model allows all that a recipe wants of it, before the first of its stages begins: what a later stage would
 * refuse costs the hours of those before it.
 *
 * @throws InputError naming the stage and what it may have
 */
export function checkRun(context: RunContext): void {
  const { recipe, config, tasks, finalTasks } = context;
  const held = config.layers.length;
  const search = searchSettings(context);
  if (search) checkSearch(search, config);
  const { final } = recipe;
  if (final?.hybrid !== undefined) {
    for (const seed of recipe.seeds) checkDistillation(distillation(context, seed, final.hybrid));
  }
  for (const stage of ['blocks', 'design', 'dimensions'] as const) {
    const own = recipe[stage];
    if (!own) continue;
    // With a placement that is given all of it is known now.
    if (!search) checkComparison(comparison(stage, context, {})!);
    checkTraining(`${stage}, alignment`, training(recipe, own, own.alignSteps, own.rate), config);
    checkTraining(`${stage}, training`, training(recipe, own, own.trainSteps, own.rate), config, { held });
  }
  for (const kind of recipe.blocks?.mixers ?? []) startOf(linearMixer(kind, config), recipe.blocks?.start);
  checkWindowDropout(context);
  const { numHeads: heads, headDim } = config;
  designsNamed(recipe.design?.designs ?? [], { heads, keyDim: headDim, valueDim: headDim });
  if (recipe.windows) ledBy(tasks, recipe.windows.objective);
  if (recipe.final) {
    for (const [name, stage] of Object.entries(trainingsOf(context))) {
      checkTraining(`final, ${name}`, stage, config, { held, least: 0 });
    }
    const long = finalTasks.find(({ plan }) => plan.longest > config.maxPositionEmbeddings);
    if (long) {
      throw new InputError(
        `final: the task ${long.plan.name} has rows of ${long.plan.longest} tokens, longer than the model's context of ` +
          `${config.maxPositionEmbeddings}`,
      );
    }
  }
  const { context: prompt, tokens } = recipe.decode;
  const timed = recipe.blocks ?? recipe.design ?? recipe.dimensions ?? recipe.final;
  if (timed && prompt > longestPrompt(config, tokens)) {
    throw new InputError(
      `decode: a context of ${prompt} tokens, but with ${tokens} timed tokens the model's context leaves room for ` +
        `${longestPrompt(config, tokens)}`,
    );
  }
}
