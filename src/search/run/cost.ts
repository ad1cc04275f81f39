import { stateBytes, totalBytes } from '../../mixers/state-bytes.ts';
import type { ModelConfig } from '../../model/config.ts';
import { countParameters, modelParameters } from '../../model/parameters.ts';
import type { Hybrid } from '../network/hybrid.ts';
import type { Recipe } from '../recipe.ts';
import type { ModelCost } from '../result-fields.ts';
import { inTurns, measureDecode } from '../stages/blocks/decode-speed.ts';
import type { ThroughputResult } from '../stages/throughput-result.ts';
import type { Unit } from './stage.ts';

/** What models cost to run: parameters, bytes of a sequence, and decode rates measured in turns. */
export async function costsOf(
  models: readonly Hybrid[],
  { decode }: Recipe,
  { onProgress, signal, threads }: Parameters<Unit['run']>[0],
): Promise<ModelCost[]> {
  const rates = await inTurns(
    decode.rounds,
    models,
    (model) => measureDecode(model, { ...decode, threads, signal }),
    onProgress,
  );
  return models.map(({ config }, i) => ({
    parameters: countParameters(modelParameters(config)),
    stateBytes: bytesOf(config, decode.context),
    decode: rates[i]!,
  }));
}

/** How they were measured. */
export function conditionsOf({ decode }: Recipe, threads: number): ThroughputResult['decode'] {
  const { device, context, tokens } = decode;
  return { device, threads, context, tokens };
}

/** Of one sequence of so many tokens, all layers, in float32 as it is held. */
function bytesOf(config: ModelConfig, tokens: number): number {
  return config.layers.reduce((sum, spec) => sum + totalBytes(stateBytes(spec, config, tokens, 4)), 0);
}
