import { SHAPES, type Shape } from './shapes.ts';

/** A shape small enough for tests, with all that the real ones have. */
export const TINY: Shape = {
  name: 'tiny',
  config: {
    ...SHAPES[0]!.config,
    vocabSize: 96,
    hiddenSize: 64,
    intermediateSize: 96,
    numHeads: 2,
    numKvHeads: 1,
    headDim: 32,
    maxPositionEmbeddings: 64,
    layers: SHAPES[0]!.config.layers.slice(0, 3),
  },
  full: [1],
  heads: [[1, 0]],
};
