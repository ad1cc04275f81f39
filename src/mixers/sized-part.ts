import type { LinearSpec, WindowLinearSpec } from './spec.ts';

/** The part of a block that has the state of heads x key width x value width: what stands beside a window, or all of it. */
export function sizedPart(spec: LinearSpec | WindowLinearSpec): LinearSpec {
  return spec.kind === 'window_linear' ? spec.linear : spec;
}

/** A block with another such part. */
export function withSizedPart(
  spec: LinearSpec | WindowLinearSpec,
  part: LinearSpec,
): LinearSpec | WindowLinearSpec {
  return spec.kind === 'window_linear' ? { ...spec, linear: part } : part;
}
