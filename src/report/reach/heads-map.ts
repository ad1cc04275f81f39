import * as Plot from '@observablehq/plot';
import type { PlacedReach, ReachResult } from '../../search/reach/result.ts';
import { numberCell } from '../cells.ts';
import { type Figure, panels } from '../figure.ts';
import { rampLegend } from '../figures/ramp.ts';
import { type Html, html } from '../html.ts';
import { drawChart } from '../svg.ts';
import { counted, fixed, listed, percent, signed } from '../text.ts';
import { HEAT_STEPS } from '../theme.ts';

/** Which heads look far: a cell per KV head, a row per layer, a panel per distance. */

type HeadScore = ReachResult['scores']['fromWindows'][number];

/** 'layer.head', as tables name a head. */
const nameOf = ({ layer, head }: Pick<HeadScore, 'layer' | 'head'>) => `${layer}.${head}`;

/** What a panel asks. */
interface Aspect {
  id: string;
  title: string;
  /** How much better one full head makes it; more than 0 where it does. */
  gain(score: HeadScore): number;
  /** What all heads together make better. */
  gap: number;
}

export function headsFigure(result: ReachResult, chosen: PlacedReach): Figure {
  const { scores, lost } = scoresOf(result);
  const aspects = aspectsOf(result, scores, lost);
  const full = new Set(
    chosen.layers.flatMap(({ fullHeads }, layer) => fullHeads.map((head) => nameOf({ layer, head }))),
  );
  const { layers, kvHeads } = result.model;
  const far = aspects.filter(({ id }) => id !== 'text').at(-1);
  const best = far && scores.toSorted((a, b) => far.gain(b) - far.gain(a)).slice(0, 3);
  return {
    id: 'heads-map',
    title: best
      ? `Heads ${listed(best.map(nameOf))} look far: of ${layers * kvHeads} KV heads, ${full.size} are left to see everything`
      : `Of ${layers * kvHeads} KV heads, ${full.size} are left to see everything`,
    reading: html`A row is a layer, its number on the left; a cell is one of its ${counted(kvHeads, 'KV head')}, by the number above. The colour says what happens when ${
      lost
        ? 'all other heads see the whole text, and this one alone a short window: how much of what windows everywhere lose it loses by itself'
        : 'all heads see a short window only, and this one alone sees the whole text: how much of the way back to the parent it goes by itself'
    }. Panels ask for
      something told so many tokens ago${aspects.some(({ id }) => id === 'text') && html`, and for plain text`}. Heads with a ring are those that the
      chosen placement lets see everything.`,
    legend: lost
      ? rampLegend('heat', 'loses nothing', 'as windows everywhere (steps by the root)')
      : rampLegend('heat', 'no better than windows', 'as the parent (steps by the root)'),
    graphic: panels(
      aspects.map((aspect) => ({
        title: aspect.title,
        chart: mapOf(result, scores, aspect, full),
      })),
    ),
    caption: captionOf(scores, aspects, full, lost),
    table: {
      caption: `One head that sees ${lost ? 'a window, all others everything' : 'everything, all others windows'}: change of the loss in nats a token (text: of the divergence)`,
      header: ['Head', ...aspects.map(({ title }) => title), 'Chosen'],
      rows: scores.map((score) => [
        nameOf(score),
        ...aspects.map(({ gain }) =>
          numberCell(lost ? gain(score) : -gain(score), (value) => signed(value, 3)),
        ),
        full.has(nameOf(score)) ? 'sees everything' : 'window',
      ]),
    },
  };
}

/** What the whole model loses with one head made a window names heads that work together, too: it is shown where it is known. */
function scoresOf({ scores: { fromFull, fromWindows } }: ReachResult): {
  scores: readonly HeadScore[];
  lost: boolean;
} {
  return fromFull.length > 0 ? { scores: fromFull, lost: true } : { scores: fromWindows, lost: false };
}

function aspectsOf(
  { placements, recall }: ReachResult,
  scores: readonly HeadScore[],
  lost: boolean,
): Aspect[] {
  const sign = lost ? 1 : -1;
  const [windows, parent] = (['windows', 'full'] as const).map((how) =>
    placements.find((placed) => placed.how === how),
  );
  const gapOf = (of: (placed: PlacedReach) => number) => (windows && parent ? of(windows) - of(parent) : 0);
  const far = (recall?.distances ?? []).flatMap(({ from, to }, i): Aspect[] => {
    if (scores.every((score) => (score.recall[i] ?? null) === null)) return [];
    return [
      {
        id: `recall-${i}`,
        title: `told ${from.toLocaleString('en')} to ${to.toLocaleString('en')} tokens ago`,
        gain: (score) => sign * (score.recall[i] ?? 0),
        gap: gapOf(({ quality }) => quality.recall[i]!.loss ?? 0),
      },
    ];
  });
  const text: Aspect = {
    id: 'text',
    title: 'plain text',
    gain: ({ kl }) => sign * (kl ?? 0),
    gap: gapOf(({ quality }) => quality.text?.kl ?? 0),
  };
  return [...far, ...(scores.some(({ kl }) => kl !== null) ? [text] : [])];
}

/** Of the gap, 0 to 1. */
function shareOf({ gain, gap }: Aspect, score: HeadScore): number {
  return gap > 0 ? Math.max(0, Math.min(1, gain(score) / gap)) : 0;
}

function mapOf(
  { model }: ReachResult,
  scores: readonly HeadScore[],
  aspect: Aspect,
  full: ReadonlySet<string>,
): Html {
  const cells = scores.map((score) => {
    const share = shareOf(aspect, score);
    const step = Math.min(HEAT_STEPS - 1, Math.floor(Math.sqrt(share) * HEAT_STEPS));
    return {
      ...{ layer: score.layer, head: score.head, fill: `var(--heat-${step})` },
      title: `head ${nameOf(score)}: ${fixed(aspect.gain(score), 3)} nats, ${percent(share)} of the gap`,
      chosen: full.has(nameOf(score)),
    };
  });
  const place = { x: 'head', y: 'layer' } as const;
  const best = cells.filter(({ chosen }) => chosen);
  return drawChart({
    id: `heads-${aspect.id}`,
    label: `Heads by how far they look: ${aspect.title}`,
    description: `${cells.map(({ title }) => title).join('. ')}.`,
    plot: {
      width: Math.max(240, Math.min(430, 60 + model.kvHeads * 60)),
      height: 40 + model.layers * 15,
      marginLeft: 44,
      marginRight: 8,
      marginTop: 20,
      marginBottom: 4,
      padding: 0,
      x: { domain: numbered(model.kvHeads), axis: 'top', tickSize: 0, label: null },
      y: { domain: numbered(model.layers), tickSize: 0, label: null },
      marks: [
        Plot.cell(cells, { ...place, fill: 'fill', inset: 0.75, rx: 2, title: 'title' }),
        Plot.cell(best, { ...place, fill: 'none', stroke: 'var(--full)', strokeWidth: 2, inset: 1.5, rx: 2 }),
      ],
      color: { type: 'identity' },
    },
  });
}

function numbered(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function captionOf(
  scores: readonly HeadScore[],
  aspects: readonly Aspect[],
  full: ReadonlySet<string>,
  lost: boolean,
): Html {
  return html`By itself:<ul>${aspects.map((aspect) => {
    const [first, second] = scores.toSorted((a, b) => aspect.gain(b) - aspect.gain(a));
    if (!first || aspect.gain(first) <= 0) {
      return html`<li><b>${aspect.title}</b>: no head ${lost ? 'is missed' : 'helps'} alone</li>`;
    }
    const kept = full.has(nameOf(first)) ? '' : ' (not chosen: others together do more)';
    const does = lost ? 'loses' : 'brings back';
    return html`<li><b>${aspect.title}</b>: head ${nameOf(first)} ${does} ${percent(shareOf(aspect, first))} of the gap${kept}${
      second && html`, head ${nameOf(second)} ${percent(shareOf(aspect, second))}`
    }; the gap between windows everywhere and the parent is ${fixed(aspect.gap, 2)} nats</li>`;
  })}</ul>`;
}
