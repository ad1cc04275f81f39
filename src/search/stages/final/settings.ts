import { join } from 'node:path';
import type { Device } from '../../../graph/index.ts';
import { isLinearWeight } from '../../../mixers/registry.ts';
import type { MixerSpec } from '../../../mixers/spec.ts';
import type { Checkpoint } from '../../../model/checkpoint.ts';
import type { WrittenDtype } from '../../../model/safetensors.ts';
import type { TrainingData } from '../../../train/batches.ts';
import type { OnProgress } from '../../../util/progress.ts';
import type { Hybrid } from '../../network/hybrid.ts';
import type { PathLosses } from '../../network/path-gradient.ts';
import type { NetworkWeight } from '../../network/trained-weights.ts';
import type { TrainingSettings } from '../../train/settings.ts';

/**
 * The final training: a hybrid learns from the model it came from. First its hidden states, then its predictions
 * with the MLPs frozen, then, all weights trained, its predictions and the text itself (spec §3.1, §4.2).
 */
export interface DistillSettings {
  /** Folder of the teacher. */
  teacher: string;
  /** Folder of the hybrid, or the hybrid itself, which has the teacher's tokenizer. */
  student: string | Checkpoint;
  /** Folder of the run: states to resume from. */
  out: string;
  /** Folder of the finished model; `hybrid` in `out` unless told. */
  model?: string;
  seed: number;
  batches: TrainingData;
  /** Hidden states as the teacher's; the linear mixers are trained. No steps leave a stage out. */
  features: TrainingSettings;
  /** Predictions as the teacher's; the linear mixers are trained. */
  logits: TrainingSettings;
  /** Predictions as the teacher's and as the text; all weights are trained. */
  all: TrainingSettings & {
    /** Learning rate of all but the linear mixers, as a multiple of theirs. */
    bodyRate: number;
    /** Weight of the cross-entropy beside the divergence from the teacher. */
    crossEntropy: number;
    /** Whether embeddings and head are trained, too; they are unless told. */
    embeddings?: boolean;
    /** Seconds after which it ends, in place of its steps, over which the rate falls. */
    seconds?: number;
    /** Weight of the divergence; 1 unless told. Of 0 the model learns the text alone. */
    divergence?: number;
  };
  /** What is left of a learning rate at the end of its stage, as a share; 0.05 unless told. */
  rateLeft?: number;
  /** Share of rows in which windows that have a linear mixer beside them are left out, falling to 0 over each stage. */
  windowDropout?: number;
  /** Whether the tokens of answers alone count where predictions are compared. */
  answersOnly?: boolean;
  /** Text that is not trained on, on which the divergence is measured while it trains. */
  heldOut?: TrainingData;
  /** Measurements on it without a better one, after which a stage that learns predictions ends with its best weights; never unless told. */
  patience?: number;
  /** By which logits are divided where the student is compared with the teacher. */
  temperature: number;
  /** A folder for the teacher's most probable tokens; then only they are compared with. */
  cacheLogits?: string;
  /** The most that they may take, in bytes. */
  cacheLimit?: number;
  /** Of the written weights; F32 unless told. */
  dtype?: WrittenDtype;
  threads?: number;
  /** Where it is computed; the CPU unless told. */
  device?: Device;
  onProgress?: OnProgress;
  /** Lines for people: what the cache will take, a damaged file in it. */
  onNotice?: (line: string) => void;
  signal?: AbortSignal;
  /** Given the model after every stage, as it would be written. */
  afterStage?: (name: StageName, hybrid: Hybrid) => Promise<void>;
}

export type StageName = 'features' | 'logits' | 'all';

export interface Stage {
  name: StageName;
  training: TrainingSettings;
  losses: PathLosses;
  rateOf: (weight: NetworkWeight) => number | undefined;
  /** After which it ends; by its steps alone unless told. */
  seconds?: number | undefined;
}

/** Where the finished model is written. */
export const modelFolder = ({ out, model }: Pick<DistillSettings, 'out' | 'model'>) =>
  model ?? join(out, 'hybrid');

/** Embedding and head. */
const isEmbedding = ({ layer, name }: NetworkWeight) => layer === undefined && name !== 'model.norm.weight';

/** The stages that have steps; `layers` are the student's. */
export function stagesOf(
  { features, logits, all, temperature }: DistillSettings,
  layers: readonly MixerSpec[],
): Stage[] {
  const isLinear = ({ layer, branch, name }: NetworkWeight) =>
    branch !== undefined && isLinearWeight(layers[layer!]!, name);
  const mixers = (weight: NetworkWeight) => (isLinear(weight) ? 1 : undefined);
  const { embeddings = true, divergence = 1, seconds, crossEntropy, bodyRate, ...training } = all;
  const everything = (weight: NetworkWeight) => {
    if (isLinear(weight)) return 1;
    return embeddings || !isEmbedding(weight) ? bodyRate : undefined;
  };
  const stages: Stage[] = [
    { name: 'features', training: features, losses: { features: { lastWeight: 1 } }, rateOf: mixers },
    {
      name: 'logits',
      training: logits,
      losses: { vocabulary: { divergence: 1, temperature, crossEntropy: 0 } },
      rateOf: mixers,
    },
    {
      name: 'all',
      training,
      losses: { vocabulary: { divergence, temperature, crossEntropy } },
      rateOf: everything,
      seconds,
    },
  ];
  return stages.filter(({ training, seconds }) => training.steps > 0 || seconds !== undefined);
}
