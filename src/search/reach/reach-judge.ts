import { freemem } from 'node:os';
import { noticeBy, type OnProgress } from '../../util/progress.ts';
import { average } from '../../util/statistics.ts';
import { hashOf, type Identity } from '../../util/store/identity.ts';
import { keep, recall } from '../../util/store/kept.ts';
import type { Example } from './examples.ts';
import type { KeptKeys } from './kept-keys.ts';
import { type ReachPlacement, withAllHeads } from './placement.ts';
import type { ReachModel } from './reach-model.ts';
import type { ReachResult } from './result.ts';
import type { TailJudged } from './tail-answers.ts';

/**
 * How good placements are. Texts are read with one placement, and what follows them with any: as exact as whole passes for the
 * placement that has read, an approximation for those that differ from it by a little.
 */

/** By distance the mean loss of answers, a token (null where nothing was asked), and how many are right. */
export interface JudgedReach {
  recall: { loss: number | null; right: number; questions: number }[];
  /** null without a user's text. */
  text: { kl: number; loss: number } | null;
  /** Lower is better: 0 for the parent, 1 for windows in all layers; NaN as long as `ReachJudge.calibrate` was not called. */
  objective: number;
}

/** What is judged by. */
export interface JudgeExamples {
  recall: readonly Example[];
  /** Bounds of distances that count alike. */
  bounds: readonly (readonly [from: number, to: number])[];
  text: readonly Example[];
}

/** Of one tail, as it is kept. */
interface Kept {
  loss: number;
  right: boolean;
  kl: number;
}

/**
 * Memory for keys and values that are kept: a gigabyte, or half of what is free. A text that has no room is read anew for each
 * judgement.
 */
const keptBytes = () => Math.max(2 ** 30, freemem() / 2);

/** What losses are told in. */
interface Scale {
  /** By example of recall and tail, the parent's loss. */
  parent: readonly (readonly number[])[];
  /** What windows lose of a kind on average. */
  kinds: ReadonlyMap<string, number>;
  /** Divergence of windows on text. */
  kl: number;
}

/** Where windows lose less (nats an answer's token, divergence), differences are noise: they are not blown up to a whole. */
const LEAST_LOST = { answer: 0.25, kl: 0.01 };

interface Saved {
  known: [string, Kept[]][];
  spent: ReachJudge['spent'];
}

interface Options {
  /** What the objective is made of. */
  weights: ReachResult['weights'];
  onProgress?: OnProgress | undefined;
  signal?: AbortSignal | undefined;
  /** Where judgements are kept, and what they depend on beside examples and placements. */
  keep?: { path: string; identity: Identity } | undefined;
}

export class ReachJudge {
  readonly examples: readonly Example[];
  /** By placement that has read, placement that is judged and example: of its tails. */
  private readonly known: Map<string, Kept[]>;
  private readonly identity: Identity;
  /** What judging took, by earlier processes too: tokens through all layers. */
  readonly spent: { seconds: number; tokens: number };
  private reader: ReachPlacement;
  private readonly room = keptBytes();
  private read = new Map<Example, KeptKeys>();
  private readonly references = new Map<Example, Float32Array[]>();
  private scale: Scale | undefined;

  /**
   * @param reader what texts are read with first
   * @throws OtherWorkError when the file keeps judgements of another model, or by other examples
   */
  constructor(
    private readonly model: ReachModel,
    private readonly given: JudgeExamples,
    reader: ReachPlacement,
    private readonly options: Options,
  ) {
    this.examples = [...given.recall, ...given.text];
    this.reader = reader;
    this.identity = { ...options.keep?.identity, examples: hashOf(this.examples) };
    const onNotice = noticeBy(options.onProgress, 'judge');
    const kept = options.keep && recall<Saved>(options.keep.path, this.identity, onNotice);
    this.known = new Map(kept?.known);
    this.spent = kept?.spent ?? { seconds: 0, tokens: 0 };
  }

  /** Texts are read with this placement from here on. */
  readWith(placement: ReachPlacement): void {
    if (hashOf(placement) === hashOf(this.reader)) return;
    this.reader = placement;
    this.read.clear();
  }

  /**
   * Sets what losses are told in: shares of what is lost by `windows`, kind by kind, with the losses of the parent taken off
   * question by question. A wrong word costs more nats than a wrong digit, and a text's divergence far fewer than either.
   */
  async calibrate(windows: ReachPlacement): Promise<void> {
    const { recall, text } = this.given;
    const judgedAnswers = async (placement: ReachPlacement, stage: string) => {
      const judged = await this.whole(placement, stage);
      const key = `${hashOf(this.reader)} ${hashOf(placement)}`;
      return {
        judged,
        answers: recall.map((_, e) => this.known.get(`${key} ${e}`)!.map(({ loss }) => loss)),
      };
    };
    const parent = recall.length
      ? (await judgedAnswers(withAllHeads(windows, this.model.config), 'the parent')).answers
      : [];
    const cut = await judgedAnswers(windows, 'windows in all layers');
    const lost = new Map<string, number[]>();
    for (const [e, { kinds }] of recall.entries()) {
      for (const [t, kind] of kinds!.entries()) {
        lost.set(kind, [...(lost.get(kind) ?? []), cut.answers[e]![t]! - parent[e]![t]!]);
      }
    }
    this.scale = {
      parent,
      kinds: new Map([...lost].map(([kind, own]) => [kind, Math.max(LEAST_LOST.answer, average(own))])),
      kl: text.length ? Math.max(LEAST_LOST.kl, cut.judged.text!.kl) : 1,
    };
  }

  /** Judges one placement by whole passes. */
  async whole(
    placement: ReachPlacement,
    stage: string,
    options: { longest?: number } = {},
  ): Promise<JudgedReach> {
    this.readWith(placement);
    return (await this.judge([placement], stage, options))[0]!;
  }

  /** @param longest leaves out texts of more tokens, in which secrets are told */
  async judge(
    placements: readonly ReachPlacement[],
    stage: string,
    { longest = Number.POSITIVE_INFINITY }: { longest?: number } = {},
  ): Promise<JudgedReach[]> {
    const reader = hashOf(this.reader);
    const keys = placements.map((placement) => `${reader} ${hashOf(placement)}`);
    const asked = this.examples.flatMap((example, e) =>
      example.distances && example.prefix.length > longest ? [] : { example, e },
    );
    const work = asked.map(({ example, e }) => {
      const missing = [...new Set(keys)].filter((key) => !this.known.has(`${key} ${e}`));
      return { example, e, missing, tokens: missing.length > 0 ? this.tokensOf(example, missing.length) : 0 };
    });
    const total = work.reduce((sum, { tokens }) => sum + tokens, 0);
    let done = 0;
    const tell = (more: number) =>
      this.options.onProgress?.({ stage, done: Math.min(total, done + more), total, unit: 'tokens' });
    for (const { example, e, missing, tokens } of work) {
      if (missing.length === 0) continue;
      const fresh = missing.map((key) => placements[keys.indexOf(key)]!);
      const [started, before] = [performance.now(), this.model.tokens];
      const found = await this.follow(example, fresh, tell);
      this.spent.seconds += (performance.now() - started) / 1000;
      this.spent.tokens += this.model.tokens - before;
      for (const [i, key] of missing.entries()) this.known.set(`${key} ${e}`, found[i]!.map(summary));
      done += tokens;
      tell(0);
      this.save();
    }
    return keys.map((key) => this.result(new Map(asked.map(({ e }) => [e, this.known.get(`${key} ${e}`)!]))));
  }

  private save(): void {
    const { keep: kept } = this.options;
    if (kept) keep(kept.path, this.identity, { known: [...this.known], spent: this.spent } satisfies Saved);
  }

  private tokensOf(example: Example, placements: number): number {
    return this.reading(example) + tailTokens(example, placements);
  }

  private reading(example: Example): number {
    return this.read.has(example) ? 0 : example.prefix.length;
  }

  private async follow(
    example: Example,
    placements: readonly ReachPlacement[],
    tell: (tokens: number) => void,
  ): Promise<TailJudged[][]> {
    const { signal } = this.options;
    const { prefix, tails, distances } = example;
    const reading = this.reading(example);
    const reference = distances ? undefined : await this.referenceOf(example);
    const kept =
      this.read.get(example) ?? (await this.model.read(prefix, this.reader, { signal, onTokens: tell }));
    const bytes = [...this.read.values()].reduce((sum, own) => sum + own.bytes, 0);
    if (bytes + kept.bytes <= this.room) this.read.set(example, kept);
    const behind = tailTokens(example, placements.length);
    return this.model.follow(kept, prefix.length, tails, placements, {
      ...{ reference, signal },
      onShare: (share) => tell(Math.round(reading + share * behind)),
    });
  }

  /** What the parent says. */
  private async referenceOf(example: Example): Promise<Float32Array[]> {
    const known = this.references.get(example);
    if (known) return known;
    const full = withAllHeads(this.reader, this.model.config);
    const kept = await this.model.read(example.prefix, full, { signal: this.options.signal });
    const made = await this.model.reference(kept, example.prefix.length, example.tails, full);
    this.references.set(example, made);
    return made;
  }

  /** @param found by example, of each of its tails */
  private result(found: ReadonlyMap<number, readonly Kept[]>): JudgedReach {
    const { recall, bounds } = this.given;
    const answers = recall.flatMap(({ distances, kinds }, e) =>
      (found.get(e) ?? []).map((own, t) => {
        const share =
          this.scale && (own.loss - this.scale.parent[e]![t]!) / this.scale.kinds.get(kinds![t]!)!;
        return { ...own, share: share ?? Number.NaN, distance: distances![t]! };
      }),
    );
    const byDistance = bounds.map(([from, to], i) => {
      // What lies outside by a few tokens is nearest to the outermost bounds.
      const least = i === 0 ? 0 : from;
      const most = i === bounds.length - 1 ? Number.POSITIVE_INFINITY : to;
      return answers.filter(({ distance }) => distance >= least && distance < most);
    });
    const rows = [...found].flatMap(([e, own]) => (e < recall.length ? [] : own));
    const text = rows.length
      ? { kl: average(rows.map(({ kl }) => kl)), loss: average(rows.map(({ loss }) => loss)) }
      : null;
    const { mean, worst, text: ofText } = this.options.weights;
    const shares = byDistance
      .filter((own) => own.length > 0)
      .map((own) => average(own.map(({ share }) => share)));
    const ofRecall = shares.length ? mean * average(shares) + worst * Math.max(...shares) : 0;
    const shareOfText = text && this.scale ? text.kl / this.scale.kl : 0;
    return {
      recall: byDistance.map((own) => ({
        loss: own.length > 0 ? average(own.map(({ loss }) => loss)) : null,
        right: own.filter(({ right }) => right).length,
        questions: own.length,
      })),
      text,
      objective: this.scale ? ofRecall + ofText * shareOfText : Number.NaN,
    };
  }
}

/** Tokens that are taken through all layers, about: placements share the first ones. */
export function tailTokens({ tails }: Example, placements: number): number {
  const all = tails.reduce((sum, { ids }) => sum + ids.length, 0);
  return Math.round(all * (placements === 1 ? 1 : placements / 2));
}

const rounded = (value: number) => Math.round(value * 1e6) / 1e6;

function summary({ losses, right, kl }: TailJudged): Kept {
  return { loss: rounded(average(losses)), right, kl: kl.length ? rounded(average(kl)) : 0 };
}
