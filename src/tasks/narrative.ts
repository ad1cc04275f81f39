/**
 * The two uses of stories: tracking asks where people and things are; plain narrative is text to be modelled, whose
 * loss on held-out stories says how well the language as such is known.
 */
import type { Random } from '../util/random.ts';
import { drawSide } from './held-out.ts';
import type { Passage } from './passage.ts';
import { textOf } from './passage.ts';
import { Story, sentenceTokens } from './story.ts';

const opening = 'Story:';

/** A question, of about 8 tokens, comes after every other sentence on average, and at the end. */
export function tracking(random: Random, heldOut: boolean, room: number): Passage {
  const passage = drawSide(
    heldOut,
    () => {
      const story = new Story(random);
      const drawn: Passage = { parts: [], after: '', contents: [] };
      let before = opening;
      for (let left = Math.floor((room - 8) / (sentenceTokens + 4)); left > 0; left--) {
        before += story.sentence();
        const asked = left === 1 || random.below(2) === 0 ? story.question() : undefined;
        if (asked === undefined) continue;
        drawn.parts.push({ before: before + asked.question, answer: ` ${asked.place}` });
        before = '.';
      }
      drawn.after = before;
      return drawn;
    },
    textOf,
  );
  return { ...passage, contents: [textOf(passage)] };
}

/** A story without questions; the "answer" is everything after its first sentence. */
export function narrative(random: Random, heldOut: boolean, room: number): Passage {
  const sentences = drawSide(
    heldOut,
    () => {
      const story = new Story(random);
      return Array.from({ length: Math.floor(room / sentenceTokens) }, () => story.sentence());
    },
    (drawn) => drawn.join(''),
  );
  return {
    parts: [{ before: opening + sentences[0]!, answer: sentences.slice(1).join('') }],
    after: '',
    contents: [sentences.join('')],
  };
}
