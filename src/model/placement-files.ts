import { InputError } from '../util/errors.ts';
import { parseJsonObject } from './json-fields.ts';
import { type ModelFiles, PLACEMENTS, placementFile, readJson } from './model-files.ts';
import { openText } from './open-model.ts';
import { applyPlacement, isPlacementName, type Placement, placementFromJson } from './placement.ts';
import type { Checkpoint } from './read-checkpoint.ts';
import { weightsHash } from './weights-hash.ts';

/** Placements of a model: `placements/NAME.json` beside its weights, or a file anywhere. */

/** The names of a model's placements, sorted. */
export function placementNames(files: ModelFiles): string[] {
  const names = files.names(PLACEMENTS).filter((name) => name.endsWith('.json'));
  return names.map((name) => name.slice(0, -'.json'.length)).sort();
}

/** @throws InputError for a file that is no placement */
export function readPlacement(files: ModelFiles, name: string): Placement {
  const file = placementFile(name);
  return placementFromJson(files.open(file).path, readJson(files, file));
}

/**
 * A placement by its name among the model's files, or by its path, which has a slash or ends in .json; in a browser by
 * its address.
 *
 * @throws InputError where there is none, naming those that there are
 */
export async function findPlacement(files: ModelFiles, nameOrPath: string): Promise<Placement> {
  if (/[/\\]|\.json$/.test(nameOrPath)) {
    return placementFromJson(nameOrPath, parseJsonObject(nameOrPath, await openText(nameOrPath)));
  }
  const there = placementNames(files);
  if (isPlacementName(nameOrPath) && files.has(placementFile(nameOrPath))) {
    return readPlacement(files, nameOrPath);
  }
  const others = there.length > 0 ? `; it has ${there.join(', ')}` : '';
  throw new InputError(
    `${files.path} has no placement '${nameOrPath}' (${PLACEMENTS}/${nameOrPath}.json)${others}; expected a name or the path of a file`,
  );
}

/**
 * A checkpoint under a placement: as it is, but with the mixers that the placement says.
 *
 * @param files of the checkpoint
 * @param placement name, path (in a browser address), or what such a file holds
 * @throws InputError where there is none, or where it is for other weights or layers
 */
export async function placeCheckpoint(
  checkpoint: Checkpoint,
  files: ModelFiles,
  placement: string | Placement,
): Promise<Checkpoint> {
  const found = typeof placement === 'string' ? await findPlacement(files, placement) : placement;
  const hash = await weightsHash(checkpoint);
  if (found.weights !== hash) {
    throw new InputError(
      `placement ${found.name} is for the weights ${found.weights}, those of ${files.path} are ${hash}: a placement holds for ` +
        'the model that it was made for and for its copies in fewer bits (postnas quantize)',
    );
  }
  return { ...checkpoint, config: applyPlacement(checkpoint.config, found) };
}
