import { sourceOf } from '../../mixers/registry.ts';
import { openCheckpoint } from '../../model/checkpoint.ts';
import { hashOf, type Identity, without } from '../../util/store/identity.ts';
import { tasksIdentity } from '../judge/judge.ts';
import { linearMixer } from '../network/linear-mixer.ts';
import { Network } from '../network/network.ts';
import type { Recipe } from '../recipe.ts';
import { chosenBlock } from '../stages/blocks/stages.ts';
import { agreedPlacement } from '../stages/placement/agreed.ts';
import { dataHash, NUMBERS } from '../train/settings.ts';
import type { RunContext } from './context.ts';
import { type Findings, STAGES, type StageName, stagesOf, usedBy } from './stage.ts';

/**
 * What the stages of a run depend on, by names that people know from the recipe. Where files lie makes no difference: what
 * is in them counts. Nor do threads and the device: work goes on anywhere.
 */

/** What a stage looks at beside its own part of the recipe and what the stages that it uses found. */
const NEEDS = {
  /** Rows that are trained on, in the recipe's shape unless the stage has its own. */
  trains: ['placement', 'blocks', 'design', 'dimensions', 'final'],
  tasks: ['placement', 'blocks', 'design', 'dimensions', 'windows', 'mlps'],
  unseenTasks: ['placement'],
  finalTasks: ['final'],
  /** How decoding is timed. */
  times: ['blocks', 'design', 'dimensions', 'throughput', 'final'],
} satisfies Record<string, readonly StageName[]>;

const needs = (what: keyof typeof NEEDS, name: StageName) => (NEEDS[what] as StageName[]).includes(name);

/** Fields of a recipe that are not for all stages, and those that stand for files, of which the content counts. */
const ELSEWHERE = [
  ...['model', 'data', 'heldOut', 'field', 'heldOutShare', 'device'],
  // The examples themselves count.
  ...['tasks', 'examples', 'dataDir', 'shots'],
  ...['rows', 'length', 'decode'],
] as const;

/**
 * For each stage what its result depends on: its part of the recipe and the parts of all stages that it uses, with model,
 * data and tasks; in `found`, what those stages found, as far as it is known.
 */
export function stageIdentity(context: RunContext): (name: StageName, findings?: Findings) => Identity {
  const { recipe, model, batches, heldOut, tasks, freshTasks, finalTasks } = context;
  const { config, weights, generation } = openCheckpoint(model);
  const all = {
    numbers: NUMBERS,
    parent: new Network(config, weights).fingerprint(),
    generation,
    data: dataHash(batches, recipe.length),
    ...Object.fromEntries(
      Object.entries(recipe).filter(([key]) => ![...STAGES, ...ELSEWHERE].includes(key as StageName)),
    ),
  };
  const has = stagesOf(recipe);
  const sources = sourcesOf(context);
  // A placement that is given is no stage, but the stages that would use it do.
  const given = recipe.placement && 'layers' in recipe.placement ? recipe.placement : undefined;
  return (name, findings = {}) => {
    const used = usedBy(name);
    const chain = STAGES.filter((each) => each === name || (used.includes(each) && has.includes(each)));
    const some = (what: keyof typeof NEEDS) => chain.some((each) => needs(what, each));
    return {
      ...all,
      ...(some('tasks') && { tasks: tasksIdentity(tasks) }),
      ...(some('unseenTasks') && { unseenTasks: tasksIdentity(freshTasks) }),
      ...(some('finalTasks') && { finalTasks: tasksIdentity(finalTasks) }),
      ...(some('times') && { decode: recipe.decode }),
      // By it a training may end.
      ...(chain.includes('final') &&
        heldOut &&
        recipe.final!.patience > 0 && { heldOut: dataHash(heldOut, recipe.length) }),
      ...(sources && { sources }),
      ...(given && used.includes('placement') && { placement: given }),
      ...Object.fromEntries(chain.map((each) => [each, partOf(each, context)])),
      found: foundBy(used, findings),
    };
  };
}

/** The same for a part of a stage that is done with one seed alone. */
export function unitIdentity(
  context: RunContext,
  name: StageName,
  findings: Findings,
  seed: number,
): Identity {
  const { seeds: _, ...identity } = stageIdentity(context)(name, findings);
  return { ...identity, seed };
}

/** A stage's part of the recipe, as it is meant. */
function partOf(name: StageName, { recipe }: RunContext): object {
  const { rows, length } = recipe;
  const own = (recipe as Partial<Record<StageName, object>>)[name] ?? {};
  const part = needs('trains', name) ? { rows, length, ...own } : own;
  if (name === 'final') return placeless(part as NonNullable<Recipe['final']>);
  // Says whether there is another stage.
  return name === 'dimensions' ? without(part as NonNullable<Recipe['dimensions']>, 'throughput') : part;
}

/** What a final training depends on: the content of the hybrid, not its place, and whether there is a cache, not where. */
function placeless({ hybrid, cacheLogits, cacheLimit: _, ...final }: NonNullable<Recipe['final']>): object {
  const given = hybrid === undefined ? undefined : openCheckpoint(hybrid);
  return {
    ...final,
    ...(given && {
      student: new Network(given.config, given.weights).fingerprint(),
      generation: given.generation,
    }),
    cached: cacheLogits !== undefined,
  };
}

/** What the stages that one uses found and it is made of. */
function foundBy(used: readonly StageName[], findings: Findings): Identity {
  const known = Object.fromEntries(used.map((name) => [name, findings[name]])) as Findings;
  return {
    ...(known.placement && { placement: agreedPlacement(known.placement) }),
    block: chosenBlock(known)?.candidate.spec,
    windows: known.windows?.chosen,
  };
}

/** Hashes of the sources of mixers from outside that a recipe names. */
function sourcesOf({ recipe, config }: RunContext): Identity | undefined {
  const kinds = [recipe.placement?.mixer ?? [], recipe.blocks?.mixers ?? []].flat();
  const sources = kinds.flatMap((kind) => {
    const source = sourceOf(linearMixer(kind, config));
    return source ? [[kind, hashOf(source)]] : [];
  });
  return sources.length > 0 ? Object.fromEntries(sources) : undefined;
}
