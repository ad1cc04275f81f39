/** What branches start from: the weights of attention and what it does with some text, or the weights alone. */
export const STARTS = ['calibrated', 'copied'] as const;
export type Start = (typeof STARTS)[number];
