import type { Engine } from '../runtime/engine.ts';
import type { Sequence } from '../runtime/sequence.ts';
import type { Asked, TokenScores } from '../runtime/token-scores.ts';
import type { TokenTree } from '../runtime/token-tree.ts';
import { turn } from '../util/turn.ts';
import type { LogProbScorer, Row, ScoreOptions, SpanScore } from './harness.ts';
import { type Joins, type PlantedTree, plantTrees } from './prefix-trees.ts';

/** Tokens of a row that is read in pieces, by a sequence of its own. */
const LONG = 1024;
/** Tokens that are read at once, where a tree alone has no more. */
const BATCH = 1024;
/** Tokens of a tree, whose square is the memory of its scores. */
const LARGEST_TREE = 2048;
/**
 * Reading a token anew costs about as much as so many scores of attention, which a larger tree has more of: a layer has
 * some thousand times as many weights as a score takes products, and products of matrices are twice as fast.
 */
const SCORES_OF_A_TOKEN = 1000;
/** A common beginning that a sequence is forked for. */
const WORTH_A_FORK = 32;

const joinsTree: Joins = (shared, added, size) =>
  size + added <= LARGEST_TREE && shared * SCORES_OF_A_TOKEN >= size * added;
const joinsSequence: Joins = (shared) => shared >= WORTH_A_FORK;

/**
 * Scores by the engine that generates, in whatever its weights are: what few bits cost shows. What rows have in common at
 * their beginnings is read once, short rows many at a time and long ones in pieces with caches.
 */
export class EngineScorer implements LogProbScorer {
  constructor(private readonly engine: Engine) {}

  /** @throws InputError for a token outside the vocabulary and a row that the model's context does not hold */
  async score(rows: readonly Row[], { onProgress, signal }: ScoreOptions = {}): Promise<SpanScore[][]> {
    for (const row of rows) this.check(row);
    const scores = rows.map(({ spans }) => spans.map((): SpanScore => ({ logProb: 0, greedy: true })));
    const read = rows.map((row, i) => [i, row.ids.slice(0, tokensRead(row))] as const);
    const isShort = (tokens: number) => this.engine.readsTrees && tokens <= LONG;
    const planted = (kept: (tokens: number) => boolean, joins: Joins) => {
      const own = new Map(read.filter(([, ids]) => kept(ids.length)));
      return plantTrees(own, joins).map((tree) => new AskedTree(tree, rows, scores));
    };
    let done = 0;
    const tell = (trees: readonly AskedTree[]) => {
      for (const { rows } of trees) done += rows;
      onProgress?.({ stage: 'score', done, total: rows.length, unit: 'rows' });
    };
    for (const batch of batches(planted(isShort, joinsTree))) {
      await turn();
      signal?.throwIfAborted();
      const asking = batch.filter(({ asked }) => asked.length > 0);
      const results =
        asking.length === 0
          ? []
          : await this.engine.scoreTrees(
              asking.map(({ tree }) => tree),
              asking.map(({ asked }) => asked),
            );
      for (const [i, tree] of asking.entries()) tree.settle(results[i]!);
      tell(batch);
    }
    for (const tree of planted((tokens) => !isShort(tokens), joinsSequence)) {
      tree.settle(await this.readTree(tree, signal));
      tell([tree]);
    }
    return scores;
  }

  private check(row: Row): void {
    const start = { length: 0 };
    const read = tokensRead(row);
    if (read > 0) this.engine.check(start, row.ids.slice(0, read));
    const others = row.spans.flatMap(({ from, to, candidates }) => candidates ?? row.ids.slice(from, to));
    for (const id of others) this.engine.check(start, [id]);
  }

  /** By sequences, which are forked where ways part. */
  private async readTree({ tree, asked }: AskedTree, signal?: AbortSignal): Promise<TokenScores[]> {
    const followers = tree.ids.map((): number[] => []);
    for (const [place, parent] of tree.parents.entries()) followers[parent]?.push(place);
    const at = new Map(asked.map((own, i) => [own.place, i]));
    const scores: TokenScores[] = [];
    /** Takes the sequence, which has the tokens before `first`. */
    const read = async (sequence: Sequence, first: number): Promise<void> => {
      using own = sequence;
      const chain = [first];
      let next = followers[first]!;
      while (next.length === 1) {
        chain.push(next[0]!);
        next = followers[next[0]!]!;
      }
      const before = own.length;
      const questions = chain.flatMap((place, i) => {
        const index = at.get(place);
        return index === undefined ? [] : [{ index, place: before + i, ids: asked[index]!.ids }];
      });
      const ids = chain.map((place) => tree.ids[place]!);
      const results = await this.engine.score(own, ids, questions, { signal });
      for (const [i, { index }] of questions.entries()) scores[index] = results[i]!;
      for (const place of next) await read(own.fork(), place);
    };
    if (tree.ids.length > 0) await read(this.engine.start(), 0);
    return scores;
  }
}

/** Tokens up to the last one after which something is asked. */
function tokensRead({ spans }: Row): number {
  return Math.max(0, ...spans.map(({ from, to, candidates }) => (candidates ? from : to - 1)));
}

/** A tree of rows, what they ask at its places, and where the answers go. */
class AskedTree {
  readonly tree: TokenTree;
  readonly rows: number;
  readonly asked: readonly Asked[];
  /** By place, in the order of `asked`: how many ids each question has, and who is told. */
  private readonly questions = new Map<
    number,
    { ids: readonly number[]; tell: (scores: TokenScores) => void }[]
  >();

  constructor({ tree, paths }: PlantedTree, rows: readonly Row[], scores: readonly SpanScore[][]) {
    this.tree = tree;
    this.rows = paths.size;
    for (const [index, path] of paths) {
      const { ids, spans } = rows[index]!;
      for (const [i, { from, to, candidates }] of spans.entries()) {
        const score = scores[index]![i]!;
        if (candidates) {
          this.ask(path[from - 1]!, candidates, ({ logProbs, best }) => {
            score.candidates = logProbs;
            score.best = best;
          });
        }
        for (let next = from; next < to; next++) {
          const id = ids[next]!;
          this.ask(path[next - 1]!, [id], ({ logProbs, best }) => {
            score.logProb += logProbs[0]!;
            score.greedy &&= best === id;
          });
        }
      }
    }
    this.asked = [...this.questions].map(([place, own]) => ({ place, ids: own.flatMap(({ ids }) => ids) }));
  }

  private ask(place: number, ids: readonly number[], tell: (scores: TokenScores) => void): void {
    const known = this.questions.get(place);
    if (known) known.push({ ids, tell });
    else this.questions.set(place, [{ ids, tell }]);
  }

  settle(scores: readonly TokenScores[]): void {
    for (const [i, own] of [...this.questions.values()].entries()) {
      const { logProbs, best } = scores[i]!;
      let at = 0;
      for (const { ids, tell } of own) {
        tell({ logProbs: logProbs.slice(at, at + ids.length), best });
        at += ids.length;
      }
    }
  }
}

/** Trees of about one size together, the largest first. */
function batches(trees: readonly AskedTree[]): AskedTree[][] {
  const all: AskedTree[][] = [];
  for (const tree of [...trees].sort((a, b) => b.tree.ids.length - a.tree.ids.length)) {
    const last = all.at(-1);
    if (last && (last.length + 1) * last[0]!.tree.ids.length <= BATCH) last.push(tree);
    else all.push([tree]);
  }
  return all;
}
