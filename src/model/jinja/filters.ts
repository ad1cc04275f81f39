import { percent } from './format.ts';
import { callNative, textOf } from './native.ts';
import { str } from './print.ts';
import { path, sequenceFilters } from './sequence-filters.ts';
import { tests } from './tests.ts';
import { valueFilters } from './value-filters.ts';
import {
  type Call,
  iterate,
  Once,
  TemplateError,
  Tuple,
  truth,
  Undefined,
  type Value,
  type Work,
} from './values.ts';

/** What may follow `|`. */

const filters = { ...sequenceFilters, ...valueFilters };

/** Filters that call others: `map('upper')`, `selectattr('role', 'equalto', 'user')`. */
const HIGHER = new Set(['map', 'select', 'reject', 'selectattr', 'rejectattr', 'format']);

function higher(name: string, value: Value, call: Call, work: Work): Value {
  const [first, ...rest] = call.positional;
  if (name === 'format') {
    if (call.named.size > 0) return percent(str(value, work), new Map(call.named), work);
    return percent(str(value, work), new Tuple(call.positional), work);
  }
  if (name === 'map') {
    const by = call.named.get('attribute');
    const other = call.named.get('default');
    if (first === undefined && by === undefined)
      throw new TemplateError('map needs a filter or an attribute');
    const items = iterate(value, work);
    if (first !== undefined) {
      const filter = textOf(first, 'map');
      return new Once(
        items.map((one) => applyFilter(filter, one, { positional: rest, named: call.named }, work)),
      );
    }
    return new Once(
      items.map((one) => {
        const found = path(one, by!, work);
        return found instanceof Undefined && other !== undefined ? other : found;
      }),
    );
  }
  const withAttribute = name.endsWith('attr');
  const keep = name.startsWith('select');
  if (withAttribute && first === undefined) throw new TemplateError(`${name} needs an attribute`);
  const [test, ...args] = withAttribute ? rest : call.positional;
  const kept = iterate(value, work).filter((one) => {
    const tested = withAttribute ? path(one, first!, work) : one;
    const holds =
      test === undefined
        ? truth(tested)
        : truth(applyTest(textOf(test, name), tested, { positional: args, named: call.named }, work));
    return holds === keep;
  });
  return new Once(kept);
}

export function applyFilter(name: string, value: Value, call: Call, work: Work): Value {
  work.spend(1);
  if (HIGHER.has(name)) return higher(name, value, call, work);
  if (!Object.hasOwn(filters, name)) throw new TemplateError(`there is no filter '${name}'`);
  return callNative(name, filters[name]!, { ...call, positional: [value, ...call.positional] }, work);
}

export function applyTest(name: string, value: Value, call: Call, work: Work): Value {
  work.spend(1);
  if (name === 'filter' || name === 'test') {
    const known = name === 'test' ? tests : filters;
    const asked = textOf(value, name);
    return Object.hasOwn(known, asked) || (name === 'filter' && HIGHER.has(asked));
  }
  if (!Object.hasOwn(tests, name)) throw new TemplateError(`there is no test '${name}'`);
  return callNative(name, tests[name]!, { ...call, positional: [value, ...call.positional] }, work);
}
