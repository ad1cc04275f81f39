import { type Html, html } from '../html.ts';

/** The words of the report, for those who have not read the code. */
const TERMS: readonly [string, string][] = [
  ['layer 0', 'the first: layers are numbered from 0, as checkpoints name them (model.layers.0)'],
  [
    'decided',
    'a difference is decided where the 95\u00a0% interval of the differences seed by seed (Student’s t) leaves out 0; otherwise, and with one seed always, it is undecided: the two are not distinguishable',
  ],
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
  [
    'perplexity',
    'the exponential of the loss per token of a text: among so many equally likely tokens the model hesitates',
  ],
  [
    'best of 8 random',
    'placements with as many full layers, drawn by chance: the best of them is what a search of the same cost must beat',
  ],
  ['gap closed', 'where a value stands between all linear (0\u00a0%) and the base model (100\u00a0%)'],
  ['seed', 'start of the random numbers: everything is trained and searched anew for each'],
  ['block', 'a kind of linear mixer with its dimensions, as a candidate for the place of attention'],
  [
    'state',
    'what a model keeps of a sequence: keys and values, which grow with it, or matrices of a fixed size',
  ],
  [
    'delta rule',
    'the state is corrected by what it already says about a key before it takes in something new',
  ],
  ['data-dependent gate', 'how much of the state is forgotten depends on the token'],
  ['paired difference', 'the difference of two values of the same seed; what seeds share cancels out'],
  ['rank correlation', 'Spearman’s: 1 when two lists rank alike, 0 when their orders have nothing in common'],
  [
    'distillation',
    'training the hybrid to give what the base model gives: its hidden states (features), then its predictions (logits)',
  ],
];

export function terms(): Html {
  return html`<dl class="terms">${TERMS.map(
    ([term, meaning]) => html`<div><dt>${term}</dt><dd>${meaning}</dd></div>`,
  )}</dl>`;
}
