import { InputError } from '../util/errors.ts';
import { readResult } from './read-result.ts';
import { agreedPlacement } from './stages/placement/agreed.ts';

/**
 * The layers that keep full attention, of the result.json of a run or of a search.
 *
 * @throws InputError for a file that is no such result
 */
export function layersOf(path: string): number[] {
  const result = readResult(path);
  switch (result.format) {
    case 'postnas-run-1':
      if (!result.chosen) throw new InputError(`${path} has no placement: expected the result of a search`);
      return [...result.chosen.placement];
    case 'postnas-search-1':
      return agreedPlacement(result);
    case 'postnas-blocks-1':
      return [...result.placement];
    default:
      throw new InputError(`${path} is a result of postnas bench: expected that of a search`);
  }
}
