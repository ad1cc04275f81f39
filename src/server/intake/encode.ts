import type { Tokenizer } from '../../model/tokenizer.ts';
import { InputError } from '../../util/errors.ts';
import { ApiError } from '../errors.ts';
import type { IntakeSettings } from './settings.ts';

/** Text to token ids, as far as the context has room. */

/** @throws ApiError for more tokens than the context has room for */
export function checkLength({ contextLength }: IntakeSettings, tokens: number): void {
  if (tokens < contextLength) return;
  throw new ApiError(
    400,
    `the prompt has ${tokens} tokens: no room for another in the context of ${contextLength} tokens`,
    { code: 'context_length_exceeded' },
  );
}

/** A text as the tokenizer encodes it by itself. */
export function encodeText(tokenizer: Tokenizer | null, settings: IntakeSettings, text: string): Int32Array {
  const inUse = required(tokenizer);
  checkText(settings, text);
  const ids = inUse.encode(text);
  checkLength(settings, ids.length);
  return Int32Array.from(ids);
}

/**
 * Refuses what no tokens of the context could hold, before it is tokenised.
 *
 * @throws ApiError
 */
export function checkText({ contextLength, mostCharacters }: IntakeSettings, text: string): void {
  if (text.length <= mostCharacters) return;
  throw new ApiError(
    400,
    `the prompt has ${text.length} characters: more than the ${contextLength} tokens of the context can hold`,
    { code: 'context_length_exceeded' },
  );
}

export function required(tokenizer: Tokenizer | null): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new InputError('the model has no tokenizer.json: give the prompt as token ids');
}
