/** What a GGUF file says of how text is generated <-> generation settings. Keys after llama.cpp's gguf-py (constants.py). */
import type { GenerationConfig } from '../generation-config.ts';
import type { GgufMetadata } from './gguf-metadata.ts';

/** Tokens that end a text, a turn, or a message; llama.cpp stops at each. */
export const ENDS = ['eos', 'eot', 'eom'] as const;

/** Sampling settings, which a file has where tokens are to be drawn. */
export const SAMPLING = {
  temperature: 'general.sampling.temp',
  topK: 'general.sampling.top_k',
  topP: 'general.sampling.top_p',
  minP: 'general.sampling.min_p',
  repetitionPenalty: 'general.sampling.penalty_repeat',
} as const;
type Setting = keyof typeof SAMPLING;

/** @throws InputError for a token id that is not below `tokens`, or a setting out of its range */
export function generationFromGguf(metadata: GgufMetadata, tokens: number): GenerationConfig {
  const ends = ENDS.map((name) => metadata.tokenId(name, tokens)).filter((id) => id !== undefined);
  const generation: GenerationConfig = {
    bosTokenId: metadata.tokenId('bos', tokens) ?? null,
    eosTokenIds: [...new Set(ends)],
  };
  for (const [name, key] of Object.entries(SAMPLING) as [Setting, string][]) {
    if (!metadata.has(key)) continue;
    const value = metadata.number(key);
    const most = name === 'topP' || name === 'minP' ? 1 : Number.POSITIVE_INFINITY;
    const fits = value <= most && (name === 'topK' ? Number.isInteger(value) : true) && value >= 0;
    if (!fits) throw metadata.wrong(key, 'a setting in its range');
    generation.doSample = true;
    generation[name] = Number(value.toPrecision(7));
  }
  return generation;
}
