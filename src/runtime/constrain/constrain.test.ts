import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chatTokenizerFiles } from '../../../test/support/chat-tokenizer.ts';
import { accepts } from '../../../test/support/grammar-walk.ts';
import { Tokenizer } from '../../model/tokenizer.ts';
import { Random } from '../../util/random.ts';
import { Automaton, type State } from './automaton.ts';
import type { Expression } from './grammar.ts';
import { GrammarConstraint } from './grammar-constraint.ts';
import { anyObject, anyValue } from './json-grammar.ts';
import { schemaGrammar } from './json-schema.ts';
import { TokenTrie } from './token-trie.ts';

describe('JSON', () => {
  const any = new Automaton(anyValue);

  test('whatever JSON.stringify writes', () => {
    const value = fc.jsonValue({ depthSize: 'medium', noUnicodeString: false });
    fc.assert(
      fc.property(value, fc.constantFrom(0, 1, 4), (x, indent) => {
        const text = JSON.stringify(x, null, indent);
        // The bounds: digits of a number, white space in a row.
        fc.pre(!/\d{16}|e[+-]\d{3}|\s{21}/.test(text));
        return accepts(any, text);
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  test('nothing that JSON.parse refuses', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"',
      '1',
      '-',
      '0',
      '.5',
      'e3',
      'true',
      'null',
      ' ',
      '\\u12',
      'é',
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 8 }), (parts) => {
        const text = parts.join('');
        if (accepts(any, text)) JSON.parse(text);
      }),
      { seed: 2, numRuns: 20_000 },
    );
  });

  test.each([
    '{"a":1',
    '01',
    '1.',
    '.5',
    '+1',
    "{'a':1}",
    '{"a" 1}',
    '[1,]',
    '{,}',
    '"\\x"',
    '"\\ud800"',
    'tru',
    '',
  ])('not %s', (text) => expect(accepts(any, text)).toBe(false));

  test('strings are UTF-8', () => {
    const quoted = (...bytes: number[]) => Uint8Array.of(0x22, ...bytes, 0x22);
    expect(accepts(any, quoted(0xf0, 0x9f, 0x98, 0x80))).toBe(true);
    for (const wrong of [
      [0x80],
      [0xc3],
      [0xc0, 0x80],
      [0xe0, 0x80, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf5, 0x80, 0x80, 0x80],
    ]) {
      expect(accepts(any, quoted(...wrong))).toBe(false);
    }
    expect(accepts(any, quoted(0x0a))).toBe(false);
  });

  test('an object is an object', () => {
    const object = new Automaton(anyObject);
    expect(accepts(object, '{"a": [1, {}]}')).toBe(true);
    for (const other of ['[]', '1', 'null', '"a"']) expect(accepts(object, other)).toBe(false);
  });
});

describe('a schema', () => {
  const thing = {
    type: 'object',
    properties: {
      a: { type: 'string', minLength: 1, maxLength: 2 },
      b: { type: ['integer', 'null'] },
      c: { type: 'array', items: { enum: ['x', 2, null] }, minItems: 1, maxItems: 2 },
    },
    required: ['b'],
  };
  const tree = {
    $ref: '#/$defs/node',
    $defs: {
      node: {
        type: 'object',
        properties: { next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } },
        required: ['next'],
      },
    },
  };
  test.each<[object | boolean, string[], string[]]>([
    [
      thing,
      ['{"b":1}', '{ "b" : null }', '{"a":"é","b":-3,"c":["x"]}', '{"b":0,"c":[2, null]}'],
      [
        '{}',
        '{"a":"x"}',
        '{"b":1.5}',
        '{"a":"","b":1}',
        '{"a":"xyz","b":1}',
        '{"b":1,"a":"x"}',
        '{"b":1,"c":[]}',
        '{"b":1,"d":2}',
        '{"b":1,"c":["x",2,2]}',
        '{"b":1,}',
      ],
    ],
    [{ const: { a: [1] } }, ['{"a":[1]}'], ['{"a":[2]}', '{}']],
    [
      { type: 'object', additionalProperties: { type: 'boolean' } },
      ['{}', '{"x":true,"y":false}'],
      ['{"x":1}'],
    ],
    [{ type: 'object', additionalProperties: false }, ['{}', '{ }'], ['{"x":1}']],
    [{ type: 'object', required: ['z'] }, ['{"z":[1]}'], ['{}']],
    [
      { prefixItems: [{ type: 'null' }, { type: 'boolean' }], items: false, minItems: 1 },
      ['[null]', '[null, true]'],
      ['[]', '[true]', '[null,true,1]'],
    ],
    [tree, ['{"next":null}', '{"next":{"next":{"next":null}}}'], ['{"next":{}}', '{"next":1}']],
    [{ allOf: [{ type: 'number' }] }, ['1e5', '-0.25'], ['"1"']],
    [{ type: 'integer', minimum: -9007199254740991, maximum: 9007199254740991 }, ['12'], ['1.0']],
    [true, ['1', '{}'], ['x']],
    [{ title: 'T', description: 'D' }, ['1', '"x"'], []],
  ])('%j', async (schema, right, wrong) => {
    const automaton = new Automaton((await schemaGrammar(schema, { strict: true })).grammar);
    for (const text of right) expect([text, accepts(automaton, text)]).toEqual([text, true]);
    for (const text of wrong) expect([text, accepts(automaton, text)]).toEqual([text, false]);
  });

  test.each<[unknown, string]>([
    [{ type: 'string', pattern: '(a)\\1' }, 'schema.pattern cannot be held to here (it has a backreference'],
    [{ anyOf: [{ type: 'null' }, { not: { type: 'null' } }] }, 'schema.anyOf[1].not cannot be held to'],
    [{ type: 'date' }, 'schema.type is "date", expected one of object, array'],
    [{ $ref: '#/$defs/none' }, 'there is no "#/$defs/none"'],
    [{ $ref: 'https://example.org/x' }, 'expected a place in this schema'],
    [{ type: 'array', minItems: -1 }, 'schema.minItems is -1'],
    [false, 'nothing fits schema'],
    [{ enum: 5 }, 'schema.enum is 5, expected a list'],
  ])('%j is refused', async (schema, why) => {
    await expect(schemaGrammar(schema, { strict: true })).rejects.toThrow(why);
  });
});

describe('tokens', () => {
  const tokenizer = new Tokenizer(
    JSON.parse(chatTokenizerFiles['tokenizer.json']),
    JSON.parse(chatTokenizerFiles['tokenizer_config.json']),
  );
  const { bytes, special } = tokenizer.tokenBytes;
  const trie = new TokenTrie(tokenizer.tokenBytes);
  const ends = new Set(tokenizer.eosIds);

  /** Looks at each token by itself. */
  function allowedPlainly(automaton: Automaton, written: readonly number[]): number[] {
    let at: State | null = automaton.start;
    for (const id of written) for (const byte of bytes[id]!) at = at!.next(byte);
    return bytes.flatMap((token, id) => {
      if (special.has(id)) return [];
      let state = at;
      for (const byte of token) state = state?.next(byte) ?? null;
      return state && token.length > 0 ? [id] : [];
    });
  }

  function walk(grammar: Expression, seed: number): string {
    const automaton = new Automaton(grammar);
    const constraint = new GrammarConstraint(trie, automaton);
    const random = new Random(seed);
    const written: number[] = [];
    while (!constraint.complete && written.length < 400) {
      const masked = constraint.mask(new Float32Array(bytes.length), ends);
      const allowed = [...masked.keys()].filter((id) => masked[id] === 0);
      const plain = allowedPlainly(automaton, written);
      expect(allowed.filter((id) => !ends.has(id))).toEqual(plain);
      const ended = allowed.some((id) => ends.has(id));
      if (ended && random.uniform() < 0.3) break;
      const id = plain[random.below(plain.length)]!;
      constraint.push(id);
      written.push(id);
    }
    return tokenizer.decode(written);
  }

  test('those that may follow are found as by looking at each; what they write is valid', async () => {
    const schema = {
      properties: { name: { type: 'string', maxLength: 8 }, n: { type: 'number' }, ok: { type: 'boolean' } },
      required: ['name', 'n', 'ok'],
    };
    for (let seed = 0; seed < 20; seed++) {
      const { name, n, ok } = JSON.parse(walk((await schemaGrammar(schema)).grammar, seed));
      expect([typeof name, typeof n, typeof ok]).toEqual(['string', 'number', 'boolean']);
    }
  });

  test('the end may follow only where the text may end', async () => {
    const { grammar } = await schemaGrammar({ type: 'integer' });
    const constraint = new GrammarConstraint(trie, new Automaton(grammar));
    const end = () => constraint.mask(new Float32Array(bytes.length), ends)[tokenizer.eosIds[0]!];
    expect(end()).toBe(Number.NEGATIVE_INFINITY);
    constraint.push(tokenizer.tokenId('1')!);
    expect(end()).toBe(0);
    expect(constraint.complete).toBe(false);
    expect(() => constraint.push(tokenizer.tokenId('a')!)).toThrow('does not follow');
  });

  test('a vocabulary that cannot write it is named as the reason', () => {
    const poor = new TokenTrie({ bytes: [Uint8Array.of(0x61)], special: new Set() });
    const constraint = new GrammarConstraint(poor, new Automaton(anyObject));
    expect(() => constraint.mask(new Float32Array(1), new Set())).toThrow('no token of the vocabulary');
  });
});
