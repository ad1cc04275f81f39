import { describe, expect, test } from 'vitest';
import { HEAT_STEPS, SCORE_STEPS, type Shades, THEME, themeVariables } from './theme.ts';

/** Relative luminance, WCAG 2.2. */
function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const c = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light! + 0.05) / (dark! + 0.05);
}

describe.each(['light', 'dark'] as const)('%s', (mode: keyof Shades) => {
  const shade = (name: string) => THEME[name]![mode];

  test.each([
    ...['ink', 'muted', 'link', 'full', 'uniform', 'exhaustive', 'second', 'third'].map((name) => [
      name,
      'paper',
    ]),
    ['random', 'paper'],
    ['ink', 'panel'],
    ['muted', 'panel'],
    ...['full', 'linear', 'window', 'other'].map((name) => [`${name}-text`, name]),
    ...Array.from({ length: HEAT_STEPS }, (_, step) => [`heat-text-${step}`, `heat-${step}`]),
    ...Array.from({ length: SCORE_STEPS }, (_, step) => ['score-text', `score-${step}`]),
  ] as [string, string][])('%s can be read on %s', (text, ground) => {
    expect(contrast(shade(text), shade(ground))).toBeGreaterThanOrEqual(4.5);
  });

  test('the scale of the heat map goes one way, away from the page', () => {
    const steps = Array.from({ length: HEAT_STEPS }, (_, step) =>
      contrast(shade(`heat-${step}`), shade('paper')),
    );
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps.at(-1)).toBeGreaterThan(8);
  });

  test('every colour is a variable', () => {
    for (const [name, shades] of Object.entries(THEME)) {
      expect(themeVariables(mode)).toContain(`--${name}:${shades[mode]};`);
    }
  });
});
