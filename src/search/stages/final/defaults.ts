import { hasLinear } from '../../../mixers/registry.ts';
import type { MixerSpec } from '../../../mixers/spec.ts';
import type { ModelConfig } from '../../../model/config.ts';
import { DEFAULTS, type FinalTraining, WIDE } from '../../defaults.ts';

/** What a final training is where nothing is said of it: by how large the model is, and by what there is to train. */

/**
 * @param layers the student's; a block that is still to be chosen is a linear one
 * @param tokensPerStep of the stages
 */
export function finalDefaults(
  { hiddenSize }: Pick<ModelConfig, 'hiddenSize'>,
  layers: readonly MixerSpec[] | undefined,
  tokensPerStep: number,
): FinalTraining {
  const linear = layers?.some(hasLinear) ?? true;
  const { small, pretrained } = DEFAULTS.final;
  const { featureTokens, logitTokens, allTokens, ...others } = pretrained;
  const steps = (tokens: number) => Math.ceil(tokens / tokensPerStep);
  const defaults =
    hiddenSize < WIDE
      ? small
      : {
          ...others,
          // Rounded down: a limit is one.
          featureSteps: Math.max(1, Math.floor(featureTokens / tokensPerStep)),
          logitSteps: steps(logitTokens),
          allSteps: steps(allTokens),
        };
  // Without linear mixers the first two stages have nothing to train.
  return linear ? defaults : { ...defaults, featureSteps: 0, logitSteps: 0 };
}
