import { isObject, type JsonObject } from '../json-fields.ts';
import { component, listField, unsupported, wrong } from './component.ts';

/** What is put around a text, by the `post_processor` of tokenizer.json: ids before and after it. */
export interface Around {
  before: number[];
  after: number[];
}

const PROCESSORS = ['TemplateProcessing', 'ByteLevel', 'BertProcessing', 'RobertaProcessing', 'Sequence'];

/** @throws InputError for one that is not supported, by its name */
export function postProcessor(value: unknown, where = 'post_processor'): Around {
  if (value === null || value === undefined) return { before: [], after: [] };
  const json = component(value, where);
  switch (json.type) {
    // It trims offsets alone.
    case 'ByteLevel':
      return { before: [], after: [] };
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { before: [pairId(json, 'cls', where)], after: [pairId(json, 'sep', where)] };
    case 'TemplateProcessing':
      return template(json, where);
    case 'Sequence':
      return listField(json, 'processors', where)
        .map((one, i) => postProcessor(one, `${where}[${i}]`))
        .reduce(
          (inner, outer) => ({
            before: [...outer.before, ...inner.before],
            after: [...inner.after, ...outer.after],
          }),
          { before: [], after: [] },
        );
    default:
      return unsupported(where, json.type, PROCESSORS);
  }
}

/** A token as `[content, id]`. */
function pairId(json: JsonObject, name: string, where: string): number {
  const pair = json[name];
  const id = Array.isArray(pair) ? pair[1] : undefined;
  return typeof id === 'number' ? id : wrong(`${where}.${name}`, pair, 'a token and its id');
}

function template(json: JsonObject, where: string): Around {
  const specials = isObject(json.special_tokens) ? json.special_tokens : {};
  const around: Around = { before: [], after: [] };
  let side = around.before;
  let texts = 0;
  for (const [i, piece] of listField(json, 'single', where).entries()) {
    const place = `${where}.single[${i}]`;
    if (isObject(piece) && isObject(piece.Sequence) && piece.Sequence.id === 'A') {
      texts++;
      side = around.after;
    } else if (isObject(piece) && isObject(piece.SpecialToken)) {
      const name = String(piece.SpecialToken.id);
      const special = Object.hasOwn(specials, name) ? specials[name] : undefined;
      const ids = isObject(special) ? special.ids : undefined;
      if (!Array.isArray(ids) || ids.some((id) => !Number.isSafeInteger(id) || id < 0)) {
        return wrong(`${where}.special_tokens['${name}']`, special, 'ids');
      }
      side.push(...(ids as number[]));
    } else return wrong(place, piece, 'a special token or the text');
  }
  if (texts !== 1) wrong(`${where}.single`, json.single, 'a template with one text');
  return around;
}
