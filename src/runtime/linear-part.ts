import { addDims, type Dim, fill, mulDims, pad, slice, type Tensor } from '../graph/index.ts';
import type { Form, LinearPart, MixerOutput } from '../mixers/mixer.ts';
import { needsLength } from '../mixers/registry.ts';
import type { MixerSpec } from '../mixers/spec.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Layer, MixerOptions } from '../model/decoder.ts';

/** What is linear in a layer, for one token or several of a symbolic number. */

/** The form in which it is recorded. */
export function formOf(spec: MixerSpec, several: boolean): Form {
  if (!needsLength(spec)) return 'fused';
  return several ? 'chunk' : 'recurrent';
}

/** @param padTo in chunks, the most tokens */
export function linearOf(
  config: ModelConfig,
  part: LinearPart,
  { spec, params, normed }: Layer,
  options: MixerOptions & { positions: Tensor },
  padTo: number,
): MixerOutput {
  const record = (x: Tensor, more: Partial<MixerOptions> = {}) =>
    part.forward(spec, config, { x, params, ...options, ...more });
  return options.form === 'chunk' ? padded(normed(), options.positions, padTo, record) : record(normed());
}

/**
 * A mixer that needs a static number of tokens, on x [1, T, D] with symbolic T up to `size`: padded on the right, which
 * the mask tells it.
 */
function padded(
  x: Tensor,
  positions: Tensor,
  size: number,
  record: (x: Tensor, more: Partial<MixerOptions>) => MixerOutput,
): MixerOutput {
  const [B, T] = x.shape as [Dim, Dim];
  const rest = addDims(size, mulDims(T, -1));
  const { y, ...others } = record(pad(x, 1, 0, rest), {
    mask: pad(fill(1, [B, T]), 1, 0, rest),
    positions: pad(positions, 1, 0, rest),
  });
  // Values for later layers stay padded: those layers are, too.
  return { y: slice(y, 1, 0, T), ...others };
}
