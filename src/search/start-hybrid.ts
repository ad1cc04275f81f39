import { openCheckpoint, saveCheckpoint } from '../model/checkpoint.ts';
import { resolveModel } from '../model/hub.ts';
import { refuseInputs } from '../model/output-place.ts';
import { InputError } from '../util/errors.ts';
import { checkKnown } from '../util/known-options.ts';
import type { OnProgress } from '../util/progress.ts';
import { dataOf } from './data.ts';
import { DEFAULTS } from './defaults.ts';
import { pathOf, replacedLayers } from './judge/judge.ts';
import { BranchWeights } from './network/branches.ts';
import { hybridOf } from './network/hybrid.ts';
import { linearMixer } from './network/linear-mixer.ts';
import { Network } from './network/network.ts';
import { asPlacement, checkLayers } from './stages/placement/searcher.ts';
import { calibrate, startOf } from './train/calibrate.ts';

export interface StartHybridOptions {
  /** A folder, or the name of a model on the Hub. */
  model: string;
  /** Folder of the hybrid. */
  out: string;
  /** The layers that keep full attention, counted from 0. */
  layers: readonly number[];
  /** The block that takes the place of attention in the others: 'gated_deltanet+rope' unless told. */
  mixer?: string;
  /**
   * Files, folders and globs of text, or 'world', by which blocks are calibrated: they start from what the attention does with
   * 1,024 tokens of it. Without it they start from the attention's weights alone.
   */
  data?: string | readonly string[];
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

/** Rows are asked for by who reads them. */
const ONE = { rows: 1, length: 1, examples: 1 };

const SEED = 1;

const KNOWN: Record<keyof StartHybridOptions, true> = {
  ...{ model: true, out: true, layers: true, mixer: true, data: true, onProgress: true, signal: true },
};

/**
 * Puts a linear block in the place of attention, started from the attention, and trains nothing: what `distill` begins
 * with where the layers are known. The hybrid is of no use before it is
 * trained, but for a block beside a window (`+window128`), which starts as that window.
 *
 * @returns the folder of the hybrid
 * @throws InputError for layers that the model does not have, for a mixer that does not exist or can't be calibrated where there
 *   is `data`, and for text that does not exist
 */
export async function startHybrid(options: StartHybridOptions): Promise<string> {
  checkKnown(options, KNOWN);
  if (!Array.isArray(options.layers)) {
    throw new InputError(`layers is ${options.layers}, expected a list of those that keep full attention`);
  }
  const { out, mixer = DEFAULTS.placement.mixer, data, onProgress, signal } = options;
  const model = await resolveModel(options.model, { onProgress, signal });
  const { config, weights, generation } = openCheckpoint(model);
  refuseInputs(out, [model]);
  checkLayers(options.layers, config.layers.length);
  const spec = linearMixer(mixer, config);
  if (data !== undefined) startOf(spec, 'calibrated');
  const network = new Network(config, weights);
  const placement = asPlacement(options.layers);
  const replaced = replacedLayers(placement, config.layers.length);
  if (replaced.length > 0) {
    const branches = new BranchWeights(network, replaced, spec);
    branches.initialise(SEED);
    if (data !== undefined) {
      const { batches } = await dataOf(model, { data, task: [], ...ONE }, { onProgress, signal });
      await calibrate({ branches, batches, seed: SEED, onProgress, signal });
    }
    branches.attach();
  }
  const hybrid = hybridOf(network, pathOf(placement, config.layers.length));
  await saveCheckpoint(out, hybrid.config, hybrid.weights, {
    dtype: DEFAULTS.final.dtype,
    tokenizerFrom: model,
    generation,
    signal,
  });
  return out;
}
