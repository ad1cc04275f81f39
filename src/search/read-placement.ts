import { InputError } from '../util/errors.ts';
import { readResult } from './read-result.ts';
import { RESULT_FORMAT } from './result.ts';
import { agreedPlacement } from './stages/placement/agreed.ts';

/**
 * The layers that keep full attention, of the result.json of a run or of a search.
 *
 * @throws InputError for a file that is no such result
 */
export function layersOf(path: string): number[] {
  const result = readResult(path);
  if (result.format !== RESULT_FORMAT) {
    const command = result.format.split('-')[1];
    throw new InputError(`${path} is a result of postnas ${command}: expected that of a search`);
  }
  const { chosen, placement, blocks, design, dimensions } = result;
  // A search of an earlier format names no choice.
  const found = chosen?.placement ?? (placement && agreedPlacement(placement));
  const kept = found ?? (blocks ?? design ?? dimensions)?.placement;
  if (!kept) throw new InputError(`${path} has no placement: expected the result of a search`);
  return [...kept];
}
