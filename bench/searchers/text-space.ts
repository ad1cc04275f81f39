import { join } from 'node:path';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { loadTokenizer } from '../../src/model/folder.ts';
import { Network } from '../../src/search/network/network.ts';
import {
  distanceBounds,
  type Example,
  familiesOf,
  recallExamples,
  textExamples,
} from '../../src/search/reach/examples.ts';
import { type ReachPlacement, windowed } from '../../src/search/reach/placement.ts';
import { ReachJudge } from '../../src/search/reach/reach-judge.ts';
import { ReachModel } from '../../src/search/reach/reach-model.ts';
import { withUnit } from '../../src/search/reach/refine.ts';
import { learnGates, type RecallRow } from '../../src/search/searchers/gates.ts';
import { localErrors } from '../../src/search/searchers/local-errors.ts';
import { addWindows, layerPlaces } from '../../src/search/searchers/places.ts';
import { type Placement, placementKey } from '../../src/search/stages/placement/searcher.ts';
import { openCorpus, trainingText } from '../../src/tasks/corpus/corpus.ts';
import { readingOf } from '../../src/tasks/reading.ts';
import { InputError } from '../../src/util/errors.ts';
import { average } from '../../src/util/statistics.ts';
import { keep, recall } from '../../src/util/store/kept.ts';
import { processorSeconds } from './processor-seconds.ts';
import type { Space } from './space.ts';

/** Any model of full attention between layers that see everything and windows, judged as `postnas search` judges windows. */

export const TEXT_SPACE = {
  title: 'full attention or windows',
  what:
    'Whole layers that see everything, or the last 128 tokens and the first 4. Searched by secrets that are asked for behind texts of up to 1,024 ' +
    'tokens and by the divergence on text, as `postnas search --windows` does; right answers are the mean over distances, asked for in other words.',
};

const REACH = { window: 128, sinks: 4 };
/** The longest distance that is asked for, where the model reads so far. */
const CONTEXT = 1024;
const NEAREST = 256;
const QUESTIONS = { searched: 14, reported: 42, gates: 42 };
const TEXT = { rows: 3, length: 673, judged: 96 };
const WEIGHTS = { mean: 0.4, worst: 0.4, text: 0.2 };
/** Texts of so many tokens take long: few of them. */
const GATES = { steps: 24, rate: 0.1, batch: 1 };
/** Rows of a text for the errors of single layers. */
const LOCAL = { rows: 4, length: 512 };

export async function openTextSpace(
  folder: string,
  files: readonly string[],
  seed: number,
  { work, threads }: { work: string; threads: number },
): Promise<Space> {
  if (files.length === 0)
    throw new InputError('--text: expected files of text that the model was not trained on');
  const { config, weights } = openCheckpoint(folder);
  const tokenizer = loadTokenizer(folder);
  const context = Math.min(CONTEXT, config.maxPositionEmbeddings);
  const text = trainingText(await openCorpus(tokenizer, { files }));
  const encode = (content: string) => tokenizer.encode(content, { addSpecialTokens: false });
  const { searched: family, reported: other } = familiesOf(false);
  const rowsOf = (of: number, half: 'first' | 'second', more: Partial<typeof TEXT> = {}) =>
    textExamples(text, encode, {
      ...{ ...TEXT, length: Math.min(TEXT.length, context), ...more },
      ...{ seed: of, half },
    });
  const recallOf = (own: typeof family, of: number, questions: number) =>
    recallExamples(own, context, readingOf(tokenizer).encode, { seed: of, nearest: NEAREST, questions });
  const examples = {
    searched: { recall: recallOf(family, 100 + seed, QUESTIONS.searched), text: rowsOf(100 + seed, 'first') },
    reported: {
      recall: recallOf(other, 1000 + seed, QUESTIONS.reported),
      text: rowsOf(1000 + seed, 'second', { judged: 128 }),
    },
  };
  const model = new ReachModel(config, weights, { threads });
  const windows = windowed(config, REACH.window, REACH.sinks);
  const judgeOf = (set: keyof typeof examples) =>
    new ReachJudge(model, { ...examples[set], bounds: distanceBounds(context, NEAREST) }, windows, {
      ...{
        weights: WEIGHTS,
        keep: { path: join(work, `${set}.json`), identity: { folder, seed, ...REACH } },
      },
    });
  const [judge, reported] = [judgeOf('searched'), judgeOf('reported')];
  await judge.calibrate(windows);

  const places = layerPlaces(config);
  const reachOf = (placement: Placement): ReachPlacement =>
    placement.reduce((sum, place) => withUnit(sum, places[place]!), windows);
  const sum = (list: readonly number[]) => list.reduce((total, each) => total + each, 0);
  const ofTails = ({ tails }: Example) => sum(tails.map(({ ids }) => ids.length));
  // Of all judging, by earlier processes too.
  const rateFile = join(work, 'rate.json');
  const spent = recall<{ seconds: number; tokens: number }>(rateFile, { seed }) ?? { seconds: 0, tokens: 0 };
  const priced: Space['judge'] = {
    exact: false,
    async judge(placements, near = []) {
      judge.readWith(reachOf(near));
      const before = model.tokens;
      const [found, took] = await processorSeconds(() => judge.judge(placements.map(reachOf), 'judge'));
      spent.seconds += took;
      spent.tokens += model.tokens - before;
      keep(rateFile, { seed }, spent);
      return found.map(({ objective, text: said }) => ({ objective, kl: said!.kl }));
    },
    tokensOf(placements, near = [], read) {
      const beginnings = new Set<string>();
      for (const placement of placements) {
        for (let layer = 0; layer < config.layers.length; layer++)
          beginnings.add(`${layer}: ${placementKey(placement.filter((place) => place <= layer))}`);
      }
      const isRead = read && placementKey(read) === placementKey(near);
      const reading = isRead ? 0 : sum(judge.examples.map(({ prefix }) => prefix.length));
      return Math.round(
        reading + (beginnings.size / config.layers.length) * sum(judge.examples.map(ofTails)),
      );
    },
  };
  const network = new Network(config, weights);
  const pathOf = addWindows(network, places, REACH);
  return {
    identity: {
      network: network.fingerprint(),
      seed,
      files,
      ...{ REACH, CONTEXT, NEAREST, QUESTIONS, TEXT, GATES, LOCAL },
    },
    ...{ places, layers: config.layers.length, kvHeads: config.numKvHeads, judge: priced },
    async localErrors(spent) {
      const rows = rowsOf(100 + seed, 'first', { rows: LOCAL.rows, length: LOCAL.length });
      const ids = Int32Array.from(
        rows.flatMap(({ prefix, tails }) => [...prefix, ...tails[0]!.ids].slice(0, LOCAL.length)),
      );
      const [found, took] = await processorSeconds(() =>
        localErrors(network, places, pathOf, ids, { length: LOCAL.length, threads }),
      );
      spent.tokens += found.tokens;
      spent.seconds += took;
      return found.errors;
    },
    async gates(budget, spent) {
      const rows = recallOf(family, 2000 + seed, QUESTIONS.gates).flatMap(({ prefix, tails }) =>
        tails.map(
          ({ ids, places: asked }): RecallRow => ({
            ids: [...prefix, ...ids],
            places: asked.map((place) => prefix.length + place),
          }),
        ),
      );
      const [{ gates, trainedTokens }, took] = await processorSeconds(() =>
        learnGates(network, rows, {
          ...{ ...GATES, seed, budget, threads, branch: pathOf([]), gatesPerLayer: 1 },
        }),
      );
      spent.trainedTokens += trainedTokens;
      spent.seconds += took;
      return gates;
    },
    // Windows have no weights of their own to train.
    superNetwork: async () => priced,
    secondsPerToken: () => spent.seconds / Math.max(1, spent.tokens),
    async quality(placements) {
      const found = [];
      for (const placement of placements) {
        const { recall, text: said } = await reported.whole(reachOf(placement), 'unseen');
        const shares = recall
          .filter(({ questions }) => questions > 0)
          .map(({ right, questions }) => right / questions);
        found.push({ right: average(shares), kl: said!.kl });
      }
      return found;
    },
    dispose: () => model.dispose(),
  };
}
