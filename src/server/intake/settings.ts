import { ApiError, cut } from '../errors.ts';

/** What reading a request depends on beside the tokenizer: plain data, for another thread. */
export interface IntakeSettings {
  /** Names that requests may call the model by, the first of which is told. */
  names: readonly string[];
  contextLength: number;
  /** More characters than the context's tokens can hold; Infinity where that is not known. */
  mostCharacters: number;
  vocabSize: number;
  /** Tokens that a request may ask for, by text. */
  maxTokens: number;
  /** Texts that can wait. */
  maxQueue: number;
  /** Whether ends of messages are looked for. */
  boundaries: boolean;
}

export const wrong = (param: string, message: string) => new ApiError(400, `${param}: ${message}`, { param });

/** @throws ApiError for a model that is not served here */
export function checkModel(names: readonly string[], model: string | undefined): void {
  if (model === undefined || names.includes(model)) return;
  throw new ApiError(404, `the model '${cut(model)}' is not served here, expected '${names[0]}'`, {
    param: 'model',
    code: 'model_not_found',
  });
}

/** @throws ApiError above the server's limit */
export function checkTokens(
  { maxTokens }: IntakeSettings,
  param: string,
  tokens: number | undefined,
): number {
  if (tokens === undefined || tokens === Number.POSITIVE_INFINITY) return maxTokens;
  if (tokens <= maxTokens) return tokens;
  throw new ApiError(400, `${param} is ${tokens}, at most ${maxTokens} tokens are written here`, { param });
}

/** @throws ApiError for a bias of a token that there is not */
export function checkBias({ vocabSize }: IntakeSettings, bias: Record<string, number> | undefined): void {
  const unknown = Object.keys(bias ?? {}).find((id) => Number(id) >= vocabSize);
  if (unknown === undefined) return;
  throw wrong(`logit_bias.${cut(unknown)}`, `the vocabulary has ${vocabSize} tokens`);
}
