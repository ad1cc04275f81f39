import type { ModelConfig } from '../model/config.ts';
import type { ModelFiles } from '../model/model-files.ts';
import { applyPlacement } from '../model/placement.ts';
import { placementNames, readPlacement } from '../model/placement-files.ts';
import { summarise } from '../model/summary.ts';
import { InputError } from '../util/errors.ts';
import { grouped, readable } from './numbers.ts';
import { table } from './table.ts';

/** The placements of a model's folder as `info` lists them. */
interface ListedPlacement {
  name: string;
  /** Key and value heads that see all tokens, of all layers. */
  fullHeads?: number;
  window?: number;
  sinks?: number;
  /** Of a sequence. */
  stateBytes?: number;
  /** Why it does not hold for this model. */
  problem?: string;
}

export function placementsOf(
  files: ModelFiles,
  model: { config: ModelConfig; hash: string; context: number; valueBytes: number },
): ListedPlacement[] {
  return placementNames(files).map((name) => {
    try {
      const placement = readPlacement(files, name);
      const { window, sinks, full_heads } = placement;
      const fullHeads = Object.values(full_heads).reduce((sum, heads) => sum + heads.length, 0);
      const listed = { name, fullHeads, window, sinks };
      if (placement.weights !== model.hash) {
        return { ...listed, problem: `for other weights: ${placement.weights}` };
      }
      const config = applyPlacement(model.config, placement);
      return { ...listed, stateBytes: summarise(config, model.context, model.valueBytes).stateBytes };
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      return { name, problem: error.message };
    }
  });
}

export function placementTable(placements: readonly ListedPlacement[]): string {
  const number = (value: number | undefined) => (value === undefined ? '' : grouped(value));
  return table(
    ['name', 'full heads', 'window', 'sinks', 'state', ''],
    placements.map(({ name, fullHeads, window, sinks, stateBytes, problem }) => [
      ...[name, number(fullHeads), number(window), number(sinks)],
      ...[stateBytes === undefined ? '' : readable(stateBytes), problem ?? ''],
    ]),
  );
}
