import {
  addDims,
  arange,
  cast,
  concat,
  type Dim,
  fill,
  input,
  mulDims,
  newest,
  pad,
  reshape,
  slice,
  type Tensor,
} from '../../graph/index.ts';
import type { ModelConfig } from '../../model/config.ts';
import { decoderLayer, embed, head, type MixerOptions, under, weightInputs } from '../../model/decoder.ts';
import { layerPrefix, modelParameters } from '../../model/parameters.ts';
import { rotationAngles } from './angles.ts';
import { BATCH, grows, layerState, PAST, TOKENS } from './layer-state.ts';

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
  const past: Record<string, Tensor> = {};
  const outputs: Record<string, Tensor> = {};
  let x = embed(ids, weights);
  let firstValues: Tensor | undefined;
  for (const [i, spec] of config.layers.entries()) {
    const own = layerState(config, spec, i);
    Object.assign(past, own.past);
    const valid = grows(spec)
      ? slice(seen, 1, 0, P)
      : spec.kind === 'sliding_window'
        ? slice(pad(seen, 1, spec.window, 0), 1, P, addDims(P, spec.window))
        : undefined;
    const layer = decoderLayer(config, spec, x, under(layerPrefix(i), weights), {
      ...common,
      state: { ...own.state, ...(valid ? { valid } : {}) },
      firstValues,
    });
    Object.assign(outputs, own.present(layer.state));
    x = layer.y;
    firstValues ??= layer.firstValues;
  }
  if (!config.layers.some(grows)) {
    // transformers.js asks a cache of keys for the number of past tokens.
    const counter = countedTokens(config.layers.length);
    Object.assign(past, counter.past);
    Object.assign(outputs, counter.present);
  }
  const logits = head(config, newest(x, 1, kept, 'num_logits'), weights);
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

/** One pair of tables for all layers whose heads have the same width. */
function anglesOf(config: ModelConfig, positions: Tensor): NonNullable<MixerOptions['angles']> {
  const tables = new Map<number, { cos: Tensor; sin: Tensor }>();
  return (width) => {
    const known = tables.get(width) ?? rotationAngles(config, width, positions);
    tables.set(width, known);
    return known;
  };
}

/** A cache under the keys of a layer after the last, with nothing in it but its length. */
function countedTokens(layer: number): Record<'past' | 'present', Record<string, Tensor>> {
  const shape = (length: Dim): Dim[] => [BATCH, 1, length, 1];
  const past = input(`past_key_values.${layer}.key`, 'float32', shape(PAST));
  const present = concat([past, fill(0, shape(TOKENS))], 2);
  return { past: { [`past_key_values.${layer}.key`]: past }, present: { [`present.${layer}.key`]: present } };
}
