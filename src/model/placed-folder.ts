import { join } from 'node:path';
import { writeFileAtomic } from '../util/files.ts';
import { openCheckpoint } from './checkpoint.ts';
import { Folder } from './folder.ts';
import { resolveModel } from './hub.ts';
import { type HubOptions, placementFile } from './model-files.ts';
import { isPlacementName, type Placement, placementText } from './placement.ts';
import { findPlacement, placeCheckpoint, placementNames, readPlacement } from './placement-files.ts';
import type { Checkpoint } from './read-checkpoint.ts';

/** Placements of model folders on disk. */

/**
 * A model by its folder or its name on the Hub, under a placement where one is given.
 *
 * @param options placement: its name or path
 * @throws InputError where it cannot be had, or the placement is for another model
 */
export async function openPlaced(
  pathOrRepo: string,
  { placement, ...options }: HubOptions & { placement?: string } = {},
): Promise<{ folder: string; checkpoint: Checkpoint; placement?: Placement }> {
  const named = placement !== undefined && isPlacementName(placement) ? placement : undefined;
  const folder = await resolveModel(pathOrRepo, { ...options, placement: named });
  const checkpoint = openCheckpoint(folder);
  if (placement === undefined) return { folder, checkpoint };
  const files = new Folder(folder);
  const found = await findPlacement(files, placement);
  return { folder, checkpoint: await placeCheckpoint(checkpoint, files, found), placement: found };
}

/** Writes `placements/NAME.json` into a model's folder, and gives its path. */
export function writePlacement(folder: string, placement: Placement): string {
  const path = join(folder, placementFile(placement.name));
  writeFileAtomic(path, placementText(placement));
  return path;
}

/** Takes the placements of a model over to a copy of it, and gives their names. */
export function copyPlacements(from: string, to: string): string[] {
  const files = new Folder(from);
  const names = placementNames(files);
  for (const name of names) {
    writeFileAtomic(join(to, placementFile(name)), placementText(readPlacement(files, name)));
  }
  return names;
}
