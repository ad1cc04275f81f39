/**
 * What a base model of the generated world is trained on: documents drawn from the abilities by weight, laid into
 * rows of tokens.
 */
import type { Random } from '../util/random.ts';
import { arithmetic } from './arithmetic.ts';
import { choice } from './choice.ts';
import { narrative, tracking } from './narrative.ts';
import { needle } from './needle.ts';
import { type Ability, abilityTask, leastRoom, textOf } from './passage.ts';
import { recall } from './recall.ts';
import type { Encode, Task } from './task.ts';

/**
 * Weights per document, and since documents of all kinds fill the room they are given, nearly per token. Choice needs
 * every fact often enough to be memorised; needle has few answers to a token; recall comes with its circuit (match a
 * key, copy what follows) from the first part; sums are soon learnt; stories come with the needles too, so that plain
 * ones need little of their own.
 */
export const mixture: { name: string; ability: Ability; weight: number }[] = [
  { name: 'recall', ability: recall, weight: 0.14 },
  { name: 'needle', ability: needle, weight: 0.22 },
  { name: 'choice', ability: choice, weight: 0.26 },
  { name: 'arithmetic', ability: arithmetic, weight: 0.1 },
  { name: 'tracking', ability: tracking, weight: 0.24 },
  { name: 'narrative', ability: narrative, weight: 0.04 },
];

/**
 * Weights of the first part of training, on narrow rows: mostly recall, so that its circuit is there when the
 * others come to need it. Stories need longer rows.
 */
export const beginning: typeof mixture = [
  { name: 'recall', ability: recall, weight: 0.62 },
  { name: 'needle', ability: needle, weight: 0.08 },
  { name: 'choice', ability: choice, weight: 0.2 },
  { name: 'arithmetic', ability: arithmetic, weight: 0.1 },
];

/** The held-out evaluation, one task per ability; that of 'narrative' is for its loss per token alone. */
export const worldTasks: Task[] = mixture.map(({ name, ability }) => abilityTask(name, ability));

/** A document of about `room` tokens, without an end-of-text token: for training, or, held out, for none. */
export function document(random: Random, room: number, weights = mixture, heldOut = false): string {
  let at = random.uniform();
  for (const { ability, weight } of weights) {
    at -= weight;
    if (at < 0) return textOf(ability(random, heldOut, room));
  }
  return textOf(weights[0]!.ability(random, heldOut, room));
}

/**
 * Fills `out` with rows of `width` tokens. Every row begins with the beginning of a document, as an evaluation
 * example does; each document is followed by the end-of-text token. Documents are as long as the row has room, or,
 * every other time, a random part of it; what does not fit is cut. Since nothing is carried over between rows, the
 * state of `random` is all that a resumed run needs.
 *
 * Narrow rows come with short documents: an ability that has to find something among n tokens shows itself in the
 * gradient about 1/n as strongly before it is learnt, so training begins faster on rows of 64 than of 256.
 *
 * @param out [B * width] token ids, row by row
 */
export function fillRows(
  out: Int32Array,
  width: number,
  random: Random,
  encode: Encode,
  endOfText: number,
  weights = mixture,
  heldOut = false,
): void {
  for (let row = 0; row < out.length; row += width) {
    const end = Math.min(row + width, out.length);
    for (let at = row; at < end; ) {
      const left = Math.max(end - at - 1, leastRoom);
      const room = random.below(2) ? left : leastRoom + random.below(left - leastRoom + 1);
      for (const id of encode(document(random, room, weights, heldOut))) {
        if (at === end) break;
        out[at++] = id;
      }
      if (at < end) out[at++] = endOfText;
    }
  }
}
