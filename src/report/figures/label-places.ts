import { FONT_SIZE, textWidth } from '../svg.ts';

/** Where the label of a point goes, relative to the point. */
export interface LabelPlace {
  dx: number;
  dy: number;
  textAnchor: 'start' | 'middle' | 'end';
}

export interface Labelled {
  /** Of the point, in pixels. */
  x: number;
  y: number;
  text: string;
}

/** In pixels. */
export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Free space between a point's middle and its label. */
const GAP = 13;

const PLACES: readonly LabelPlace[] = [
  { dx: GAP, dy: 0, textAnchor: 'start' },
  { dx: -GAP, dy: 0, textAnchor: 'end' },
  { dx: 0, dy: -GAP - 3, textAnchor: 'middle' },
  { dx: 0, dy: GAP + 3, textAnchor: 'middle' },
  { dx: GAP, dy: -GAP, textAnchor: 'start' },
  { dx: GAP, dy: GAP, textAnchor: 'start' },
  { dx: -GAP, dy: -GAP, textAnchor: 'end' },
  { dx: -GAP, dy: GAP, textAnchor: 'end' },
  { dx: 0, dy: -2.2 * GAP, textAnchor: 'middle' },
  { dx: 0, dy: 2.2 * GAP, textAnchor: 'middle' },
  { dx: GAP, dy: -2 * GAP, textAnchor: 'start' },
  { dx: GAP, dy: 2 * GAP, textAnchor: 'start' },
  { dx: -GAP, dy: -2 * GAP, textAnchor: 'end' },
  { dx: -GAP, dy: 2 * GAP, textAnchor: 'end' },
];

/**
 * One after the other, each where it hides least of points, of labels before it and of what else is in the way, and
 * stays on the chart.
 */
export function labelPlaces(
  points: readonly Labelled[],
  { width, height, others }: { width: number; height: number; others: readonly Box[] },
): LabelPlace[] {
  const radius = GAP - 2;
  const taken = [
    ...others,
    ...points.map(({ x, y }) => ({
      left: x - radius,
      right: x + radius,
      top: y - radius,
      bottom: y + radius,
    })),
  ];
  return points.map((point) => {
    const cost = (place: LabelPlace) => {
      const box = boxOf(point, place);
      const outside =
        Math.max(0, -box.left) +
        Math.max(0, box.right - width) +
        Math.max(0, -box.top) +
        Math.max(0, box.bottom - height);
      return 100 * outside + taken.reduce((sum, other) => sum + overlap(box, other), 0);
    };
    const best = PLACES.reduce((a, b) => (cost(b) < cost(a) ? b : a));
    taken.push(boxOf(point, best));
    return best;
  });
}

function boxOf({ x, y, text }: Labelled, { dx, dy, textAnchor }: LabelPlace): Box {
  // Wide letters are common in what is labelled: digits and ×.
  const width = 1.15 * textWidth(text);
  const left = x + dx - { start: 0, middle: width / 2, end: width }[textAnchor];
  return { left, right: left + width, top: y + dy - FONT_SIZE / 2, bottom: y + dy + FONT_SIZE / 2 };
}

function overlap(a: Box, b: Box): number {
  const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return wide > 0 && high > 0 ? wide * high : 0;
}

/**
 * Labels one above the other at the end of lines, moved so far that they do not overlap, the highest first.
 *
 * @param gap between two of them, in the unit of `y`
 * @param low what none may fall below
 */
export function movedApart<L extends { y: number }>(labels: readonly L[], gap: number, low: number): L[] {
  const moved = [...labels].sort((a, b) => b.y - a.y).map((label) => ({ ...label }));
  for (let i = 1; i < moved.length; i++) moved[i]!.y = Math.min(moved[i]!.y, moved[i - 1]!.y - gap);
  // What was pushed out at the bottom pushes the others up again.
  for (let i = moved.length - 1, floor = low; i >= 0; i--) {
    moved[i]!.y = Math.max(moved[i]!.y, floor);
    floor = moved[i]!.y + gap;
  }
  return moved;
}
