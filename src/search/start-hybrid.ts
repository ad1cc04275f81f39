import { openCheckpoint, saveCheckpoint } from '../model/checkpoint.ts';
import { resolveModel } from '../model/hub.ts';
import { refuseInputs } from '../model/output-place.ts';
import { InputError } from '../util/errors.ts';
import { checkKnown } from '../util/known-options.ts';
import type { OnProgress } from '../util/progress.ts';
import { DEFAULTS } from './defaults.ts';
import { linearMixer } from './network/linear-mixer.ts';
import { Network } from './network/network.ts';
import { untrainedHybrid } from './stages/blocks/untrained.ts';
import { asPlacement, checkLayers } from './stages/placement/searcher.ts';

export interface StartHybridOptions {
  /** A folder, or the name of a model on the Hub. */
  model: string;
  /** Folder of the hybrid. */
  out: string;
  /** The layers that keep full attention, counted from 0. */
  layers: readonly number[];
  /** The block that takes the place of attention in the others: 'gated_deltanet+rope' unless told. */
  mixer?: string;
  onProgress?: OnProgress;
  signal?: AbortSignal;
}

const KNOWN: Record<keyof StartHybridOptions, true> = {
  ...{ model: true, out: true, layers: true, mixer: true, onProgress: true, signal: true },
};

/**
 * Puts a linear block in the place of attention, started from the attention's weights, and trains nothing: what `distill` begins
 * with where the layers are known. The hybrid is of no use before it is
 * trained, but for a block beside a window (`+window128`), which starts as that window.
 *
 * @returns the folder of the hybrid
 * @throws InputError for layers that the model does not have, and for a mixer that does not exist
 */
export async function startHybrid(options: StartHybridOptions): Promise<string> {
  checkKnown(options, KNOWN);
  if (!Array.isArray(options.layers)) {
    throw new InputError(`layers is ${options.layers}, expected a list of those that keep full attention`);
  }
  const { out, mixer = DEFAULTS.placement.mixer, onProgress, signal } = options;
  const model = await resolveModel(options.model, { onProgress, signal });
  const { config, weights, generation } = openCheckpoint(model);
  refuseInputs(out, [model]);
  checkLayers(options.layers, config.layers.length);
  const hybrid = untrainedHybrid(
    new Network(config, weights),
    asPlacement(options.layers),
    linearMixer(mixer, config),
  );
  await saveCheckpoint(out, hybrid.config, hybrid.weights, {
    dtype: DEFAULTS.final.dtype,
    tokenizerFrom: model,
    generation,
    signal,
  });
  return out;
}
