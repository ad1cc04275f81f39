import { byTypes, type Family, sameWindow } from './family.ts';

export const mistral: Family = {
  ...{ maxPositions: 131072, ropeTheta: 10000, tieWordEmbeddings: false, numKvHeads: 8 },
  reads: [],
  layers: (fields, count) => sameWindow(fields, count, { window: 4096, maxPositions: 131072 }),
};

export const ministral: Family = {
  ...{ maxPositions: 131072, ropeTheta: 10000, tieWordEmbeddings: false, numKvHeads: 8 },
  reads: [],
  layers: (fields, count) =>
    fields.has('layer_types')
      ? byTypes(fields, count, fields.integer('sliding_window', 4096))
      : sameWindow(fields, count, { window: 4096, maxPositions: 131072 }),
};
