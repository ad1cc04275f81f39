import { Random } from '../util/random.ts';
import { average, margin95, spreadOf, wilson } from '../util/statistics.ts';
import type { Document } from './datasets/document.ts';
import { type ExampleScore, outcomeOf, type Plan } from './harness.ts';
import { FILTERS, isRight } from './written.ts';

/** What a model's scores on a task say, by the names and definitions of lm-evaluation-harness, and the loss of the gold answers. */

export interface Measure {
  /** 'acc', 'acc_norm', 'perplexity', 'word_perplexity', 'exact_match', 'gold_loss', ... */
  metric: string;
  /** How the answer was taken from what was written; 'none' where nothing was. */
  filter: string;
  value: number;
  /** Undefined for one example, and where the harness has none. */
  stderr?: number | undefined;
  /** In which the value of all possible examples lies with a probability of 95 %. */
  interval?: [low: number, high: number] | undefined;
  higherIsBetter: boolean;
}

/** Mean over examples with the standard error of the mean, of the sample's deviation (n - 1), and Student's interval. */
function meanOf(metric: string, values: readonly number[], higherIsBetter: boolean): Measure {
  const value = average(values);
  const margin = margin95(values);
  return { metric, filter: 'none', ...stderrOf(values), value, higherIsBetter, ...around(value, margin) };
}

/** The share of examples that are right, with Wilson's interval: that of Student says nothing where all or none are. */
function shareOf(metric: string, right: readonly boolean[], filter = 'none'): Measure {
  const values = right.map(Number);
  const value = average(values);
  const interval = wilson(value, values.length);
  return { metric, filter, ...stderrOf(values), value, higherIsBetter: true, interval };
}

/** Of the normal distribution, two-sided. */
const NORMAL95 = 1.959964;

function stderrOf(values: readonly number[]): Pick<Measure, 'stderr'> {
  const deviation = spreadOf(values)?.deviation;
  return deviation === undefined ? {} : { stderr: deviation / Math.sqrt(values.length) };
}

function around(middle: number, margin: number | undefined): Pick<Measure, 'interval'> {
  return margin === undefined ? {} : { interval: [middle - margin, middle + margin] };
}

/** Resamples of a bootstrap; lm-evaluation-harness takes 100,000, whose standard error differs by less than 1 %. */
const RESAMPLES = 10_000;

/** The exponential of the mean loss; standard error and interval of a bootstrap over the examples. */
function perplexityOf(losses: readonly number[]): Measure {
  const value = Math.exp(average(losses));
  const spread = losses.length < 2 ? {} : bootstrap(losses);
  return { metric: 'perplexity', filter: 'none', value, ...spread, higherIsBetter: false };
}

function bootstrap(losses: readonly number[]): Pick<Measure, 'stderr' | 'interval'> {
  const random = new Random(1);
  const count = losses.length;
  const resampled = Float64Array.from({ length: RESAMPLES }, () => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += losses[random.below(count)]!;
    return Math.exp(sum / count);
  }).sort();
  return {
    stderr: spreadOf([...resampled])!.deviation,
    interval: [resampled[Math.floor(0.025 * RESAMPLES)]!, resampled[Math.floor(0.975 * RESAMPLES)]!],
  };
}

/** Of text that every token is predicted of: the exponential of the loss per token. */
export function tokenMeasures(lossPerToken: number): Measure[] {
  const shared = { filter: 'none', higherIsBetter: false };
  return [
    { metric: 'perplexity', value: Math.exp(lossPerToken), ...shared },
    { metric: 'gold_loss_per_token', value: lossPerToken, ...shared },
  ];
}

/** Of a public set: its documents, which decide which measures there are, and the answers that were written to them. */
interface Judged {
  documents?: readonly Document[] | undefined;
  written?: readonly string[] | undefined;
}

/** @param scores of all examples of the plan */
export function measuresOf(
  { examples }: Plan,
  scores: readonly ExampleScore[],
  { documents, written }: Judged = {},
): Measure[] {
  const outcomes = examples.map((example, i) => outcomeOf(example, scores[i]!));
  const losses = outcomes.map(({ loss }) => loss);
  const total = losses.reduce((sum, loss) => sum + loss, 0);
  const tokens = examples.reduce((sum, { goldTokens }) => sum + goldTokens, 0);
  const lossPerToken: Measure = {
    ...{ metric: 'gold_loss_per_token', filter: 'none', value: total / tokens, higherIsBetter: false },
  };
  const pages = documents?.flatMap((document) => ('page' in document ? document.page : [])) ?? [];
  if (pages.length > 0) return [...textMeasures(pages, total), lossPerToken];
  const loss = [meanOf('gold_loss', losses, false), lossPerToken];
  if (written) return [...matchesOf(written, documents!), ...loss];
  const answers = documents?.some((document) => 'text' in document && 'target' in document);
  const norm = outcomes.flatMap(({ correctNorm = [] }) => correctNorm);
  return [
    shareOf(
      'acc',
      outcomes.map(({ correct }) => correct),
    ),
    ...(norm.length > 0 ? [shareOf('acc_norm', norm)] : []),
    ...(answers ? [perplexityOf(losses)] : []),
    ...loss,
  ];
}

/** How many of the answers that were written are right, by each way to take them from the text. */
function matchesOf(written: readonly string[], documents: readonly Document[]): Measure[] {
  return Object.entries(FILTERS).map(([filter, extract]) => {
    const right = written.map((text, i) => {
      const document = documents[i]!;
      return 'question' in document && isRight(extract(text), document.target);
    });
    return shareOf('exact_match', right, filter);
  });
}

/** The loss of whole texts for each word and byte of their pages; the harness counts an empty word at an end, too. */
function textMeasures(pages: readonly string[], loss: number): Measure[] {
  const [words, bytes] = countsOf(pages);
  const measure = (metric: string, value: number): Measure => ({
    ...{ metric, filter: 'none', value, higherIsBetter: false },
  });
  return [
    measure('word_perplexity', Math.exp(loss / words)),
    measure('byte_perplexity', Math.exp(loss / bytes)),
    measure('bits_per_byte', loss / bytes / Math.LN2),
  ];
}

function countsOf(pages: readonly string[]): [words: number, bytes: number] {
  const words = pages.reduce((sum, page) => sum + page.split(/\s+/).length, 0);
  return [words, pages.reduce((sum, page) => sum + Buffer.byteLength(page), 0)];
}

/**
 * Measures of several tasks as one: means weighted by examples, with the pooled standard error of lm-evaluation-harness.
 *
 * @param tasks with the same measures
 */
export function pooled(tasks: readonly { examples: number; measures: readonly Measure[] }[]): Measure[] {
  const all = tasks.reduce((sum, { examples }) => sum + examples, 0);
  return tasks[0]!.measures.flatMap(({ metric, filter, higherIsBetter }) => {
    const each = tasks.map(({ examples, measures }) => ({
      ...{ examples, of: measures.find((own) => own.metric === metric && own.filter === filter) },
    }));
    // A mean over tokens is no mean over examples.
    if (metric === 'gold_loss_per_token' || each.some(({ of }) => of === undefined)) return [];
    const value = each.reduce((sum, { examples, of }) => sum + examples * of!.value, 0) / all;
    const known = each.every(({ of }) => of!.stderr !== undefined) && all > tasks.length;
    const squares = each.reduce(
      (sum, { examples, of }) => sum + (examples - 1) * examples * (of!.stderr ?? 0) ** 2,
      0,
    );
    const stderr = known ? Math.sqrt(squares / (all - tasks.length) / all) : undefined;
    // Groups have many examples.
    const margin = stderr === undefined ? undefined : NORMAL95 * stderr;
    return { metric, filter, value, stderr, higherIsBetter, ...around(value, margin) };
  });
}
