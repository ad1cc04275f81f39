import {
  type Device,
  exp,
  float32,
  input,
  int64,
  logSoftmax,
  type Memory,
  memoryOf,
  mul,
  reshape,
  sub,
  sum,
  take,
  type Value,
} from '../../graph/index.ts';
import { head, weightInputs } from '../../model/decoder.ts';
import { headParameters, headValues, LayerPrograms } from '../../model/layer-programs.ts';
import type { LogProbScorer, Plan, Row, ScoreOptions, SpanScore, TaskScore } from '../../tasks/harness.ts';
import { scorePlan } from '../../tasks/harness.ts';
import { InputError } from '../../util/errors.ts';
import type { Network } from '../network/network.ts';

/**
 * Scores many paths through a network on the same rows. Paths that agree on their first layers share the hidden
 * states of those layers: each batch is taken through the tree of all paths depth first, so that only one hidden
 * state per layer is held at a time.
 */

/**
 * The length that a row is padded to: programs are compiled per length, so there are only four or five of them
 * between one power of two and the next.
 */
function paddedLength(tokens: number): number {
  const step = Math.max(32, 2 ** Math.ceil(Math.log2(tokens)) / 8);
  return Math.ceil(tokens / step) * step;
}

/** 64 MB of logits. */
const LOGITS = 1 << 24;

/** A path: the branch taken in each layer. */
export type Path = readonly number[];

interface Batch {
  length: number;
  /** Indices of rows. */
  rows: number[];
}

/** What is asked of one position: the flat index of its hidden state and the tokens in question. */
interface Question {
  at: number;
  candidates: readonly number[];
  row: number;
  span: number;
}

export interface ScorerOptions {
  /** Tokens of a batch, padding included. */
  batchTokens?: number;
  /** Logits computed at a time: what bounds the memory of the head. */
  logits?: number;
  threads?: number;
  /** Where it is computed; the CPU unless told. */
  device?: Device;
}

/** On a device the weights are those that the network had when they were first needed. */
export class PathScorer {
  private readonly memory: Memory;
  private readonly programs = new Map<number, LayerPrograms>();

  constructor(
    private readonly network: Network,
    private readonly options: ScorerOptions = {},
  ) {
    this.memory = memoryOf(options.device);
  }

  /**
   * Scores of every path: [path][row][span].
   *
   * @throws InputError for a row longer than the model's context
   */
  async score(
    paths: readonly Path[],
    rows: readonly Row[],
    options: ScoreOptions = {},
  ): Promise<SpanScore[][][]> {
    const results = paths.map(() =>
      rows.map((row) => row.spans.map((): SpanScore => ({ logProb: 0, greedy: true }))),
    );
    const batches = this.batches(rows);
    for (const [done, batch] of batches.entries()) {
      options.signal?.throwIfAborted();
      await this.scoreBatch(paths, rows, batch, results, options.signal);
      options.onProgress?.({
        stage: 'score',
        done: (done + 1) * paths.length,
        total: batches.length * paths.length,
        unit: 'batches',
      });
    }
    return results;
  }

  /** Scores of every path on a planned task. */
  async scoreTask(paths: readonly Path[], plan: Plan, options?: ScoreOptions): Promise<TaskScore[]> {
    const scores = await this.score(paths, plan.rows, options);
    return Promise.all(scores.map((score) => scorePlan({ score: async () => score }, plan)));
  }

  /** The harness' view of one path. */
  scorer(path: Path): LogProbScorer {
    return { score: async (rows, options) => (await this.score([path], rows, options))[0]! };
  }

  private batches(rows: readonly Row[]): Batch[] {
    const { maxPositionEmbeddings } = this.network.config;
    const byLength = new Map<number, number[]>();
    for (const [i, { ids }] of rows.entries()) {
      if (ids.length > maxPositionEmbeddings) {
        throw new InputError(
          `a sequence of ${ids.length} tokens is longer than the model's context of ${maxPositionEmbeddings}`,
        );
      }
      const length = paddedLength(ids.length);
      const list = byLength.get(length) ?? [];
      list.push(i);
      byLength.set(length, list);
    }
    return [...byLength].flatMap(([length, list]) => {
      const size = this.batchSize(length);
      const count = Math.ceil(list.length / size);
      return Array.from({ length: count }, (_, k) => ({
        length,
        rows: list.slice(k * size, (k + 1) * size),
      }));
    });
  }

  private batchSize(length: number): number {
    return Math.max(1, Math.floor((this.options.batchTokens ?? 4096) / length));
  }

  private programsFor(length: number): LayerPrograms {
    const known = this.programs.get(length);
    if (known) return known;
    const shape = { batch: 'B', length };
    const programs = new LayerPrograms(this.network.config, shape, this.memory, this.options.threads);
    this.programs.set(length, programs);
    return programs;
  }

  private async scoreBatch(
    paths: readonly Path[],
    rows: readonly Row[],
    { length, rows: chosen }: Batch,
    results: SpanScore[][][],
    signal?: AbortSignal,
  ): Promise<void> {
    const { network } = this;
    const programs = this.programsFor(length);
    const ids = new Int32Array(chosen.length * length);
    const questions: Question[] = [];
    for (const [place, row] of chosen.entries()) {
      ids.set(rows[row]!.ids, place * length);
      for (const [span, { from, to, candidates }] of rows[row]!.spans.entries()) {
        const asked = (position: number, tokens: readonly number[]) =>
          questions.push({ at: place * length + position - 1, candidates: tokens, row, span });
        if (candidates) asked(from, candidates);
        else for (let i = from; i < to; i++) asked(i, [rows[row]!.ids[i]!]);
      }
    }
    const groups = this.groups(questions);
    await this.walk(
      paths,
      programs,
      ids,
      async (x, alive) => {
        for (const { asked, at, candidates } of groups) {
          const { logProbs, best } = await programs.answers(x, at, candidates, network.outer);
          for (const path of alive) this.record(results[path]!, rows, asked, logProbs, best);
        }
      },
      signal,
    );
  }

  /** Takes a batch through all paths, depth first; `leaf` is told what comes out of the last layer, and of which paths. */
  private async walk(
    paths: readonly Path[],
    programs: LayerPrograms,
    ids: Int32Array,
    leaf: (x: Value, alive: readonly number[]) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { network } = this;
    const from = async (x: Value, layer: number, alive: readonly number[]): Promise<void> => {
      if (layer === network.branches.length) return leaf(x, alive);
      const branches = new Set(alive.map((p) => paths[p]![layer]!));
      for (const branch of branches) {
        const spec = network.branches[layer]![branch]!.spec;
        signal?.throwIfAborted();
        const { mixed, y } = await programs.layer(spec, x, network.layerValues(layer, branch));
        this.memory.free(mixed);
        await from(
          y,
          layer + 1,
          alive.filter((p) => paths[p]![layer] === branch),
        );
        this.memory.free(y);
      }
    };
    const embedded = await programs.embed(ids, network.embedding);
    await from(
      embedded,
      0,
      paths.map((_, p) => p),
    );
    this.memory.free(embedded);
  }

  /**
   * How far what each path says of the next tokens is from what `reference` says: the mean divergence, in nats.
   *
   * @param ids [rows * length]
   * @param every only every so many-th token of a row is asked about
   */
  async divergences(
    paths: readonly Path[],
    reference: Path,
    ids: Int32Array,
    { length, every = 1, signal }: { length: number; every?: number; signal?: AbortSignal | undefined },
  ): Promise<number[]> {
    const programs = this.programsFor(length);
    const { config } = this.network;
    const program = await programs.compiled(
      'divergence',
      () => {
        const rows = take(
          reshape(programs.hidden('x'), [-1, config.hiddenSize]),
          input('at', 'int64', ['M']),
        );
        const logProbs = logSoftmax(head(config, rows, weightInputs(headParameters(config))));
        const known = input('reference', 'float32', ['M', config.vocabSize]);
        return { logProbs, kl: sum(mul(exp(known), sub(known, logProbs))) };
      },
      { read: true },
    );
    const perRow = Math.ceil(length / every);
    const most = Math.max(1, Math.floor((this.options.logits ?? LOGITS) / config.vocabSize / perRow));
    const rows = ids.length / length;
    const size = Math.min(this.batchSize(length), most);
    const totals = paths.map(() => 0);
    for (let row = 0; row < rows; row += size) {
      const part = ids.subarray(row * length, Math.min(rows, row + size) * length);
      const at = Array.from({ length: (part.length / length) * perRow }, (_, i) => {
        return Math.floor(i / perRow) * length + (i % perRow) * every;
      });
      const outer = await this.memory.place(headValues(config, this.network.outer));
      const compared = (x: Value, known: Float32Array) =>
        program.run({
          ...outer,
          x,
          at: int64(at, [at.length]),
          reference: float32(known, [at.length, config.vocabSize]),
        });
      let known = new Float32Array(at.length * config.vocabSize);
      const taught = async (x: Value) => {
        known = (await compared(x, known)).logProbs!.data as typeof known;
      };
      await this.walk([reference], programs, part, taught, signal);
      await this.walk(
        paths,
        programs,
        part,
        async (x, alive) => {
          const { kl } = await compared(x, known);
          for (const p of alive) totals[p]! += (kl!.data as Float32Array)[0]!;
        },
        signal,
      );
    }
    return totals.map((total) => total / (rows * perRow));
  }

  /** Questions that one program takes at once: with as many candidates each, and not too many. */
  private groups(questions: readonly Question[]) {
    const byWidth = new Map<number, Question[]>();
    for (const question of questions) {
      const width = question.candidates.length;
      const list = byWidth.get(width) ?? [];
      list.push(question);
      byWidth.set(width, list);
    }
    const size = Math.max(1, Math.floor((this.options.logits ?? LOGITS) / this.network.config.vocabSize));
    return [...byWidth.values()].flatMap((list) =>
      Array.from({ length: Math.ceil(list.length / size) }, (_, k) => {
        const asked = list.slice(k * size, (k + 1) * size);
        return {
          asked,
          at: asked.map(({ at }) => at),
          candidates: asked.flatMap(({ candidates }) => candidates),
        };
      }),
    );
  }

  private record(
    scores: SpanScore[][],
    rows: readonly Row[],
    questions: readonly Question[],
    logProbs: Float32Array,
    best: BigInt64Array,
  ): void {
    for (const [q, { row, span, candidates }] of questions.entries()) {
      const score = scores[row]![span]!;
      if (rows[row]!.spans[span]!.candidates) {
        const start = q * candidates.length;
        score.candidates = [...logProbs.subarray(start, start + candidates.length)];
      } else {
        score.logProb += logProbs[q]!;
        if (Number(best[q]) !== candidates[0]) score.greedy = false;
      }
    }
  }

  async dispose(): Promise<void> {
    for (const programs of this.programs.values()) await programs.dispose();
    this.programs.clear();
    await this.memory.dispose();
  }
}
