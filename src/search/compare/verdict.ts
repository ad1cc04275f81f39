import type { ComparedModel, CompareResult, Verdict } from './result.ts';

/**
 * What a hybrid is good for, in words that follow from the figures by the thresholds here, which the page states.
 */
export const THRESHOLDS = {
  /** Changes of the loss on text, in nats per token. */
  same: 0.02,
  near: 0.1,
  worse: 0.3,
  /** Shares of the parent's ability above chance. */
  kept: 0.95,
  partly: 0.75,
  /** Of the loss, and of the share of questions found, by which a hybrid must beat windows of equal bytes. */
  betterLoss: 0.01,
  betterRecall: 0.1,
};

type Point = Verdict['points'][number];

export function verdictOf(result: Pick<CompareResult, 'models' | 'context'>, at: number): Verdict {
  const { models, context } = result;
  const [parent, hybrid] = [models[0]!, models[at]!];
  const baseline = baselineOf(models, at);
  const recall = recallOf(hybrid, parent, context);
  const points: Point[] = [
    textPoint(hybrid),
    ...(recall === null ? [] : [recall.point]),
    ...taskPoints(hybrid, parent),
    ...costPoints(hybrid, parent, context),
    ...(baseline ? [baselinePoint(hybrid, baseline)] : []),
  ];
  const next = nextPoint(hybrid, baseline, recall);
  return { model: at, headline: headlineOf(hybrid, recall), points: [...points, next] };
}

/** The baseline made for a hybrid, or for another that takes as many bytes. */
export function baselineOf(models: readonly ComparedModel[], at: number): ComparedModel | undefined {
  const bytes = models[at]!.stateBytes;
  /** Less by no more than another token of windows would take. */
  const isEqual = ({ stateBytes, window = 1, sinks = 0 }: ComparedModel) =>
    stateBytes <= bytes && bytes < stateBytes + stateBytes / (window + sinks);
  return (
    models.find(({ of }) => of === at) ?? models.find((model) => model.role === 'baseline' && isEqual(model))
  );
}

const nats = (value: number) => `${value < 0 ? '\u2212' : '+'}${Math.abs(value).toFixed(3)} nats a token`;
const percent = (share: number) => `${Math.round(100 * share)} %`;
const tokens = (count: number) => `${count.toLocaleString('en')} tokens`;

function textPoint({ text: { change, margin, agreement, kl } }: ComparedModel): Point {
  const figures = `${nats(change)}, the same most probable token ${percent(agreement)} of the time, divergence ${kl.mean.toFixed(3)}`;
  const { kind, words } = textClass(change);
  const ends = [change - (margin ?? 0), change + (margin ?? 0)].map((end) => textClass(end).words);
  const unsure =
    ends[0] !== ends[1]
      ? `; these rows of text (±${margin!.toFixed(3)}) leave open what lies between "${ends[0]}" and "${ends[1]}"`
      : '';
  return { kind, text: `Text: ${words} the parent (${figures}${unsure}).` };
}

function textClass(change: number): { kind: Point['kind']; words: string } {
  const { same, near, worse } = THRESHOLDS;
  if (change <= same) return { kind: 'kept', words: 'as good as' };
  if (change <= near) return { kind: 'kept', words: 'near' };
  return { kind: 'lost', words: change <= worse ? 'noticeably worse than' : 'much worse than' };
}

interface Recall {
  /** The longest text in which as much is found as by the parent; 0 for none. */
  reach: number;
  /** Of what the parent finds at the context. */
  share: number;
  point: Point;
}

/** By all questions about texts of a length; null where the parent itself does not find half of what any told. */
function recallOf(hybrid: ComparedModel, parent: ComparedModel, context: number): Recall | null {
  const [own, theirs] = [foundBy(hybrid), foundBy(parent)];
  const lengths = [...theirs.keys()].sort((a, b) => a - b);
  const able = lengths.filter((length) => theirs.get(length)! >= 0.5);
  const last = able.at(-1);
  if (last === undefined) return null;
  const shareAt = (length: number) => Math.min(1, (own.get(length) ?? 0) / theirs.get(length)!);
  let reach = 0;
  for (const length of able) {
    if (shareAt(length) < THRESHOLDS.kept) break;
    reach = length;
  }
  const share = shareAt(last);
  const beyond = last < context ? ` (the parent itself finds them in texts of up to ${tokens(last)})` : '';
  const found =
    reach === last
      ? {
          kind: 'kept' as const,
          text: `Recall: finds what a text of ${tokens(last)} told, as the parent does${beyond}.`,
        }
      : reach > 0
        ? {
            kind: 'lost' as const,
            text: `Recall: finds what a text told up to ${tokens(reach)}; of ${tokens(last)} it finds ${percent(share)} of what the parent does${beyond}.`,
          }
        : {
            kind: 'lost' as const,
            text: `Recall: finds ${percent(shareAt(able[0]!))} of what the parent does in texts of ${tokens(able[0]!)}, ${percent(share)} in those of ${tokens(last)}${beyond}.`,
          };
  return { reach, share, point: found };
}

/** Share of all questions that are answered rightly, by the length of the text. */
export function foundBy({ recall }: ComparedModel): Map<number, number> {
  const sums = new Map<number, [right: number, examples: number]>();
  for (const { length, right, examples } of recall.flatMap(({ cells }) => cells)) {
    const [before, all] = sums.get(length) ?? [0, 0];
    sums.set(length, [before + right, all + examples]);
  }
  return new Map([...sums].map(([length, [right, examples]]) => [length, right / examples]));
}

/** By what the interval of the accuracy leaves open, as well as by the share itself. */
function taskPoints(hybrid: ComparedModel, parent: ComparedModel): Point[] {
  const groups = new Map<string, string[]>();
  for (const [i, { name, share, interval, chance }] of hybrid.tasks.entries()) {
    if (share === null) continue;
    const above = parent.tasks[i]!.accuracy - chance;
    const [low, high] = interval.map((bound) => (bound - chance) / above) as [number, number];
    const group = taskGroup(share, low, high);
    const range = group === UNDECIDED ? ` (${percent(low)} to ${percent(high)})` : '';
    groups.set(group, [...(groups.get(group) ?? []), `${name} ${percent(Math.max(0, share))}${range}`]);
  }
  return TASK_GROUPS.flatMap(({ group, kind }): Point[] => {
    const names = groups.get(group);
    return names ? [{ kind, text: `${group}: ${names.join(', ')} of the parent's score above chance.` }] : [];
  });
}

const UNDECIDED = 'Tasks undecided by so few examples';
const TASK_GROUPS: { group: string; kind: Point['kind'] }[] = [
  { group: 'Tasks kept', kind: 'kept' },
  { group: 'Tasks kept in part', kind: 'lost' },
  { group: 'Tasks lost', kind: 'lost' },
  { group: UNDECIDED, kind: 'open' },
];

function taskGroup(share: number, low: number, high: number): string {
  const { kept, partly } = THRESHOLDS;
  if (share >= kept) return low >= partly ? 'Tasks kept' : UNDECIDED;
  if (high >= kept) return UNDECIDED;
  return share >= partly ? 'Tasks kept in part' : 'Tasks lost';
}

function costPoints(hybrid: ComparedModel, parent: ComparedModel, context: number): Point[] {
  const memory = `Memory: ${compared(parent.stateBytes / hybrid.stateBytes)} the parent for a sequence of ${tokens(context)}`;
  const last = hybrid.speed.at(-1);
  const other = parent.speed.find(({ context: length }) => length === last?.context);
  if (!last || !other) return [{ kind: 'cost', text: `${memory}.` }];
  const speed = last.decodeTokensPerSecond / other.decodeTokensPerSecond;
  const far = `${compared(other.stateBytes / last.stateBytes)} it after ${tokens(last.context)}, where it writes ${speed.toFixed(2)} times as fast here`;
  return [{ kind: 'cost', text: `${memory}, ${far}.` }];
}

/** '4.0 times less than', '2.0 times more than' */
function compared(times: number): string {
  if (times > 0.95 && times < 1.05) return 'as much as';
  const many = Math.max(times, 1 / times);
  return `${many.toFixed(many < 10 ? 1 : 0)} times ${times > 1 ? 'less' : 'more'} than`;
}

/** Whether what was trained or searched is worth more than windows that anyone can cut. */
function baselinePoint(hybrid: ComparedModel, baseline: ComparedModel): Point {
  const loss = baseline.text.loss - hybrid.text.loss;
  const gain = averageRecall(hybrid) - averageRecall(baseline);
  const figures = `${nats(-loss)} against it, and ${percent(averageRecall(hybrid))} of all questions about a text found where it finds ${percent(averageRecall(baseline))}`;
  const { betterRecall } = THRESHOLDS;
  // At least what the rows of text can tell apart.
  const margin = Math.hypot(hybrid.text.margin ?? 0, baseline.text.margin ?? 0);
  const betterLoss = Math.max(THRESHOLDS.betterLoss, margin);
  const name = `windows of equal bytes without any training (${baseline.window} + ${baseline.sinks} tokens in all layers)`;
  if (loss >= betterLoss || gain >= betterRecall) {
    const both = loss < -betterLoss || gain < -betterRecall;
    return { kind: both ? 'lost' : 'kept', text: `${both ? 'Against' : 'Better than'} ${name}: ${figures}.` };
  }
  const even = loss > -betterLoss && gain > -betterRecall;
  return { kind: 'lost', text: `${even ? 'No better than' : 'Worse than'} ${name}: ${figures}.` };
}

/** Over all lengths alike. */
export function averageRecall(model: ComparedModel): number {
  const shares = [...foundBy(model).values()];
  return shares.length === 0 ? 0 : shares.reduce((a, b) => a + b, 0) / shares.length;
}

function headlineOf({ name, text }: ComparedModel, recall: Recall | null): string {
  const good = text.change <= THRESHOLDS.near;
  if (text.change > THRESHOLDS.worse) return `${name} is not usable in its parent's place yet`;
  if (recall === null)
    return good ? `${name} reads text nearly as its parent does` : `${name} reads text worse than its parent`;
  if (recall.share >= THRESHOLDS.kept) {
    return good
      ? `${name} can take its parent's place`
      : `${name} finds what its parent finds, but writes worse text`;
  }
  const within = recall.reach > 0 ? `up to ${tokens(recall.reach)}` : 'where what matters stands nearby';
  return good
    ? `${name} can take its parent's place for text ${within}, not to look things up further back`
    : `${name} is noticeably worse than its parent, and does not find what stands far back`;
}

function nextPoint(hybrid: ComparedModel, baseline: ComparedModel | undefined, recall: Recall | null): Point {
  const { near, kept, betterLoss } = THRESHOLDS;
  const lostRecall = recall !== null && recall.share < kept;
  const beaten = baseline !== undefined && baseline.text.loss < hybrid.text.loss - betterLoss;
  const worse = hybrid.text.change > near;
  const search =
    'for look-ups, keep full attention in more layers, or in others: search for them on recall at the distances you need (postnas search --task needle recall)';
  if (hybrid.placed) return { kind: 'next', text: `Next: ${nextPlacement(beaten, lostRecall, worse)}` };
  const text = beaten
    ? 'train it longer (postnas distill), or take windows with sinks of the same bytes instead: they need no training.'
    : lostRecall
      ? `${search}. ${worse ? 'For better text, train it (postnas distill).' : 'For chat and text of that reach, use it as it is.'}`
      : worse
        ? 'train it longer (postnas distill): recall is there, text is not yet.'
        : 'use it. Measure it on your own text and tasks first (--held-out, --task).';
  return { kind: 'next', text: `Next: ${text}` };
}

/** Of a placement, whose weights are the parent's. */
function nextPlacement(beaten: boolean, lostRecall: boolean, worse: boolean): string {
  if (lostRecall)
    return 'for look-ups, let more KV heads see everything (postnas convert --full-heads), searched at the distances you need (--context).';
  if (beaten || worse)
    return 'for better text, give the other heads longer windows (postnas convert --windows), or more heads that see everything.';
  return 'use it. Measure it on your own text and tasks first (--held-out, --task).';
}
