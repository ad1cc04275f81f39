import { attentionBiases, type Family } from './family.ts';

export const olmo2: Family = {
  ...{ maxPositions: 2048, ropeTheta: 10000, tieWordEmbeddings: false, rmsNormEps: 1e-5 },
  reads: [],
  biases: attentionBiases,
  form: { qkNorm: true, qkNormOfAll: true, norms: 'after' },
};
