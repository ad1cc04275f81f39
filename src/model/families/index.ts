import { isObject, type JsonObject } from '../json-fields.ts';
import type { Family } from './family.ts';
import { gemma, gemma3 } from './gemma.ts';
import { granite } from './granite.ts';
import { ministral, mistral } from './mistral.ts';
import { olmo2 } from './olmo2.ts';
import { phi3 } from './phi3.ts';
import { qwen35 } from './qwen35.ts';
import { smollm3 } from './smollm3.ts';

/** By `model_type`. */
export const FAMILIES = {
  ...{ mistral, ministral, granite, phi3, smollm3, olmo2, gemma },
  gemma3_text: gemma3,
  qwen3_5_text: qwen35,
} satisfies Record<string, Family>;

type FamilyName = keyof typeof FAMILIES;

/** Models of text and pictures, by what their text is read as. */
const TEXT_OF: Record<string, FamilyName> = { qwen3_5: 'qwen3_5_text', gemma3: 'gemma3_text' };

/** The part of config.json that is about text, where a model has others. */
export function textConfigOf(json: JsonObject): JsonObject {
  const family = TEXT_OF[String(json.model_type)];
  if (!family || !isObject(json.text_config)) return json;
  const shared = ['tie_word_embeddings', 'quantization_config'].filter((name) => json[name] !== undefined);
  return {
    ...json.text_config,
    ...Object.fromEntries(shared.map((name) => [name, json[name]])),
    model_type: family,
  };
}

export function familyOf(modelType: string): Family | undefined {
  return Object.hasOwn(FAMILIES, modelType) ? FAMILIES[modelType as FamilyName] : undefined;
}
