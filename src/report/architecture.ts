import { type Html, html } from './html.ts';
import { layersText } from './text.ts';

/** An architecture on one line: a block per layer, its letter inside; full attention (A) stands out. */

/** Kinds of blocks in the order in which their letters appear; colours of the style sheet. */
const COLOURS = ['linear', 'other'];

/** As many layers stand on one line of a phone, and may be drawn wide. */
const FEW = 12;

/** @param large with letters and layer numbers */
export function architectureBlocks(architecture: string, { large = false } = {}): Html {
  const letters = [...architecture];
  const colour = coloursOf(letters);
  const full = fullLayers(architecture);
  const label = `${architecture}: full attention in ${layersText(full)} of ${letters.length}`;
  return html`<span class="architecture${large && ' large'}${letters.length > FEW && ' many'}" role="img" aria-label="${label}">${letters.map(
    (letter, layer) =>
      html`<span class="block ${colour(letter)}" title="layer ${layer}: ${letter}">${
        large && html`<b>${letter}</b><i>${layer}</i>`
      }</span>`,
  )}</span>`;
}

/** The layers with full attention. */
export function fullLayers(architecture: string): number[] {
  return [...architecture].flatMap((letter, layer) => (letter === 'A' ? layer : []));
}

/** Each letter once, in order of appearance, with what it stands for. */
export function architectureKey(architecture: string, name: (letter: string) => string): Html {
  const colour = coloursOf([...architecture]);
  return html`${[...new Set(architecture)].map(
    (letter) =>
      html`<span class="entry"><span class="block ${colour(letter)}"></span> ${letter}: ${name(letter)}</span> `,
  )}`;
}

function coloursOf(letters: readonly string[]): (letter: string) => string {
  const own: Record<string, string> = { A: 'full', W: 'window' };
  const others = [...new Set(letters.filter((letter) => !Object.hasOwn(own, letter)))];
  return (letter) => own[letter] ?? COLOURS[Math.min(others.indexOf(letter), COLOURS.length - 1)]!;
}

/** The architecture that a placement stands for, in the letters of another one of the same model. */
export function lettersOf(placement: readonly number[], layers: number, like: string): string {
  const linear = [...like].find((letter) => letter !== 'A') ?? 'L';
  return Array.from({ length: layers }, (_, layer) => (placement.includes(layer) ? 'A' : linear)).join('');
}
