import type { Device } from '../graph/index.ts';
import type { WrittenDtype } from '../model/safetensors.ts';
import { BEST_MIXER } from './network/linear-mixer.ts';
import type { PathSampling } from './train/super-network.ts';

/** What a final training is, beside what does not hang on the model. */
export interface FinalTraining {
  featureSteps: number;
  logitSteps: number;
  allSteps: number;
  featureRate: number;
  logitRate: number;
  allRate: number;
  bodyRate: number;
  crossEntropy: number;
  embeddings: boolean;
  /** Share of a rate that is left at the end of its stage. */
  rateLeft: number;
}

/** A narrower model is one of the laboratory, such as the embedded one: it stands large rates, and learns the text besides. */
export const WIDE = 256;

/**
 * What a setting is where nothing is said of it: the one table that recipes, the functions of the library and the options
 * of the command line take theirs from. The values are the best known ones (docs/LOG.md).
 */
export const DEFAULTS = {
  seeds: [1],
  device: 'cpu' as Device,
  rows: 8,
  length: 256,
  examples: 128,
  /** Of a hundred documents, one is held out. */
  heldOutShare: 0.01,
  placement: {
    mixer: BEST_MIXER,
    budget: 2,
    alignSteps: 300,
    supernetSteps: 600,
    finishSteps: 0,
    rate: 2e-3,
    sampling: 'budget' as Exclude<PathSampling['rule'], 'fixed'>,
    beam: 3,
    random: 8,
    exhaustive: false,
  },
  /** Of each candidate of `blocks`, `design` and `dimensions`. */
  comparison: { alignSteps: 100, trainSteps: 200, rate: 2e-3 },
  dimensions: { aspect: 4, slack: 0.03 },
  decode: { context: 256, tokens: 64, rounds: 5 },
  windows: { beam: 3 },
  final: {
    /** Of models of the laboratory, such as the embedded one. */
    small: {
      featureSteps: 200,
      logitSteps: 400,
      allSteps: 400,
      featureRate: 2e-3,
      logitRate: 1e-3,
      allRate: 1e-3,
      bodyRate: 0.1,
      crossEntropy: 0.1,
      embeddings: true,
      rateLeft: 0.05,
    },
    /** Of models as people use them: they know far more text than a distillation can show them. */
    pretrained: {
      featureTokens: 200_000,
      logitTokens: 200_000,
      allTokens: 500_000,
      featureRate: 1e-3,
      logitRate: 1e-4,
      allRate: 1e-4,
      bodyRate: 0.25,
      crossEntropy: 0,
      embeddings: false,
      rateLeft: 0.1,
    },
    /** Measurements on held-out text. */
    patience: 8,
    temperature: 1,
    examples: 256,
    cacheLimit: 20e9,
    dtype: 'F32' as WrittenDtype,
  },
};
