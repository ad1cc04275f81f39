import {
  addDims,
  arange,
  cast,
  concat,
  cumsum,
  type Dim,
  fill,
  greater,
  input,
  mul,
  mulDims,
  newest,
  pad,
  reshape,
  slice,
  type Tensor,
} from '../../graph/index.ts';
import { localRope } from '../../mixers/rope.ts';
import type { ModelConfig } from '../../model/config.ts';
import {
  embed,
  forward,
  head,
  type Layer,
  type MixerOptions,
  recordLayers,
  type Stream,
  weightInputs,
} from '../../model/decoder.ts';
import { modelParameters } from '../../model/parameters.ts';
import { rotationAngles } from './angles.ts';
import { BATCH, cacheTypes, grows, hasWindowBeside, layerState, PAST, TOKENS } from './layer-state.ts';

/** A whole model as one graph, with the names that transformers.js looks for. */
export interface RecordedDecoder {
  /** In the order in which a session lists them. */
  inputs: Record<string, Tensor>;
  /** By the names of the checkpoint. */
  weights: Record<string, Tensor>;
  outputs: Record<string, Tensor>;
}

/**
 * Records the decoder: `input_ids` [batch, tokens] with `attention_mask` [batch, past + tokens] (0 for padding, which
 * stands before the first token of a sequence), `position_ids` [batch, tokens] and the state so far, to `logits` of the
 * last `num_logits_to_keep` tokens, of all where that is 0, and the state after them.
 */
export function recordDecoder(config: ModelConfig): RecordedDecoder {
  const [B, T, P] = [BATCH, TOKENS, PAST];
  const ids = input('input_ids', 'int64', [B, T]);
  const mask = input('attention_mask', 'int64', [B, addDims(P, T)]);
  const positionIds = input('position_ids', 'int64', [B, T]);
  const kept = input('num_logits_to_keep', 'int64', []);
  const weights = weightInputs(modelParameters(config));
  const seen = cast(mask, 'float32');
  const common: MixerOptions = {
    form: 'fused',
    mask: slice(seen, 1, P),
    paddedLeft: true,
    // Rows of the tables of angles, which are made for the tokens at hand.
    positions: reshape(arange(mulDims(B, T)), [B, T]),
    angles: anglesOf(config, reshape(positionIds, [mulDims(B, T)])),
  };
  const { windowsOf, counter } = cacheTypes(config.layers);
  const places = placesOfWindows(seen);
  const past: Record<string, Tensor> = {};
  const outputs: Record<string, Tensor> = {};
  const states = config.layers.map((spec, i) => layerState(config, spec, i, windowsOf.get(i)));
  const optionsOf = ({ index, spec }: Layer): MixerOptions => {
    const own = states[index]!;
    Object.assign(past, own.past);
    const valid = {
      ...(grows(spec) && { valid: slice(seen, 1, 0, P) }),
      ...(spec.kind === 'sliding_window' && { valid: places(spec) }),
      ...(hasWindowBeside(spec) && { window_valid: places(spec) }),
    };
    return { ...common, state: { ...own.state, ...valid } };
  };
  const mix = forward(config, optionsOf, ({ index }, { state }) => {
    Object.assign(outputs, states[index]!.present(state));
  });
  const stream: Stream = { x: embed(ids, weights) };
  recordLayers(config, stream, weights, mix);
  if (counter !== undefined) {
    const counted = countedTokens(counter);
    Object.assign(past, counted.past);
    Object.assign(outputs, counted.present);
  }
  const logits = head(config, newest(stream.x, 1, kept, 'num_logits'), weights);
  return {
    inputs: {
      input_ids: ids,
      attention_mask: mask,
      position_ids: positionIds,
      num_logits_to_keep: kept,
      ...past,
    },
    weights,
    outputs: { logits, ...outputs },
  };
}

/** One pair of tables for all layers whose heads are rotated alike. */
function anglesOf(config: ModelConfig, positions: Tensor): NonNullable<MixerOptions['angles']> {
  const tables = new Map<string, { cos: Tensor; sin: Tensor }>();
  return (width, local = false) => {
    const key = `${width} ${local}`;
    const known = tables.get(key) ?? rotationAngles(local ? localRope(config) : config, width, positions);
    tables.set(key, known);
    return known;
  };
}

/**
 * Which places of a window's state hold a token, as the attention mask has it: the first tokens of a text, which padding
 * pushes back, in places of their own, and then the newest of all others.
 *
 * @param seen [batch, past + tokens]
 */
function placesOfWindows(seen: Tensor): (spec: { window: number; sinks?: number }) => Tensor {
  const known = new Map<string, Tensor>();
  const newestOf = (x: Tensor, window: number) => slice(pad(x, 1, window, 0), 1, PAST, addDims(PAST, window));
  const withSinks = (window: number, sinks: number) => {
    const counts = cumsum(seen, 1);
    // Those before this call's tokens; none before the first call.
    const before = slice(pad(counts, 1, 1, 0), 1, PAST, addDims(PAST, 1));
    const first = cast(greater(before, reshape(arange(sinks, 'float32'), [1, sinks])), 'float32');
    return concat([first, newestOf(mul(seen, cast(greater(counts, sinks), 'float32')), window)], 1);
  };
  return ({ window, sinks = 0 }) => {
    const key = `${window} ${sinks}`;
    const places = known.get(key) ?? (sinks > 0 ? withSinks(window, sinks) : newestOf(seen, window));
    known.set(key, places);
    return places;
  };
}

/** A cache under the keys of a number after the last layer's, with nothing in it but its length. */
function countedTokens(layer: number): Record<'past' | 'present', Record<string, Tensor>> {
  const shape = (length: Dim): Dim[] => [BATCH, 1, length, 1];
  const past = input(`past_key_values.${layer}.key`, 'float32', shape(PAST));
  const present = concat([past, fill(0, shape(TOKENS))], 2);
  return { past: { [`past_key_values.${layer}.key`]: past }, present: { [`present.${layer}.key`]: present } };
}
