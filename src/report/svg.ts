/** Charts as SVG text: Observable Plot on a document that exists only here, no browser needed. */
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { Html, html } from './html.ts';

const { document } = parseHTML('<!doctype html><html><body></body></html>');

/** Width of a chart across the page, and of one across a phone, in pixels. */
export const WIDE = 992;
export const NARROW = 380;

/** Letters of the charts, in pixels of their own width. */
export const FONT_SIZE = 12;

export interface Chart {
  /** Unique in the page. */
  id: string;
  /** What is drawn, in a few words: what a screen reader says first. */
  label: string;
  /** What the drawing shows, in a sentence or two. */
  description: string;
  plot: Plot.PlotOptions;
}

/** The drawing grows and shrinks with its place, up to the width it was drawn for. */
export function drawChart({ id, label, description, plot }: Chart): Html {
  const { width, box, content } = drawing({ marginRight: 16, ...plot });
  return html`<svg role="img" aria-label="${label}" aria-describedby="${id}-description" viewBox="${box}"
style="max-width:${width}px" ${TEXT}><desc id="${id}-description">${description}</desc>${content}</svg>`;
}

/** Lines behind the data. */
export const GRID = { stroke: 'var(--line)', strokeOpacity: 1 } as const;

/** A small drawing beside text that says the same; x and y run from 0 to 1. */
export function drawIcon(marks: Plot.Markish[], width = 28): Html {
  const unit = { domain: [0, 1], axis: null } as const;
  const { box, content } = drawing({ margin: 0, width, height: 14, x: unit, y: unit, marks });
  return html`<span class="icon"><svg aria-hidden="true" viewBox="${box}" width="${width}" height="14" ${TEXT}>${content}</svg></span>`;
}

const TEXT = new Html(`fill="currentColor" text-anchor="middle" font-size="${FONT_SIZE}"`);

function drawing(plot: Plot.PlotOptions): { width: number; box: string; content: Html } {
  const svg = Plot.plot({ ...plot, document: document as unknown as Document });
  if (svg.tagName.toLowerCase() !== 'svg')
    throw new Error('a chart must be a lone SVG: no legend, title or caption');
  // The page has Plot's few rules once.
  svg.querySelector('style')?.remove();
  return {
    width: Number(svg.getAttribute('width')),
    box: svg.getAttribute('viewBox')!,
    content: new Html(shortNumbers(svg.innerHTML)),
  };
}

/** A hundredth of a pixel is fine enough. Text content is left alone. */
function shortNumbers(svg: string): string {
  return svg.replace(/<[^>]*>/g, (tag) =>
    tag.replace(/(-?\d+\.\d{3,})(?=[^"]*")/g, (number) => String(Math.round(Number(number) * 100) / 100)),
  );
}

/** About how wide a text is in a chart, in pixels. */
export function textWidth(text: string, size = FONT_SIZE): number {
  return text.length * size * 0.6;
}
