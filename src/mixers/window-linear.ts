import { add, mul, reshape, type Tensor } from '../graph/index.ts';
import { InputError } from '../util/errors.ts';
import { attentionParameters, slidingWindow } from './attention.ts';
import { type Mixer, type MixerInput, type MixerOutput, type StateTensor, vector } from './mixer.ts';
import type { LinearSpec, MixerContext, SlidingWindowSpec, WindowLinearSpec } from './spec.ts';

/**
 * Softmax attention over a window and the first tokens of a text, and a linear mixer over all of it, side by side:
 *
 *   y_t = window(x)_t + g linear(x)_t
 *
 * The window's weights are those of the parent's attention, by their names; the other's stand under `linear.`; and g, a
 * factor for each channel [D], is `linear_gate`. It starts at 0, so that untrained the layer is its window, and is the
 * first that learns, as the other's weights get gradients only through it (ReZero, Bachlechner et al. 2020, arXiv
 * 2003.04887; by channel as in CaiT, Touvron et al. 2021, arXiv 2103.17239).
 *
 * While it is trained the window can be left out of some rows, so that the linear mixer is used (`windowKept`).
 */

/** Before the names of the linear mixer's weights. */
export const LINEAR = 'linear.';
const GATE = 'linear_gate';
/** Of the state's names that are the window's; all others are those of the linear mixer. */
const WINDOW = 'window_';

function windowOf({ window, sinks }: WindowLinearSpec): SlidingWindowSpec {
  return { kind: 'sliding_window', window, ...(sinks ? { sinks } : {}) };
}

type Tensors = Readonly<Record<string, Tensor>>;

/** Those whose names begin with a prefix, without it. */
function below(prefix: string, tensors: Tensors): Record<string, Tensor> {
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

function prefixed(prefix: string, tensors: Tensors): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`${prefix}${name}`, tensor]));
}

/** @param linear the mixer of the kind of `spec.linear` */
export function windowLinear(linear: Mixer<LinearSpec>): Mixer<WindowLinearSpec> {
  const parameters = (spec: WindowLinearSpec, context: MixerContext) => [
    ...attentionParameters(null, context),
    ...linear
      .parameters(spec.linear, context)
      .map((parameter) => ({ ...parameter, name: `${LINEAR}${parameter.name}` })),
    vector(GATE, context.hiddenSize, 0),
  ];
  const stateOfWindow = (spec: WindowLinearSpec, context: MixerContext): StateTensor[] =>
    slidingWindow.state(windowOf(spec), context).map((part) => ({ ...part, name: `${WINDOW}${part.name}` }));

  const stateOfLinear = ({ linear: spec }: WindowLinearSpec, context: MixerContext): StateTensor[] => {
    const parts = linear.state(spec, context);
    const taken = parts.find(({ name }) => name.startsWith(WINDOW));
    if (!taken) return parts;
    throw new InputError(
      `the mixer ${spec.kind} has a state ${taken.name}: beside a window, names with ${WINDOW} are its`,
    );
  };

  const attend = (spec: WindowLinearSpec, context: MixerContext, input: MixerInput): MixerOutput => {
    const before = input.state && { state: below(WINDOW, input.state) };
    const { y, state } = slidingWindow.forward(windowOf(spec), context, { ...input, ...before });
    return { y, state: prefixed(WINDOW, state) };
  };
  const gated = (
    { linear: spec }: WindowLinearSpec,
    context: MixerContext,
    input: MixerInput,
  ): MixerOutput => {
    const params = below(LINEAR, input.params);
    const { y, ...rest } = linear.forward(spec, context, { ...input, params });
    return { y: mul(y, input.params[GATE]!), ...rest };
  };

  return {
    kind: 'window_linear',
    letter: WINDOW_LINEAR_LETTER,
    ...(linear.fused ? { fused: true } : {}),
    ...(linear.anyLength ? { anyLength: true } : {}),
    coupled: (spec) => linear.coupled?.(spec.linear) ?? false,
    parameters,
    state: (spec, context) => [...stateOfWindow(spec, context), ...stateOfLinear(spec, context)],
    forward: (spec, context, input) => {
      const near = attend(spec, context, input);
      const { y, state, ...rest } = gated(spec, context, input);
      const kept = input.windowKept;
      const nearY = kept ? mul(near.y, reshape(kept, [kept.shape[0]!, 1, 1])) : near.y;
      return { y: add(nearY, y), state: { ...near.state, ...state }, ...rest };
    },
    cached: {
      reach: (spec, context) => slidingWindow.cached!.reach(windowOf(spec), context),
      heads: (spec, context, input) => slidingWindow.cached!.heads(windowOf(spec), context, input),
      output: slidingWindow.cached!.output,
    },
    beside: {
      state: stateOfLinear,
      forward: gated,
      owns: (name) => name === GATE || name.startsWith(LINEAR),
    },
    fromAttention: (spec, context, attention, random) => {
      const own = slidingWindow.fromAttention(windowOf(spec), context, attention, random);
      const others = linear.fromAttention(spec.linear, context, attention, random);
      return new Map([
        ...own,
        ...[...others].map(([name, values]) => [`${LINEAR}${name}`, values] as const),
        [GATE, new Float32Array(context.hiddenSize)],
      ]);
    },
  };
}

/** In architectures on one line, whatever the linear mixer is. */
export const WINDOW_LINEAR_LETTER = 'L';
