/**
 * The world's fixed facts: every hero has a colour, a food, a home and a trade, drawn once from the world's seed.
 * They can be answered only from memory, since no passage tells what it asks.
 */
import { Random } from '../util/random.ts';
import { colours, foods, heroes, places, trades } from './lexicon.ts';

export interface Fact {
  hero: string;
  attribute: string;
  value: string;
  /** All values this attribute can have: where wrong options come from. */
  range: readonly string[];
}

const worldSeed = 1957;

const attributes: Record<string, readonly string[]> = {
  colour: colours,
  food: foods,
  home: places.slice(0, 16),
  trade: trades,
};

/** 48 heroes with 4 attributes of 16 possible values: 192 facts, 768 bits. */
export const facts: readonly Fact[] = (() => {
  const random = new Random(worldSeed);
  return heroes.flatMap((hero) =>
    Object.entries(attributes).map(([attribute, range]): Fact => {
      return { hero, attribute, value: random.pick(range), range };
    }),
  );
})();
