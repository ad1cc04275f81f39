import { type Html, html } from './html.ts';
import { layersText } from './text.ts';

/** An architecture on one line: a block per layer, its letter inside; full attention (A) stands out. */

/** Kinds of blocks in the order in which their letters appear; colours of the style sheet. */
const COLOURS = ['linear', 'window', 'other'];

/** As many layers stand on one line of a phone, and may be drawn wide. */
const FEW = 12;

/** @param large with letters and layer numbers */
export function architectureBlocks(architecture: string, { large = false } = {}): Html {
  const letters = [...architecture];
  const others = [...new Set(letters.filter((letter) => letter !== 'A'))];
  const colour = (letter: string) =>
    letter === 'A' ? 'full' : COLOURS[Math.min(others.indexOf(letter), COLOURS.length - 1)]!;
  const full = letters.flatMap((letter, layer) => (letter === 'A' ? layer : []));
  const label = `${architecture}: full attention in ${layersText(full)} of ${letters.length}`;
  return html`<span class="architecture${large && ' large'}${letters.length > FEW && ' many'}" role="img" aria-label="${label}">${letters.map(
    (letter, layer) =>
      html`<span class="block ${colour(letter)}" title="layer ${layer + 1}: ${letter}">${
        large && html`<b>${letter}</b><i>${layer + 1}</i>`
      }</span>`,
  )}</span>`;
}

/** The architecture that a placement stands for, in the letters of another one of the same model. */
export function lettersOf(placement: readonly number[], layers: number, like: string): string {
  const linear = [...like].find((letter) => letter !== 'A') ?? 'L';
  return Array.from({ length: layers }, (_, layer) => (placement.includes(layer) ? 'A' : linear)).join('');
}
