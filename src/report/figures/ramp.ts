import * as Plot from '@observablehq/plot';
import { type Html, html } from '../html.ts';
import { drawIcon } from '../svg.ts';
import { HEAT_STEPS, SCORE_STEPS } from '../theme.ts';

const STEPS = { heat: HEAT_STEPS, score: SCORE_STEPS };

/** The legend of a map's colours, from the least to the most. */
export function rampLegend(scale: keyof typeof STEPS, least: string, most: string): Html {
  const count = STEPS[scale];
  const steps = Array.from({ length: count }, (_, step) => step);
  const ramp = Plot.rect(steps, {
    x1: (step: number) => step / count,
    x2: (step: number) => (step + 1) / count,
    y1: () => 0,
    y2: () => 1,
    fill: (step: number) => `var(--${scale}-${step})`,
  });
  return html`<p class="ramp"><span>${least}</span>${drawIcon([ramp], 16 * count)}<span>${most}</span></p>`;
}
