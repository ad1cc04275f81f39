import { type Html, html } from '../html.ts';

/** The words of the report, for those who have not read the code. */
const TERMS: readonly [string, string][] = [
  [
    'full attention',
    'the usual mixer of a transformer layer: every token looks at all tokens before it, so memory and time grow with the text',
  ],
  ['linear mixer', 'a replacement that keeps a state of fixed size and updates it token by token'],
  ['base model', 'the pre-trained model that the search starts from: every layer at full attention'],
  ['all linear', 'the other end: no layer at full attention'],
  ['placement', 'the layers that keep full attention'],
  ['budget', 'how many layers may keep it'],
  [
    'super network',
    'the model with both mixers in every layer, trained so that any choice of one per layer (a path) works; placements are compared on it without training each',
  ],
  ['uniform', 'full attention in the last layer of equal groups, as hybrids with a fixed ratio are built'],
  ['accuracy', 'share of held-out examples that are answered right'],
  ['gold loss', 'minus the logarithm of the probability of the right answer, per token; lower is better'],
  ['gap closed', 'where a value stands between all linear (0\u00a0%) and the base model (100\u00a0%)'],
  ['seed', 'start of the random numbers: everything is trained and searched anew for each'],
];

export function terms(): Html {
  return html`<dl class="terms">${TERMS.map(
    ([term, meaning]) => html`<div><dt>${term}</dt><dd>${meaning}</dd></div>`,
  )}</dl>`;
}
