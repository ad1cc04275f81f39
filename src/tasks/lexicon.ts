/**
 * The words of the generated world. There are few, so that with a leading space each is one token of a vocabulary of
 * at most 1,024; the invented ones are put together from shared syllables, which costs the vocabulary few merges.
 */

const words = (list: string) => list.split(/\s+/);

export const people = words(
  'Mira Tom Ana Ben Lena Max Nora Paul Rosa Sam Tara Will Ida Jack Kate Leo Mona Otto Petra Rick Sara Tim Vera Zoe',
);

export const things = words(
  `lamp key book cup rope coin drum ring hat box bell knife map pen shell ball mirror candle basket hammer bottle
  spoon stone flute ladder needle pillow ribbon saddle torch wheel whistle`,
);

export const places = words(
  `garden kitchen attic barn cellar harbour forest market mill tower school bridge meadow cave chapel field hill
  lake orchard stable street valley village yard`,
);

export const colours = words(
  'red blue green white black brown grey pink gold silver purple orange yellow amber violet scarlet',
);

export const foods = words(
  'fig bread rice soup cheese honey plum pear corn fish apple nut bean grape onion melon',
);

export const trades = words(
  'baker smith weaver farmer hunter sailor potter mason tailor miller cook guard scribe healer singer carver',
);

const joined = (first: string, second: string) =>
  words(first).flatMap((a) => words(second).map((b) => a + b));

/** Those whom the world's fixed facts are about. */
export const heroes = joined('Bol Dar Fen Gor Hal Jor Kel Lum Mor Nab Pir Rud', 'mar ven dis tok');

/** Meaningless keys: nothing is known about them but what the text at hand says. */
export const keys = joined('ka mi so lu ne pa ri zu', 'to bu de fi go la ve xi');

/** What keys stand for: nothing in the world's facts connects one with any key. */
export const values = [...things, ...places, ...colours, ...foods];
