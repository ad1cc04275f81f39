import type { Random } from '../../util/random.ts';
import type { Passage } from '../passage.ts';
import type { Encode } from '../task.ts';

/**
 * A passage of at most `length` tokens.
 *
 * @param depth where the answer lies: 0 at the beginning, 1 right before the question; anywhere when not given
 */
export type Draw = (random: Random, length: number, encode: Encode, depth?: number) => Passage;
