/**
 * The colours of a report, each for light and for dark. Figures name them as CSS variables (`var(--full)`), so one
 * SVG serves both. What is read as text, or stands behind text, keeps a contrast of 4.5 (WCAG AA); a test holds that.
 */
export interface Shades {
  light: string;
  dark: string;
}

/** Steps of the heat map's scale. */
export const HEAT_STEPS = 10;

const HEAT: readonly Shades[] = [
  { light: '#f0f4f6', dark: '#1c242e' },
  { light: '#dcebef', dark: '#1c3240' },
  { light: '#c3dfe6', dark: '#1b4152' },
  { light: '#a5d0da', dark: '#1a5163' },
  { light: '#83bfcc', dark: '#1c6373' },
  { light: '#62acbd', dark: '#2c7a86' },
  { light: '#3f95aa', dark: '#4b9a9f' },
  { light: '#1f708a', dark: '#74b7b3' },
  { light: '#0f566f', dark: '#a3d2c8' },
  { light: '#083c52', dark: '#d5ebe0' },
];

/** Steps from nothing right to all right, as people know it. */
export const SCORE_STEPS = 10;

const SCORE: readonly Shades[] = [
  { light: '#e8796b', dark: '#8c2f26' },
  { light: '#ed8f73', dark: '#8f4327' },
  { light: '#f2a67c', dark: '#8f5526' },
  { light: '#f5bc86', dark: '#8a6426' },
  { light: '#f7d392', dark: '#7f6f25' },
  { light: '#f3e39c', dark: '#6d7526' },
  { light: '#dbe09a', dark: '#55742c' },
  { light: '#bcd792', dark: '#3f7034' },
  { light: '#99cc8a', dark: '#2b6a3b' },
  { light: '#74bf82', dark: '#1b6440' },
];

const DARK_TEXT = '#0d1b22';
const LIGHT_TEXT = '#ffffff';

/** Text on a step of the scale. */
const HEAT_TEXT: readonly Shades[] = HEAT.map((_, step) => ({
  light: step < 7 ? DARK_TEXT : LIGHT_TEXT,
  dark: step < 6 ? LIGHT_TEXT : DARK_TEXT,
}));

export const THEME: Readonly<Record<string, Shades>> = {
  paper: { light: '#ffffff', dark: '#11151b' },
  panel: { light: '#f6f7f9', dark: '#191f28' },
  ink: { light: '#171b22', dark: '#e9ecf1' },
  muted: { light: '#58616f', dark: '#a5aebb' },
  line: { light: '#dfe3e9', dark: '#2c3440' },
  link: { light: '#0b5ea8', dark: '#7cb8f5' },
  // Full attention, and what the search chose.
  full: { light: '#c2410c', dark: '#ff9457' },
  'full-text': { light: '#ffffff', dark: '#25100a' },
  linear: { light: '#dde5ec', dark: '#2d3948' },
  'linear-text': { light: '#2b3848', dark: '#c5d0dd' },
  // A third and a fourth kind of mixer.
  window: { light: '#e7d9f2', dark: '#45355a' },
  'window-text': { light: '#45245f', dark: '#e6d8f6' },
  other: { light: '#d8ecd9', dark: '#2c4632' },
  'other-text': { light: '#1c4a24', dark: '#cfeed5' },
  // Curves; the search itself has the colour of full attention.
  uniform: { light: '#1f66b0', dark: '#74b3f6' },
  random: { light: '#75757f', dark: '#9d9da8' },
  exhaustive: { light: '#1d7a46', dark: '#6fd09a' },
  second: { light: '#8a3ea6', dark: '#d09cec' },
  third: { light: '#8a6a00', dark: '#dcb84f' },
  ...Object.fromEntries(HEAT.map((shades, step) => [`heat-${step}`, shades])),
  ...Object.fromEntries(HEAT_TEXT.map((shades, step) => [`heat-text-${step}`, shades])),
  ...Object.fromEntries(SCORE.map((shades, step) => [`score-${step}`, shades])),
  'score-text': { light: DARK_TEXT, dark: LIGHT_TEXT },
};

/** CSS declarations of all colours. */
export function themeVariables(mode: keyof Shades): string {
  return Object.entries(THEME)
    .map(([name, shades]) => `--${name}:${shades[mode]};`)
    .join('');
}
