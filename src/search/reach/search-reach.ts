import { join } from 'node:path';
import { openCheckpoint } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { loadTokenizer } from '../../model/folder.ts';
import { resolveModel } from '../../model/hub.ts';
import { countParameters, modelParameters } from '../../model/parameters.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';
import { checkField, openCorpus, trainingText } from '../../tasks/corpus/corpus.ts';
import { readingOf } from '../../tasks/reading.ts';
import { speaksOfTheWorld } from '../../tasks/texts.ts';
import type { TextSource } from '../../train/batches.ts';
import { defined } from '../../util/defined.ts';
import { InputError } from '../../util/errors.ts';
import { writeFileAtomic } from '../../util/files.ts';
import { noticeBy } from '../../util/progress.ts';
import { range } from '../../util/range.ts';
import { filesIdentity } from '../files-identity.ts';
import { thisMachine } from '../machine.ts';
import { assemble, fits, type Unit } from './assemble.ts';
import { inOrder, randomUnits, uniformLayers } from './baselines.ts';
import { layerCosts, placementCost } from './costs.ts';
import { eliminate } from './eliminate.ts';
import { distanceBounds, familiesOf, recallExamples, textExamples } from './examples.ts';
import { shownForecast } from './forecast.ts';
import { checkFullAttention, checkReachOptions, REACH, type SearchReachOptions } from './options.ts';
import { fullHeadsOf, type ReachPlacement, shownPlacement, windowed, withAllHeads } from './placement.ts';
import { type JudgedReach, type JudgeExamples, ReachJudge } from './reach-judge.ts';
import { ReachModel } from './reach-model.ts';
import { refine, unitKey } from './refine.ts';
import { type PlacedReach, REACH_FORMAT, type ReachBudget, type ReachResult, reachSchema } from './result.ts';
import { LONGEST_FULL, scoreUnits, type UnitScores } from './scores.ts';

/** Seeds of the examples that are searched by, and of those that are reported. */
const [SEARCHED, REPORTED] = [31, 37];
/** Rows of a user's text, tokens of each, and how many of its last are judged. */
const TEXT = { rows: 3, length: 673, judged: 32 };
/** The same for what is reported. */
const REPORTED_TEXT = { rows: 6, length: 1089, judged: 256 };
/** Questions that are asked at least: few of them would be learnt by heart. */
const QUESTIONS = { searched: 14, reported: 20 };
/** What the objective is made of: shares of what windows lose, of answers on average and at the worst distance, and of text. */
const WEIGHTS = { mean: 0.4, worst: 0.4, text: 0.2 };

/**
 * Finds without training which KV heads of a model of full attention must see everything, where all others see a window and the
 * first tokens of a text. Its result stands in `work`/result.json.
 *
 * @throws InputError for a model that has other mixers, options that cannot be, and texts that are too short; OtherWorkError for
 * a folder that holds another search
 */
export async function searchReach(options: SearchReachOptions): Promise<ReachResult> {
  checkReachOptions(options);
  const { work, context, budgets, onProgress, signal, threads, times, command } = options;
  const { windows, sinks, recall, fromFull, cache, seeds } = { ...REACH, ...defined(options) };
  const folder = await resolveModel(options.model, { onProgress, signal });
  const { config, weights } = openCheckpoint(folder);
  checkFullAttention(options.model, config);
  const tokenizer = loadTokenizer(folder);
  const source = await textOf(tokenizer, options);
  const longest = Math.min(context, config.maxPositionEmbeddings);
  const nearest = Math.max(windows.at(-1)!, 2 * windows[0]!);
  const families = familiesOf(speaksOfTheWorld(tokenizer));
  const examplesOf = (seed: number): JudgeExamples => ({
    bounds: recall ? distanceBounds(longest, nearest) : [],
    recall: recall
      ? recallExamples(
          seed === SEARCHED ? families.searched : families.reported,
          longest,
          readingOf(tokenizer).encode,
          { seed, nearest, questions: seed === SEARCHED ? QUESTIONS.searched : QUESTIONS.reported },
        )
      : [],
    text: source
      ? textExamples(source.text, (text) => tokenizer.encode(text, { addSpecialTokens: false }), {
          ...textSizes(seed),
          seed,
          half: seed === SEARCHED ? 'first' : 'second',
        })
      : [],
  });
  function textSizes(seed: number) {
    const sizes = seed === SEARCHED ? TEXT : REPORTED_TEXT;
    return { ...sizes, length: Math.min(sizes.length, longest) };
  }
  const objective = {
    ...WEIGHTS,
    ...(recall ? {} : { mean: 0, worst: 0, text: 1 }),
    ...(source ? {} : { mean: 0.5, worst: 0.5, text: 0 }),
  };
  const identity = { model: filesIdentity(folder), sinks };
  const model = new ReachModel(config, weights, { threads });
  try {
    const judgeOf = (seed: number, file: string) =>
      new ReachJudge(model, examplesOf(seed), allWindows, {
        ...{ weights: objective, onProgress, signal, keep: { path: join(work, file), identity } },
      });
    const allWindows = windowed(config, windows[0]!, sinks);
    const judge = judgeOf(SEARCHED, 'searched.json');
    const reported = judgeOf(REPORTED, 'reported.json');
    const costs = layerCosts(config, { tokens: context, sinks, cache, times });
    const told = noticeBy(onProgress, 'search');
    const fewestOf = (name: 'heads' | 'layers') => {
      const wanted = budgets.filter(({ layers }) => (layers === undefined) === (name === 'heads'));
      return Math.min(...wanted.map((limits) => limits[name] ?? 1));
    };
    const before = { ...judge.spent };
    await judge.calibrate(allWindows);
    const [tokens, seconds] = [judge.spent.tokens - before.tokens, judge.spent.seconds - before.seconds];
    if (tokens > 0) {
      const ahead = {
        ...{ config, windows, fromFull, budgets: budgets.length, fewest: fewestOf('heads') },
        searched: judge.examples,
        reported: reported.examples,
        // One-shot, whole layers, uniform layers and what was refined of each budget; the parent and all windows.
        placements: 1 + windows.length + budgets.length * (4 + seeds.length),
      };
      told(shownForecast(ahead, tokens / seconds));
    }
    const scores = await scoreUnits(judge, { config, windows, sinks, fromFull });
    const found: Omit<PlacedReach, 'quality'>[] = [];
    const addBaseline = (how: PlacedReach['how'], placement: ReachPlacement, more: Partial<PlacedReach>) => {
      if (fullHeadsOf(placement) > 0) add(how, placement, more);
    };
    const add = (how: PlacedReach['how'], placement: ReachPlacement, more: Partial<PlacedReach> = {}) =>
      found.push({
        ...{ how, layers: [...placement].map((layer) => ({ ...layer, fullHeads: [...layer.fullHeads] })) },
        ...{ heads: fullHeadsOf(placement), cost: placementCost(placement, costs), searched: null },
        ...more,
      });
    add('full', withAllHeads(allWindows, config));
    for (const window of windows) add('windows', windowed(config, window, sinks));
    const changes = new Map<string, number>();
    // What is needed is the same with all windows: the longest tell it with least noise.
    const whole = withAllHeads(windowed(config, windows.at(-1)!, sinks), config);
    const orders = new Map<string, Promise<Unit[]>>();
    const orderOf = (units: readonly Unit[], name: 'heads' | 'layers') => {
      const known = orders.get(name);
      if (known) return known;
      const order = eliminate(judge, whole, units, { fewest: fewestOf(name), name });
      orders.set(name, order);
      return order;
    };
    let smaller: ReachPlacement | undefined;
    for (const [budget, limits] of budgets.entries()) {
      const plan = planOf(scores, limits, config);
      const name = limits.name ?? nameOf(limits);
      for (const { key, change } of plan.changes) if (!changes.has(key)) changes.set(key, change);
      const choices = { ...plan.choices, sinks };
      const start = await assemble(choices, limits, costs);
      if (!start) {
        throw new InputError(
          `the budget ${JSON.stringify(limits)}: even windows of ${windows[0]} in all layers take more`,
        );
      }
      // Exchanges leave windows as they are, and their scores don't add up any more than those of heads do.
      const uniform = limits.bytes === undefined && limits.milliseconds === undefined ? [] : choices.windows;
      const others = await Promise.all(
        uniform.map((window) => assemble({ ...choices, windows: [window] }, limits, costs)),
      );
      const assembled = [start, ...others].filter((each) => each !== null);
      const order = fromFull
        ? await orderOf(plan.units, limits.layers === undefined ? 'heads' : 'layers')
        : [];
      const starts = [
        ...assembled,
        ...assembled.map((own) => inOrder(withoutHeads(own), order, limits, costs)),
        ...(smaller && fits(smaller, limits, costs) ? [smaller] : []),
      ];
      const refined = await refinedFrom(judge, starts, {
        ...{ budget: limits, costs, units: plan.units, changes },
        name,
      });
      if (limits.layers === undefined) smaller = refined.placement;
      told(`${name}: ${shownPlacement(refined.placement)}, ${refined.judged.objective.toFixed(3)}`);
      add('refined', refined.placement, { budget, searched: refined.judged.objective });
      addBaseline('one-shot', start, { budget });
      const base = withoutHeads(start);
      if (limits.layers === undefined) {
        const byScore = [...scores.layers].sort((a, b) => a.objective - b.objective);
        addBaseline(
          'layers',
          inOrder(
            base,
            byScore.map(({ layer }) => wholeLayer(layer, config)),
            limits,
            costs,
          ),
          { budget },
        );
      }
      addBaseline('uniform', uniformLayers(base, config.numKvHeads, limits, costs), { budget });
      for (const seed of seeds)
        addBaseline('random', randomUnits(base, plan.units, seed, limits, costs), { budget, seed });
    }
    const placements: PlacedReach[] = [];
    for (const [i, own] of found.entries()) {
      const stage = `judge on unseen examples, ${own.how} (${i + 1} of ${found.length})`;
      placements.push({ ...own, quality: qualityOf(await reported.whole(own.layers, stage)) });
    }
    const examples = examplesOf(SEARCHED);
    const result = reachSchema.parse({
      format: REACH_FORMAT,
      ...(command !== undefined && { command }),
      created: new Date().toISOString(),
      machine: thisMachine(),
      model: {
        path: options.model,
        ...{ layers: config.layers.length, kvHeads: config.numKvHeads },
        parameters: countParameters(modelParameters(config)),
      },
      ...{
        context,
        windows: [...windows],
        sinks,
        budgets: [...budgets],
        weights: objective,
        scores,
        placements,
      },
      recall: recall ? recallOf(families, examples) : null,
      text: source
        ? {
            name: source.name,
            rows: examples.text.length,
            tokens: examples.text.reduce((sum, { tails }) => sum + tails[0]!.places.length, 0),
          }
        : null,
      seeds: [...seeds],
      seconds: judge.spent.seconds + reported.spent.seconds,
      tokens: judge.spent.tokens + reported.spent.tokens,
    } satisfies ReachResult);
    writeFileAtomic(join(work, 'result.json'), `${JSON.stringify(result, null, 1)}\n`);
    return result;
  } finally {
    await model.dispose();
  }
}

/** The best of what is refined from several starts, of which only the one that is best over texts that are read soon is. */
async function refinedFrom(
  judge: ReachJudge,
  starts: readonly ReachPlacement[],
  options: Parameters<typeof refine>[2],
): ReturnType<typeof refine> {
  let best: { placement: ReachPlacement; judged: JudgedReach } | undefined;
  for (const placement of starts) {
    const judged = await judge.whole(placement, `${options.name}: start`, { longest: LONGEST_FULL });
    if (!best || judged.objective < best.judged.objective) best = { placement, judged };
  }
  return refine(judge, best!.placement, options);
}

const wholeLayer = (layer: number, { numKvHeads }: ModelConfig): Unit => ({
  layer,
  heads: range(numKvHeads),
});

const withoutHeads = (placement: ReachPlacement): ReachPlacement =>
  placement.map((layer) => ({ ...layer, fullHeads: [] }));

/**
 * What a budget chooses from, with the scores of single choices: what a head brings to windows and what the whole model loses
 * without it.
 */
function planOf(
  { fromWindows, fromFull, layers, windows }: UnitScores,
  { layers: whole }: ReachBudget,
  config: ModelConfig,
) {
  const lost = (own: (typeof fromFull)[number]) => own.objective;
  const units =
    whole === undefined
      ? fromWindows.map(({ layer, head, objective }, i) => {
          return { layer, heads: [head], change: objective - (fromFull[i] ? lost(fromFull[i]) : 0) };
        })
      : layers.map(({ layer, objective }) => {
          const own = fromFull.filter((score) => score.layer === layer).map(lost);
          return { ...wholeLayer(layer, config), change: objective - own.reduce((a, b) => a + b, 0) };
        });
  const lengths = [...new Set(windows.map(({ window }) => window))];
  return {
    units,
    changes: units.map((unit) => ({ key: unitKey(unit), change: unit.change })),
    choices: {
      ...{ layers: config.layers.length, kvHeads: config.numKvHeads, units },
      windows: lengths.map((window) => ({
        window,
        changes: windows.filter((score) => score.window === window).map(({ objective }) => objective),
      })),
    },
  };
}

function nameOf({ heads, layers, bytes, milliseconds }: ReachBudget): string {
  const parts = Object.entries({ heads, layers, bytes, milliseconds }).filter(
    ([, value]) => value !== undefined,
  );
  return parts.map(([name, value]) => `${value} ${name}`).join(', ');
}

function qualityOf({ recall, text }: JudgedReach): PlacedReach['quality'] {
  return { recall, text };
}

function recallOf(
  { searched, reported }: ReturnType<typeof familiesOf>,
  { recall, bounds }: JudgeExamples,
): ReachResult['recall'] {
  const asked = recall.flatMap(({ distances }) => distances!);
  return {
    ...{ family: searched.name, reported: reported.name },
    distances: bounds.map(([from, to], i) => ({
      ...{ from, to },
      questions: asked.filter(
        (distance) => (i === 0 || distance >= from) && (i === bounds.length - 1 || distance < to),
      ).length,
    })),
    texts: recall.map(({ prefix, tails }) => ({ tokens: prefix.length, questions: tails.length })),
  };
}

async function textOf(
  tokenizer: Tokenizer,
  { data, field, onProgress, signal }: SearchReachOptions,
): Promise<{ name: string; text: TextSource } | null> {
  if (data === undefined) return null;
  const corpus = await openCorpus(tokenizer, { files: data, field, onProgress, signal });
  if (field !== undefined) checkField(field, corpus);
  return { name: corpus.name, text: trainingText(corpus) };
}
