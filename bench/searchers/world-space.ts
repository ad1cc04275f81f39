import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/model/checkpoint.ts';
import { dataOf } from '../../src/search/data.ts';
import { pathOf as linearPath } from '../../src/search/judge/judge.ts';
import { PathScorer } from '../../src/search/judge/scorer.ts';
import { BranchWeights } from '../../src/search/network/branches.ts';
import { linearMixer } from '../../src/search/network/linear-mixer.ts';
import { Network } from '../../src/search/network/network.ts';
import { learnGates, type RecallRow } from '../../src/search/searchers/gates.ts';
import { localErrors } from '../../src/search/searchers/local-errors.ts';
import { PathJudge } from '../../src/search/searchers/path-judge.ts';
import { addWindows, headPlaces, layerPlaces } from '../../src/search/searchers/places.ts';
import type { Placement } from '../../src/search/stages/placement/searcher.ts';
import { align } from '../../src/search/train/align.ts';
import { scheduleOf, tokensOf } from '../../src/search/train/settings.ts';
import { trainSuperNetwork } from '../../src/search/train/super-network.ts';
import { Random } from '../../src/util/random.ts';
import { average } from '../../src/util/statistics.ts';
import { remember } from '../../src/util/store/kept.ts';
import { FINISH, Finish } from './finish.ts';
import { processorSeconds } from './processor-seconds.ts';
import type { Space } from './space.ts';

/** A model of the generated world, whose placements are judged by whole passes. */

export const SETTINGS = {
  windows: {
    title: 'models/base: full attention or windows, by layer',
    what: 'Each of 8 layers sees everything, or the last 32 tokens and the first 4. Nothing is trained.',
  },
  heads: {
    title: 'models/base: full attention or windows, by KV head',
    what: 'Each of 4 KV heads of 8 layers by itself; budgets are heads, as many as make 1, 2 and 4 layers.',
  },
  linear: {
    title: 'models/base: full attention or Gated DeltaNet',
    what:
      'Branches aligned on 61 K tokens, the super network trained on 92 K more; the equal training is 31 K tokens of divergence from the parent, of the ' +
      'blocks alone.',
  },
};
export type Setting = keyof typeof SETTINGS;

/** Windows that the world's texts of up to 230 tokens can tell from full attention. */
const REACH = { window: 32, sinks: 4 };
const MIXER = 'gated_deltanet';
/** Examples of each task: many where answers are right or wrong by placement, few where rows are long and most are right. */
const TASKS = {
  searched: tasks(64, 16, 8, 32),
  reported: tasks(128, 32, 16, 64),
  gates: ['recall:accuracy:128', 'needle:accuracy:16'],
};
const TEXT = { rows: 8, length: 128, every: 2 };
const ALIGN = { batch: 4, length: 128, steps: 120, rate: 2e-3 };
const SUPERNET = { ...ALIGN, steps: 180 };
const GATES = { steps: 24, rate: 0.1, batch: 4 };

function tasks(sure: number, choice: number, needle: number, tracking: number): string[] {
  const each = { recall: sure, choice, arithmetic: sure, needle, tracking };
  return Object.entries(each).map(([name, examples]) => `${name}:accuracy:${examples}`);
}

/** @param work where states and judgements are kept */
export async function openWorldSpace(
  model: string,
  setting: Setting,
  seed: number,
  { work, threads, log }: { work: string; threads: number; log: (line: string) => void },
): Promise<Space> {
  const { config, weights } = openCheckpoint(model);
  const drawn = { searched: 100 + seed, reported: 1000 + seed, gates: 2000 + seed };
  const data = (set: keyof typeof TASKS) =>
    dataOf(model, {
      ...{ task: TASKS[set], examplesSeed: drawn[set], rows: ALIGN.batch, length: ALIGN.length },
      examples: 1,
      ...(set !== 'searched' && { apart: { examples: 1, seed: drawn.searched } }),
    });
  const { batches, tasks: searchedTasks } = await data('searched');
  const { tasks: reportedTasks } = await data('reported');
  const textOf = (of: number) => {
    const ids = new Int32Array(TEXT.rows * TEXT.length);
    batches.fill(ids, TEXT.length, new Random(of));
    return { ids, length: TEXT.length, every: TEXT.every };
  };

  const places = setting === 'heads' ? headPlaces(config) : layerPlaces(config);
  const layers = config.layers.length;
  const everything = places.map((_, i) => i);
  const fresh = async () => {
    const network = new Network(config, weights);
    if (setting !== 'linear') return { network, pathOf: addWindows(network, places, REACH) };
    const branches = new BranchWeights(network, everything, linearMixer(MIXER, config));
    branches.initialise(seed);
    await align({
      ...{ branches, batches, shape: ALIGN, schedule: scheduleOf(ALIGN), seed, threads },
      folder: join(work, 'align'),
      fingerprint: { parent: network.fingerprint(), data: batches.identity },
      onProgress: ({ notice }) => notice && log(notice),
    });
    branches.attach();
    return { network, branches, pathOf: (placement: Placement) => linearPath(placement, layers) };
  };
  const { network, pathOf } = await fresh();
  const judgeOf = (network: Network, name: string, own = searchedTasks, text = textOf(drawn.searched)) =>
    new PathJudge(network, {
      ...{ pathOf, all: everything, tasks: own, text, threads, keep: join(work, name) },
    });
  const judge = judgeOf(network, 'searched');
  const reported = judgeOf(network, 'reported', reportedTasks, textOf(drawn.reported));
  const qualityOf = (judged: Awaited<ReturnType<PathJudge['judge']>>) =>
    judged.map(({ tasks, kl }) => {
      return { right: average(Object.values(tasks).map(({ accuracy }) => accuracy)), kl };
    });
  const identity = { parent: network.fingerprint(), data: batches.identity, align: ALIGN };
  let trained: Promise<PathJudge> | undefined;
  let finishing: ReturnType<typeof beginFinishing> | undefined;
  return {
    identity: { ...identity, setting, seed, ...{ REACH, MIXER, TASKS, TEXT, SUPERNET, GATES, FINISH } },
    ...{ places, layers, kvHeads: config.numKvHeads, judge },
    async localErrors(spent) {
      const { ids, length } = textOf(drawn.searched);
      const [found, seconds] = await processorSeconds(() =>
        localErrors(network, places, pathOf, ids, { length, threads }),
      );
      spent.tokens += found.tokens;
      spent.seconds += seconds;
      return found.errors;
    },
    async gates(budget, spent) {
      const rows = (await data('gates')).tasks.flatMap(({ plan }) =>
        plan.rows.map(
          ({ ids, spans }): RecallRow => ({
            ids,
            places: spans.flatMap(({ from, to }) =>
              Array.from({ length: to - from }, (_, i) => from - 1 + i),
            ),
          }),
        ),
      );
      const [{ gates, trainedTokens }, seconds] = await processorSeconds(() =>
        learnGates(network, rows, {
          ...{ ...GATES, seed, budget, threads },
          branch: pathOf([]),
          gatesPerLayer: places.length / layers,
        }),
      );
      spent.trainedTokens += trainedTokens;
      spent.seconds += seconds;
      return gates;
    },
    async superNetwork(spent) {
      // Windows have no weights of their own to train.
      if (setting !== 'linear') return judge;
      const seconds = await remember(join(work, 'supernet.json'), identity, async () => {
        // What was stopped on the way is begun anew, so that its time is known.
        rmSync(join(work, 'supernet'), { recursive: true, force: true });
        return (await processorSeconds(trainSuper))[1];
      });
      trained ??= trainSuper().then((own) => judgeOf(own, 'supernet'));
      spent.trainedTokens += tokensOf(SUPERNET);
      spent.seconds += seconds;
      return trained;
    },
    secondsPerToken: () => judge.spent.seconds / judge.spent.tokens,
    quality: async (placements) => qualityOf(await reported.judge(placements)),
    ...(setting === 'linear' && {
      async trained(placement: Placement) {
        finishing ??= beginFinishing();
        const { own, finish, scorer } = await finishing;
        await finish.train(pathOf(placement));
        const text = textOf(drawn.reported);
        const after = new PathJudge(own, { pathOf, all: everything, tasks: reportedTasks, text, scorer });
        return qualityOf(await after.judge([placement]))[0]!;
      },
    }),
    async dispose() {
      await judge.dispose();
      await reported.dispose();
      await (await trained)?.dispose();
      const { finish, scorer } = (await finishing) ?? {};
      await finish?.dispose();
      await scorer?.dispose();
    },
  };

  async function beginFinishing() {
    const { network: own, branches } = await fresh();
    const finish = new Finish(own, branches!, { batches, seed, threads });
    return { own, finish, scorer: new PathScorer(own, { threads }) };
  }

  /** The network after its training, which resumes from its folder: done once, it is had again at once. */
  async function trainSuper(): Promise<Network> {
    const { network: own, branches } = await fresh();
    await trainSuperNetwork({
      ...{ branches: branches!, batches, shape: SUPERNET, schedule: scheduleOf(SUPERNET), threads },
      ...{ seed: seed + 1000, sampling: { rule: 'uniform' }, folder: join(work, 'supernet') },
      fingerprint: identity,
    });
    return own;
  }
}
