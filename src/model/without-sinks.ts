import { InputError } from '../util/errors.ts';
import type { ModelConfig } from './config.ts';

/** @throws InputError for a layer whose window has sinks, which `what` has no place for */
export function refuseSinks({ layers }: Pick<ModelConfig, 'layers'>, what: string): void {
  for (const [i, spec] of layers.entries()) {
    if ((spec.kind !== 'sliding_window' && spec.kind !== 'window_linear') || !spec.sinks) continue;
    throw new InputError(
      `layer ${i} is a ${spec.kind} with sinks (${spec.sinks}): ${what} of windows without sinks only`,
    );
  }
}
