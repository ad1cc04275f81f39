import type { PlacementResult } from '../search/stages/placement/result.ts';
import type { Judged } from '../search/stages/placement/searcher.ts';
import { average, type Spread } from '../util/statistics.ts';
import { fixed, listed, NBSP, signed } from './text.ts';

/**
 * What placements are compared by: the accuracy or the loss of one task, or the mean that the search maximised.
 * Values stay in the units of the JSON (fractions, nats); this says how they are read and shown.
 */
type Kind = 'accuracy' | 'loss' | 'text' | 'perplexity' | 'score';

const KINDS: Record<
  Kind,
  { quantity: string; unit: string; change: string; scale: number; decimals: number; better: 1 | -1 }
> = {
  accuracy: { quantity: 'accuracy', unit: '%', change: 'points', scale: 100, decimals: 1, better: 1 },
  loss: { quantity: 'gold loss', unit: 'nats', change: 'nats', scale: 1, decimals: 3, better: -1 },
  text: { quantity: 'loss', unit: 'nats', change: 'nats', scale: 1, decimals: 3, better: -1 },
  perplexity: { quantity: 'perplexity', unit: '', change: '', scale: 1, decimals: 2, better: -1 },
  score: { quantity: 'score', unit: '', change: '', scale: 1, decimals: 3, better: 1 },
};

/** Differences between the all-linear path and the base below this (1 point, 0.01 nats) are no gap to close. */
const SMALLEST_GAP = 0.01;

export class Measure {
  constructor(
    /** 'recall', or 'mean'. */
    readonly name: string,
    readonly kind: Kind,
    /** The value of a placement; undefined where it was not measured. */
    readonly of: (judged: Judged) => number | undefined,
    /** Of a score, what it is the mean of: 'the accuracy of recall (as a fraction) and minus the loss of choice (in nats)' */
    readonly made = name,
  ) {}

  /** 'accuracy', 'gold loss' or 'score' */
  get quantity(): string {
    return KINDS[this.kind].quantity;
  }

  /** '%', 'nats' or '' */
  get unit(): string {
    return KINDS[this.kind].unit;
  }

  get higherIsBetter(): boolean {
    return KINDS[this.kind].better > 0;
  }

  /** 'accuracy (%)' */
  get axis(): string {
    return this.unit ? `${this.quantity} (${this.unit})` : this.quantity;
  }

  /** In running text: 'recall accuracy', 'mean gold loss', 'score' */
  get phrase(): string {
    if (this.kind === 'text' && !this.name.startsWith('mean')) return this.name.replace(/-loss$/, ' loss');
    if (this.name === this.quantity) return this.name;
    // 'mean of recall and choice' -> 'mean accuracy of recall and choice'
    if (/^mean( of |$)/.test(this.name)) return this.name.replace('mean', `mean ${this.quantity}`);
    return `${this.name} ${this.quantity}`;
  }

  /** Of a column: 'recall (%)' */
  get heading(): string {
    return this.unit ? `${this.name} (${this.unit})` : this.name;
  }

  /** Of differences: 'points', 'nats' or '' */
  get changeUnit(): string {
    return KINDS[this.kind].change;
  }

  /** As it stands on an axis: percent rather than fractions. */
  plotted(value: number): number {
    return value * KINDS[this.kind].scale;
  }

  /** The number alone: '88.1' */
  digits(value: number, decimals = KINDS[this.kind].decimals): string {
    return fixed(this.plotted(value), decimals);
  }

  /** '88.1 %', '3.869 nats' */
  brief(value: number): string {
    return `${this.digits(value)}${this.suffix(this.unit)}`;
  }

  /** '88.1 %', '3.869 nats (perplexity 47.88)' */
  show(value: number): string {
    const shown = this.brief(value);
    return this.kind === 'text' ? `${shown} (perplexity${NBSP}${perplexityText(value)})` : shown;
  }

  /** This one, and behind the loss of text its perplexity, for columns of tables. */
  get columns(): Measure[] {
    if (this.kind !== 'text') return [this];
    const perplexity = new Measure('perplexity', 'perplexity', (judged) => {
      const loss = this.of(judged);
      return loss === undefined ? undefined : Math.exp(loss);
    });
    return [this, perplexity];
  }

  /** '88.1 ± 0.6'; without the second part for one seed. */
  digitsOf({ mean, deviation }: Spread): string {
    return this.digits(mean) + this.plusMinus(deviation);
  }

  /** '88.1 ± 0.6 %' */
  showSpread(spread: Spread): string {
    return this.digitsOf(spread) + this.suffix(this.unit);
  }

  /** The number of a difference alone: '+16.9' */
  changeDigits(change: number): string {
    return signed(this.plotted(change), KINDS[this.kind].decimals);
  }

  /** Differences over seeds: '+16.9 ± 0.8' */
  changeDigitsOf({ mean, deviation }: Spread): string {
    return this.changeDigits(mean) + this.plusMinus(deviation);
  }

  /** A difference: '+16.9 points' */
  showChange(change: number): string {
    return this.changeDigits(change) + this.suffix(this.changeUnit);
  }

  /** '± 0.6', after a space, or nothing for a single seed. */
  plusMinus(deviation: number | undefined): string {
    return deviation === undefined ? '' : `${NBSP}±${NBSP}${this.digits(deviation)}`;
  }

  /** The size of a difference: '16.9 points' */
  showSize(change: number): string {
    return `${this.digits(Math.abs(change))}${this.suffix(KINDS[this.kind].change)}`;
  }

  /** Whether a difference is too small to be shown. */
  isNothing(change: number): boolean {
    return this.digits(Math.abs(change)) === this.digits(0);
  }

  /** By how much a value is better than another; negative when it is worse. */
  gain(value: number, over: number): number {
    return KINDS[this.kind].better * (value - over);
  }

  /**
   * Where a value stands between the all-linear path (0) and the base model (1); undefined when the base is hardly
   * better than all linear, so that there is nothing to close.
   */
  closed(value: number, linear: number, base: number): number | undefined {
    const gap = this.gain(base, linear);
    return gap < SMALLEST_GAP ? undefined : this.gain(value, linear) / gap;
  }

  private suffix(unit: string): string {
    return unit ? NBSP + unit : '';
  }
}

function perplexityText(loss: number): string {
  const perplexity = Math.exp(loss);
  return fixed(perplexity, perplexity < 99.95 ? 2 : 0);
}

/** The task whose loss is that of running text. */
const TEXT = 'held-out-loss';

type Judging = Pick<PlacementResult, 'objective'>;

/** Where a judgement has what a metric says. */
const FIELDS = { accuracy: 'accuracy', accuracy_norm: 'accuracyNorm', loss: 'goldLossPerToken' } as const;

/** One measure per task of the objective: what the search maximised of it. */
export function taskMeasures({ objective }: Judging): Measure[] {
  return objective.map(({ task, metric }) => {
    // A task may be judged by both its metrics.
    const twice = objective.filter((other) => other.task === task).length > 1;
    const field = FIELDS[metric];
    const kind = metric === 'loss' ? (task === TEXT ? 'text' : 'loss') : 'accuracy';
    const told = twice || metric === 'accuracy_norm';
    return new Measure(told ? `${task} by ${metric}` : task, kind, ({ tasks }) => tasks[task]?.[field]);
  });
}

/** What the search maximised as a whole, in the unit of the tasks that guide it if they agree on one. */
export function overallMeasure({ objective }: Judging): Measure {
  const guiding = objective.filter(guides);
  const metrics = new Set(guiding.map(({ metric }) => (metric === 'loss' ? metric : 'accuracy')));
  const names = [...new Set(guiding.map(({ task }) => task))];
  const mean = guiding.length < objective.length ? `mean of ${listed(names)}` : 'mean';
  const name = guiding.length === 1 ? names[0]! : mean;
  if (metrics.size > 1) {
    const parts = guiding.map(({ task, metric }) =>
      metric !== 'loss'
        ? `the accuracy of ${task} (from 0 to 1)`
        : `minus the loss of ${task} (in nats per token)`,
    );
    return new Measure('score', 'score', ({ score }) => score, listed(parts));
  }
  return !metrics.has('loss')
    ? new Measure(name, 'accuracy', ({ score }) => score)
    : new Measure(name, names.join() === TEXT ? 'text' : 'loss', ({ score }) => -score);
}

/** The mean over tasks of one kind, accuracies if there are any; undefined for a single one. */
export function meanOf(tasks: readonly Measure[]): Measure | undefined {
  const accuracies = tasks.filter(({ kind }) => kind === 'accuracy');
  const group = accuracies.length > 0 ? accuracies : tasks;
  if (group.length < 2) return undefined;
  const kinds = new Set(group.map(({ kind }) => kind));
  return new Measure('mean', kinds.size > 1 ? 'loss' : group[0]!.kind, (judged) => {
    const values = group.flatMap((measure) => measure.of(judged) ?? []);
    return values.length === group.length ? average(values) : undefined;
  });
}

/** Whether the score counts a task. */
export function guides({ guides }: PlacementResult['objective'][number]): boolean {
  return guides !== false;
}

/** Mean of the base's share that is kept: 0.97 for accuracies of 0.485 where the base has 0.5. */
export function keptShare(measures: readonly Measure[], hybrid: Judged, base: Judged): number | undefined {
  const pairs = measures
    .filter(({ kind }) => kind === 'accuracy')
    .map((measure) => [measure.of(hybrid), measure.of(base)]);
  const known = pairs.filter((pair): pair is [number, number] => pair.every((value) => value !== undefined));
  if (known.length === 0) return undefined;
  const whole = average(known.map(([, base]) => base));
  return whole > 0 ? average(known.map(([hybrid]) => hybrid)) / whole : undefined;
}
