import { isObject, type JsonObject } from './json-fields.ts';
import { type AddedToken, addedToken, addedTokens } from './tokenization/added-tokens.ts';
import { wrong } from './tokenization/component.ts';

/** What the files beside tokenizer.json say of its tokens: tokenizer_config.json and, in older folders, two more. */

const LISTS = ['additional_special_tokens', 'extra_special_tokens'];

const contentOf = (value: unknown) => (isObject(value) ? value.content : value);

/** The fields `*_token` of tokenizer_config.json, each a string or an object with `content`. */
export function specialTokens(config: JsonObject): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(config)) {
    const content = contentOf(value);
    if (name.endsWith('_token') && typeof content === 'string') found[name] = content;
  }
  return found;
}

/** Texts of all tokens that are named as special. */
function specialContents(config: JsonObject): Set<string> {
  const listed = LISTS.flatMap((name) => {
    const list = config[name];
    return Array.isArray(list) ? list : isObject(list) ? Object.values(list) : [];
  });
  const contents = listed.map(contentOf).filter((content) => typeof content === 'string');
  return new Set([...Object.values(specialTokens(config)), ...contents]);
}

/**
 * tokenizer_config.json with what older files say beside it.
 *
 * @param json tokenizer.json, which says more of the tokens that it has
 * @param map special_tokens_map.json: goes before a configuration of its time, which has no added_tokens_decoder
 * @param added added_tokens.json: ids by text
 */
export function withOlderFiles(
  json: JsonObject,
  config: JsonObject,
  map: JsonObject,
  added: JsonObject,
): JsonObject {
  const decoder = config.added_tokens_decoder;
  const merged = isObject(decoder) ? { ...map, ...config } : { ...config, ...map };
  const special = specialContents(merged);
  const known = new Set(addedTokens(json).map(({ content }) => content));
  const older = Object.entries(added)
    .filter(([content]) => !known.has(content))
    .map(([content, id]) => {
      const isSpecial = special.has(content);
      return [String(id), { content, special: isSpecial, normalized: !isSpecial }];
    });
  return {
    ...merged,
    added_tokens_decoder: { ...Object.fromEntries(older), ...(isObject(decoder) ? decoder : {}) },
  };
}

/**
 * The added tokens of tokenizer.json and of its configuration, as transformers joins them: the configuration's
 * `added_tokens_decoder` adds tokens and says more of those that are there, and tokens of the vocabulary that it names
 * as special are added tokens too.
 *
 * @throws InputError that names the field, and for an id that another token has
 */
export function allAddedTokens(
  json: JsonObject,
  config: JsonObject,
  vocabulary: ReadonlyMap<string, number>,
): AddedToken[] {
  const tokens = new Map(addedTokens(json).map((token) => [token.content, token]));
  const special = specialContents(config);
  const decoder = config.added_tokens_decoder ?? {};
  if (!isObject(decoder)) return wrong('added_tokens_decoder', decoder, 'an object of tokens by id');
  const ids = new Map<number, string>(Array.from(vocabulary, ([content, id]) => [id, content]));
  for (const { id, content } of tokens.values()) ids.set(id, content);
  for (const [key, value] of Object.entries(decoder)) {
    const where = `added_tokens_decoder['${key}']`;
    const token = addedToken(
      typeof value === 'string' ? { content: value, special: special.has(value) } : value,
      where,
      /^\d+$/.test(key) ? Number(key) : wrong(where, value, 'an id as its name'),
    );
    const { content } = token;
    const known = tokens.get(content);
    // A token that is known keeps its id.
    const id = known?.id ?? vocabulary.get(content) ?? token.id;
    const other = ids.get(id);
    if (other !== undefined && other !== content) {
      wrong(where, content, `the token that has this id in tokenizer.json, '${other}'`);
    }
    ids.set(id, content);
    tokens.set(content, { ...token, id, special: token.special || special.has(content) });
  }
  for (const content of special) {
    const id = vocabulary.get(content);
    if (id === undefined || tokens.has(content)) continue;
    tokens.set(content, addedToken({ content, special: true, normalized: false }, content, id));
  }
  return [...tokens.values()];
}
