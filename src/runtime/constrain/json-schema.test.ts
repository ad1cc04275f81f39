import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { accepts, randomText } from '../../../test/support/grammar-walk.ts';
import { Random } from '../../util/random.ts';
import { Automaton } from './automaton.ts';
import { schemaGrammar } from './json-schema.ts';

// `default` of a CommonJS module.
const addFormats = formats as unknown as typeof formats.default;
const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 6, validateFormats: true, logger: false });
addFormats(ajv);

const WALKS = 40;

/** Whatever the grammar lets through must be valid; and of a strict one, without exception. */
async function check(schema: object, valid?: (value: unknown) => boolean, strict = true): Promise<Automaton> {
  const { grammar, unheld } = await schemaGrammar(schema, { strict });
  if (strict) expect(unheld).toEqual([]);
  const automaton = new Automaton(grammar);
  const validate = ajv.compile(schema);
  for (let seed = 0; seed < WALKS; seed++) {
    const text = randomText(automaton, new Random(seed));
    if (text === null) continue;
    const value: unknown = JSON.parse(text);
    expect([text, validate(value), validate.errors]).toEqual([text, true, null]);
    if (valid) expect([text, valid(value)]).toEqual([text, true]);
  }
  return automaton;
}

describe('as zod writes them', () => {
  const types: Record<string, [z.ZodType, unknown[], unknown[]]> = {
    email: [z.email(), ['a.b@example.org', "o'x+y@a-b.co.uk".replace("'", '')], ['a@b', '.a@b.de', 'a@.de']],
    uuid: [z.uuid(), ['12345678-1234-4234-8234-123456789abc'], ['12345678-1234-9234-8234-123456789abc', 'x']],
    url: [z.url(), ['https://example.org/x?y=z#a'], ['example.org']],
    datetime: [
      z.iso.datetime(),
      ['2024-02-29T23:59:59.5Z'],
      ['2023-02-29T23:59:59Z', '2024-02-29T24:00:00Z'],
    ],
    date: [z.iso.date(), ['2000-02-29'], ['1900-02-29', '2024-13-01']],
    time: [z.iso.time(), ['23:59', '23:59:59.123'], ['24:00']],
    duration: [z.iso.duration(), ['P1DT2H', 'P3W'], ['P', 'PT', 'P1W2D']],
    ipv4: [z.ipv4(), ['127.0.0.1', '255.255.255.255'], ['256.0.0.1', '1.2.3']],
    ipv6: [z.ipv6(), ['::1', '2001:db8::8a2e:370:7334'], [':::', '12345::']],
    base64: [z.base64(), ['', 'YQ==', 'YWJj'], ['a', 'Y===']],
    emoji: [z.emoji(), ['\u{1f600}'], ['x', '']],
    e164: [z.e164(), ['+4912345678'], ['49']],
    integer: [z.int().min(-12).max(345), [-12, 0, 345], [-13, 346, 1.5]],
    'int 32': [z.int32(), [-2147483648, 2147483647], [2147483648]],
    positive: [z.number().positive(), [0.5, 1e-6 + 1, 3], [0, -1]],
    range: [z.number().gt(-3.25).lte(17.5), [-3.2, 0, 17.5], [-3.25, 17.51, 100]],
    halves: [z.number().multipleOf(0.5), [0, 1.5, -2], [0.25]],
    begins: [z.string().startsWith('a.b'), ['a.bc'], ['axb', 'xa.b']],
    ends: [z.string().endsWith('!'), ['ab!'], ['ab']],
    includes: [z.string().includes('x'), ['axb'], ['ab']],
    lowercase: [z.string().lowercase(), ['ab é'], ['aB']],
    length: [z.string().min(2).max(3), ['ab', 'é\u{1f600}'], ['a', 'abcd']],
    'pattern and length': [
      z
        .string()
        .regex(/^[a-z]+$/)
        .min(3)
        .max(5),
      ['abc', 'abcde'],
      ['ab', 'abcdef', 'ABC'],
    ],
    property: [z.string().regex(/^\p{Lu}\p{Ll}+$/u), ['Éa', 'Ab'], ['ab', 'A1']],
    template: [z.templateLiteral(['a-', z.number()]), ['a-1', 'a--1.5'], ['a-', 'a-x']],
    record: [z.record(z.string(), z.number()), [{}, { a: 1 }], [{ a: 'x' }]],
    'record of an enum': [z.record(z.enum(['a', 'b']), z.number()), [{ a: 1, b: 2 }], [{ a: 1 }, { c: 1 }]],
    'some of an enum': [z.partialRecord(z.enum(['a', 'b']), z.number()), [{}, { b: 2 }], [{ c: 1 }]],
    'record of a pattern': [z.record(z.string().regex(/^k\d$/), z.null()), [{}, { k1: null }], [{ k: null }]],
    tuple: [z.tuple([z.string(), z.number()]), [['a', 1]], [['a'], ['a', 1, 2]]],
    'tuple with a rest': [z.tuple([z.string()], z.number()), [['a'], ['a', 1, 2]], [[], ['a', 'b']]],
    intersection: [
      z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() })),
      [{ a: 'x', b: 1 }],
      [{ a: 'x' }, { b: 1 }],
    ],
    union: [
      z.discriminatedUnion('t', [
        z.object({ t: z.literal('a') }),
        z.object({ t: z.literal('b'), x: z.int() }),
      ]),
      [{ t: 'a' }, { t: 'b', x: 1 }],
      [{ t: 'b' }, { t: 'c' }, { t: 'a', x: 1 }],
    ],
    nullable: [z.string().nullable(), ['a', null], [1]],
    optional: [z.object({ a: z.string().optional(), b: z.int() }), [{ b: 1 }, { a: '', b: 1 }], [{ a: '' }]],
    loose: [z.looseObject({ a: z.string() }), [{ a: 'x' }, { a: 'x', b: [1] }], [{ b: 1 }]],
    catchall: [z.object({ a: z.string() }).catchall(z.number()), [{ a: 'x', aa: 1 }], [{ a: 'x', b: 'y' }]],
    literals: [z.literal(['a', 1, null, true]), ['a', 1, null, true], ['b', false, 2]],
    never: [z.object({ a: z.never().optional() }), [{}], [{ a: 1 }]],
    json: [z.json(), [{ a: [1, { b: null }] }, 'x'], []],
    list: [z.array(z.boolean()).min(1).max(2), [[true], [true, false]], [[], [true, true, true]]],
  };

  test.each(Object.entries(types))('%s', async (_, [type, right, wrong]) => {
    const automaton = await check(z.toJSONSchema(type), (value) => type.safeParse(value).success);
    for (const value of right)
      expect([value, accepts(automaton, JSON.stringify(value))]).toEqual([value, true]);
    for (const value of wrong)
      expect([value, accepts(automaton, JSON.stringify(value))]).toEqual([value, false]);
  });

  test('a pattern with too many states is given up before the format beside it, and told', async () => {
    const schema = z.toJSONSchema(z.hostname());
    expect((await schemaGrammar(schema)).unheld).toEqual(['schema.pattern']);
    await check(schema, (value) => z.hostname().safeParse(value).success, false);
  });
});

interface Golden {
  schema: object;
  right: unknown[];
  wrong: unknown[];
}

describe('as pydantic writes them', () => {
  const file = new URL('../../../test/golden/pydantic-schemas.json', import.meta.url);
  const { schemas } = JSON.parse(readFileSync(file, 'utf8')) as { schemas: Record<string, Golden> };
  /** What a grammar without memory cannot hold to. */
  const loose: Record<string, string[]> = {
    set: ['schema.uniqueItems'],
    'set of bounded size': ['schema.uniqueItems'],
    bytes: ['schema.format'],
  };

  test.each(Object.entries(schemas))('%s', async (name, { schema, right, wrong }) => {
    const { grammar, unheld } = await schemaGrammar(schema);
    expect(unheld).toEqual(loose[name] ?? []);
    if (!loose[name]) await check(schema);
    const automaton = new Automaton(grammar);
    for (const value of right)
      expect([value, accepts(automaton, JSON.stringify(value))]).toEqual([value, true]);
    for (const value of wrong)
      expect([value, accepts(automaton, JSON.stringify(value))]).toEqual([value, false]);
  });
});

test.each<[string, object, unknown[], unknown[]]>([
  [
    'several schemas that all hold',
    {
      allOf: [
        { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] },
        { properties: { b: { type: 'null' }, a: { minimum: 3 } }, required: ['b'] },
      ],
    },
    [{ a: 3, b: null }],
    [{ a: 2, b: null }, { a: 3 }],
  ],
  [
    'beside a reference',
    { $ref: '#/$defs/n', maximum: 5, $defs: { n: { type: 'integer', minimum: 2 } } },
    [2, 5],
    [1, 6],
  ],
  [
    'an anchor',
    { items: { $ref: '#x' }, $defs: { y: { $anchor: 'x', type: 'null' } }, type: 'array' },
    [[null]],
    [[1]],
  ],
  [
    'anyOf beside other keywords',
    {
      type: ['object', 'null'],
      properties: { a: { type: 'integer' } },
      anyOf: [{ required: ['a'] }, { type: 'null' }],
    },
    [null, { a: 1 }],
    [{}, { a: 'x' }],
  ],
  ['OpenAPI', { type: 'string', nullable: true }, ['a', null], [1]],
  [
    'patterns of names',
    {
      type: 'object',
      properties: { 'x-a': { maximum: 7 } },
      patternProperties: { '^x-': { type: 'integer' }, z$: { minimum: 5 } },
      additionalProperties: false,
    },
    [{ 'x-a': 7, 'x-z': 5, 'x-b': 1 }, { az: 6.5 }],
    [{ 'x-a': 8 }, { 'x-z': 4 }, { 'x-z': 5.5 }, { b: 1 }],
  ],
  [
    'numbers of members',
    {
      type: 'object',
      properties: { a: { type: 'null' }, b: { type: 'null' }, c: { type: 'null' }, d: { type: 'null' } },
      required: ['c'],
      minProperties: 2,
      maxProperties: 3,
      additionalProperties: false,
    },
    [
      { a: null, c: null },
      { c: null, d: null },
      { a: null, b: null, c: null },
    ],
    [{ c: null }, { a: null, b: null, c: null, d: null }, { a: null, b: null }],
  ],
  [
    'multiples',
    { type: 'integer', multipleOf: 7, minimum: -20, maximum: 1000 },
    [-14, 0, 7, 994],
    [1, -21, 1001],
  ],
  [
    'cents',
    { type: 'number', multipleOf: 0.01, minimum: 0, exclusiveMaximum: 10 },
    [0, 9.99, 1.5],
    [10, 0.001],
  ],
  ['small bounds', { type: 'number', minimum: 1e-7, maximum: 0.00002 }, [0.00001], [0, 0.1]],
  ['bounds below zero', { type: 'number', minimum: -0.5, maximum: -0.25 }, [-0.5, -0.3], [-0.2, -0.6, 0.3]],
  [
    'a list of types with bounds',
    { type: ['integer', 'string'], minimum: 3, maxLength: 1 },
    [3, 'a'],
    [2, 'ab'],
  ],
  [
    'values of every kind',
    { enum: [{ a: 1 }, [1], 'x', 1.5, null] },
    [{ a: 1 }, [1], 'x', 1.5, null],
    ['y', 2],
  ],
  ['values of a type', { enum: [1, 'x', null], type: ['string', 'null'] }, ['x', null], [1]],
  [
    'exactly one of what excludes each other',
    { oneOf: [{ type: 'string' }, { type: 'integer', minimum: 3 }, { const: null }] },
    ['a', 3, null],
    [2, true],
  ],
])('%s', async (_, schema, right, wrong) => {
  const automaton = await check(schema);
  for (const value of right)
    expect([value, accepts(automaton, JSON.stringify(value))]).toEqual([value, true]);
  for (const value of wrong)
    expect([value, accepts(automaton, JSON.stringify(value))]).toEqual([value, false]);
});

test.each<[string, object, unknown[], unknown[]]>([
  ['4', { type: 'integer', minimum: 0, exclusiveMinimum: true, maximum: 3 }, [1, 3], [0, 4]],
  [
    '7',
    { type: 'array', items: [{ type: 'null' }], additionalItems: { type: 'boolean' } },
    [[], [null, true]],
    [[true], [null, null]],
  ],
])('draft %s', async (_, schema, right, wrong) => {
  const automaton = new Automaton((await schemaGrammar(schema, { strict: true })).grammar);
  for (const value of right)
    expect([value, accepts(automaton, JSON.stringify(value))]).toEqual([value, true]);
  for (const value of wrong)
    expect([value, accepts(automaton, JSON.stringify(value))]).toEqual([value, false]);
});

test.each<[object, string]>([
  [{ type: 'array', items: { type: 'string' }, uniqueItems: true }, 'schema.uniqueItems'],
  [{ type: 'array', contains: { type: 'string' } }, 'schema.contains'],
  [{ type: 'object', properties: { a: {} }, dependentRequired: { a: ['b'] } }, 'schema.dependentRequired'],
  [{ if: { type: 'string' }, else: { minimum: 3 } }, 'schema.if'],
  [{ type: 'string', not: { const: 'a' } }, 'schema.not'],
  [{ type: 'string', format: 'phone' }, 'schema.format'],
  [{ type: 'string', pattern: '(?<=a)b' }, 'schema.pattern'],
  [{ type: 'string', pattern: '\\bx' }, 'schema.pattern'],
  [{ type: 'string', pattern: '(a)\\1' }, 'schema.pattern'],
  [{ type: 'string', pattern: '^((a|b)*a(a|b){20}){10}$' }, 'schema.pattern'],
  [{ oneOf: [{ type: 'number' }, { type: 'integer' }] }, 'schema.oneOf'],
  [{ type: 'integer', multipleOf: 123456 }, 'schema.multipleOf'],
  [{ type: 'object', additionalProperties: { type: 'null' }, minProperties: 2 }, 'schema.minProperties'],
  [{ type: 'string', frobnicate: 3 }, 'schema.frobnicate'],
])('%j is followed loosely and told, and refused if strict', async (schema, place) => {
  expect((await schemaGrammar(schema)).unheld).toEqual([place]);
  await expect(schemaGrammar(schema, { strict: true })).rejects.toThrow(`${place} cannot be held to here`);
});

describe('what cannot be followed is refused with its place', () => {
  const deep = (levels: number) =>
    Array.from({ length: levels }).reduce<object>((items) => ({ type: 'array', items }), { type: 'null' });

  test.each<[string, unknown, string]>([
    ['itself', { $ref: '#' }, 'schema leads back to itself'],
    [
      'a circle',
      { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } },
      'schema.$defs.a leads',
    ],
    ['a circle of choices', { anyOf: [{ $ref: '#' }, { $ref: '#' }] }, 'nothing fits schema'],
    [
      'without end',
      { type: 'object', properties: { x: { $ref: '#' } }, required: ['x'] },
      'nothing fits schema',
    ],
    ['depth', deep(2000), 'levels'],
    ['no schema', { properties: { a: 3 } }, 'schema.properties.a is 3, expected a schema'],
    [
      'bounds that exclude all',
      { properties: { a: { type: 'integer', minimum: 3, maximum: 2 } }, required: ['a'] },
      'nothing fits schema.properties.a',
    ],
    ['a pattern that excludes all', { type: 'string', pattern: '^a$', minLength: 2 }, 'nothing fits schema'],
    ['no values', { enum: [] }, 'schema.enum is empty'],
    ['a bound', { type: 'number', minimum: '3' }, 'schema.minimum is "3", expected a number'],
    ['names', { required: [3] }, 'schema.required has 3, expected names'],
  ])('%s', async (_, schema, why) => {
    await expect(schemaGrammar(schema)).rejects.toThrow(why);
  });

  test('a level that recursion may leave out is no harm', async () => {
    const schema = { type: 'array', items: { $ref: '#' }, maxItems: 2 };
    const automaton = await check(schema);
    expect(accepts(automaton, '[[],[[]]]')).toBe(true);
  });

  test('up to 200 levels', async () => {
    expect((await schemaGrammar(deep(199))).unheld).toEqual([]);
  });
});

describe('bounded', () => {
  /** Levels of which each has two ways to the next. */
  const doubling = (level: (next: object) => object) => ({
    $ref: '#/$defs/A0',
    $defs: Object.fromEntries(
      Array.from({ length: 26 }, (_, i) => [
        `A${i}`,
        i === 25 ? { type: 'string' } : level({ $ref: `#/$defs/A${i + 1}` }),
      ]),
    ),
  });

  test('choices of the same are one', async () => {
    const { grammar } = await schemaGrammar(doubling((next) => ({ anyOf: [next, { ...next }] })));
    const automaton = new Automaton(grammar);
    expect(accepts(automaton, '"a"')).toBe(true);
    expect(automaton.size).toBeLessThan(10);
  });

  test('choices that double', async () => {
    const schema = doubling((next) => ({
      allOf: [{ anyOf: [next, { type: 'null' }] }, { anyOf: [{ ...next }, { type: 'boolean' }] }],
    }));
    await expect(schemaGrammar(schema)).rejects.toThrow('places, which are too many');
  });

  test.each([
    '(x*)*(y*)*'.repeat(100),
    `^${'a?'.repeat(1300)}a{1300}$`,
    '^(((((a{1,99}){1,99}){1,99}){1,99}){1,99})$',
    `^${'('.repeat(2000)}${')'.repeat(2000)}$`,
  ])('pattern %#', async (pattern) => {
    expect((await schemaGrammar({ type: 'string', pattern })).unheld).toEqual(['schema.pattern']);
  });

  test('100,000 values', async () => {
    const values = Array.from({ length: 100_000 }, (_, i) => `value-${i}`);
    const started = process.cpuUsage();
    const automaton = new Automaton((await schemaGrammar({ enum: values })).grammar);
    expect(process.cpuUsage(started).user / 1e6).toBeLessThan(1);
    for (const i of [0, 7, 99_999]) expect(accepts(automaton, `"value-${i}"`)).toBe(true);
    expect(accepts(automaton, '"value-100000"')).toBe(false);
  });

  test('the event loop turns meanwhile', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const properties = Object.fromEntries(
      Array.from({ length: 60 }, (_, i) => [
        `p${i}`,
        { type: 'string', pattern: `^[a-z]{${i},${i + 200}}@[a-z]+$` },
      ]),
    );
    await schemaGrammar({ type: 'object', properties });
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });

  test('a token that has too many ways to go on is an error, and the next is not hurt', async () => {
    const anyOf = Array.from({ length: 3000 }, (_, i) => ({
      type: 'string',
      minLength: i,
      maxLength: 5000 + i,
    }));
    const automaton = new Automaton((await schemaGrammar({ anyOf })).grammar);
    expect(() => accepts(automaton, `"${'a'.repeat(2000)}"`)).toThrow('too many ways to go on');
  });
});
