import { InputError } from '../util/errors.ts';
import type { ModelConfig } from './config.ts';
import { modelParameters } from './parameters.ts';

/** The deepest published decoders have below 200. */
export const MOST_LAYERS = 4096;
/** Of one tensor: an array of JavaScript holds no more. The largest embeddings of today have half of it. */
const MOST_VALUES = 2 ** 32;

/**
 * Refuses a configuration of which no model can exist, before anything of its size is made. The readers of every format
 * call it.
 *
 * @param where the file, for messages
 * @throws InputError naming the sizes that do not fit each other, or the tensor that no memory holds
 */
export function checkSizes(where: string, config: ModelConfig): void {
  const { layers, numHeads, numKvHeads, headDim, vocabSize, bosTokenId, eosTokenIds } = config;
  const refuse = (what: string, expected: string) => {
    throw new InputError(`${where}: ${what}, expected ${expected}`);
  };
  if (layers.length > MOST_LAYERS) refuse(`${layers.length} layers`, `at most ${MOST_LAYERS}`);
  if (numHeads % numKvHeads !== 0) {
    refuse(`${numKvHeads} key-value heads`, `a divisor of the ${numHeads} query heads`);
  }
  if (headDim % 2 !== 0) refuse(`heads are ${headDim} wide`, 'an even width (rotary pairs)');
  for (const { name, shape } of modelParameters(config)) {
    const values = shape.reduce((product, size) => product * size, 1);
    if (values > MOST_VALUES) {
      refuse(`tensor '${name}' would be [${shape}]`, `at most ${MOST_VALUES} values in a tensor`);
    }
  }
  const outside = [...eosTokenIds, ...(bosTokenId === null ? [] : [bosTokenId])].find(
    (id) => !(Number.isInteger(id) && id >= 0),
  );
  if (outside !== undefined) refuse(`the token id ${outside}`, `a whole number from 0 to ${vocabSize - 1}`);
}
