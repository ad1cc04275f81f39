/**
 * Addition and subtraction of numbers of two digits, many to a passage, most significant digit first, as written:
 *
 *     Sums: 37+45=82;60-12=48;
 *
 * Operand pairs are held out, never seen in either passage or question of the training side.
 */
import type { Random } from '../util/random.ts';
import { drawFresh } from './held-out.ts';
import { NOTHING_TAKEN, type Passage } from './passage.ts';

interface Sum {
  question: string;
  answer: number;
  /** 37+45 and 45+37 are one. */
  asks: string;
}

/** `least` to 99 plus the same, or minus one that is not larger. */
function drawSum(random: Random, least: number, below: number): Sum {
  const a = least + random.below(below - least);
  const b = least + random.below(below - least);
  const [low, high] = [Math.min(a, b), Math.max(a, b)];
  if (random.below(2)) return { question: `${a}+${b}=`, answer: a + b, asks: `sum ${low}+${high}` };
  return { question: `${high}-${low}=`, answer: high - low, asks: `sum ${high}-${low}` };
}

/** Of '37+45=82;', and about the mean. */
const sumTokens = 9;

/** One training sum in eight has operands of one digit: the rung on which units and carries are learnt. */
export function arithmetic(
  random: Random,
  heldOut: boolean,
  room: number,
  taken: ReadonlySet<string> = NOTHING_TAKEN,
): Passage {
  const passage: Passage = { parts: [], after: '', contents: [] };
  const asked = new Set<string>();
  for (let left = Math.floor((room - 3) / sumTokens); left > 0; ) {
    const sum = drawFresh(
      heldOut,
      () => (!heldOut && random.below(8) === 0 ? drawSum(random, 0, 10) : drawSum(random, 10, 100)),
      ({ question }) => question,
      ({ question, asks }) => !asked.has(question) && !taken.has(question) && !taken.has(asks),
    );
    if (!sum) break;
    const { question, answer, asks } = sum;
    asked.add(question);
    passage.contents.push(question);
    // The semicolon belongs to the answer: without it 8 would pass for 82.
    passage.parts.push({
      before: passage.parts.length ? question : `Sums: ${question}`,
      answer: `${answer};`,
      asks,
    });
    left--;
  }
  return passage;
}
