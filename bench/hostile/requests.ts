import { gzipSync } from 'node:zlib';

/** Requests that are made to take long, below every limit of size. */

export interface HostileRequest {
  name: string;
  path: string;
  body: Uint8Array;
  headers?: Record<string, string>;
}

const C = '/v1/completions';
const H = '/v1/chat/completions';
const R = '/v1/responses';
const MB = 2 ** 20;
const hi = '{"role":"user","content":"hi"}';
const encoder = new TextEncoder();

/** As many commas as there are elements, less one. */
const times = (text: string, count: number) => Array<string>(count).fill(text).join();

/** Each of the definitions is a choice of the next one, twice. */
function doubling(levels: number): object {
  const $defs: Record<string, object> = { [`A${levels}`]: { type: 'string' } };
  for (let i = 0; i < levels; i++) {
    const next = { $ref: `#/$defs/A${i + 1}` };
    $defs[`A${i}`] = { anyOf: [next, next] };
  }
  return { $ref: '#/$defs/A0', $defs };
}

/** Schemas that a grammar's compiler could be lost in. */
const SCHEMAS: Record<string, string> = {
  'schema: 26 doublings': JSON.stringify(doubling(26)),
  'schema: refers to itself': '{"$ref":"#"}',
  'schema: 100 levels': `${'{"type":"array","items":'.repeat(100)}true${'}'.repeat(100)}`,
  'schema: 2,000 levels': `${'{"items":'.repeat(2000)}true${'}'.repeat(2000)}`,
  'schema: enum of 100,000': JSON.stringify({
    enum: Array.from({ length: 100_000 }, (_, i) => `value ${i}`),
  }),
  'schema: 20,000 properties': JSON.stringify({
    type: 'object',
    properties: Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`p${i}`, { type: 'integer' }])),
  }),
  'schema: lengths of 1e9': '{"type":"string","minLength":1000000000,"maxLength":2000000000}',
  'schema: 1e9 items': '{"type":"array","items":{"type":"null"},"minItems":1000000000}',
  'schema: pattern (a+)+$': '{"type":"string","pattern":"^(a+)+$"}',
  'schema: pattern (a{999}){999}': '{"type":"string","pattern":"^(a{999}){999}$"}',
};

const TEXTS: Record<string, [string, string]> = {
  '1.3 M empty lists': [C, `{"prompt":[${times('[]', 1_300_000)}]}`],
  '1.9 M objects in objects': [C, `{"prompt":"a","x":[${times('{}', 1_390_000)}]}`],
  '4 MB of one letter': [C, `{"prompt":"${'a'.repeat(4 * MB - 100)}"}`],
  '4 MB of one letter in a chat': [
    H,
    `{"messages":[{"role":"user","content":"${'a'.repeat(4 * MB - 100)}"}]}`,
  ],
  '4 MB of words': [C, `{"prompt":"${'word '.repeat((4 * MB - 100) / 5)}"}`],
  '60 kB of one letter': [C, `{"prompt":"${'a'.repeat(60_000)}"}`],
  '2 M token ids': [C, `{"prompt":[${times('5', 2_000_000)}]}`],
  '500 k token ids': [C, `{"prompt":[${times('5', 500_000)}]}`],
  '2,000 prompts of one token': [C, `{"prompt":[${times('[5]', 2000)}]}`],
  '100,000 messages': [H, `{"messages":[${times(hi, 100_000)}]}`],
  '2,048 messages': [H, `{"messages":[${times(hi, 2048)}]}`],
  '100,000 items': [R, `{"input":[${times(hi, 100_000)}]}`],
  '1 M parts of a content': [
    H,
    `{"messages":[{"role":"user","content":[${times('{"type":"text","text":""}', 150_000)}]}]}`,
  ],
  '300,000 biases': [
    C,
    `{"prompt":"a","logit_bias":{${Array.from({ length: 300_000 }, (_, i) => `"${i}":1`)}}}`,
  ],
  'nested 2 M deep': [C, `{"prompt":${'['.repeat(2 * MB - 100)}`],
  'nested objects': [C, '{"a":'.repeat(800_000)],
  'a number of 4 M digits': [C, `{"prompt":"a","seed":${'9'.repeat(4 * MB - 100)}}`],
  'numbers beyond float64': [C, `{"prompt":[${times('1e999', 600_000)}]}`],
  'a model of 3 MB': [C, `{"prompt":"a","model":"${'x'.repeat(3 * MB)}"}`],
  'half pairs of surrogates': [C, `{"prompt":"${'\\ud83d'.repeat(600_000)}"}`],
  '300,000 equal keys': [C, `{${times('"prompt":"a"', 300_000)},"max_tokens":1}`],
  escapes: [C, `{"prompt":"${'\\u0041'.repeat(690_000)}"}`],
  'an echo with its log-probabilities': [
    C,
    `{"prompt":[${times('5', 500)}],"echo":true,"logprobs":20,"max_tokens":1,"n":8}`,
  ],
  '4 MB that is no JSON': [C, `{"prompt":"${'a'.repeat(4 * MB - 100)}`],
};

export function hostileRequests(): HostileRequest[] {
  const texts = Object.entries(TEXTS).map(([name, [path, body]]) => ({
    name,
    path,
    body: encoder.encode(body),
  }));
  const schemas = Object.entries(SCHEMAS).flatMap(([name, schema]) => [
    {
      name,
      path: H,
      body: encoder.encode(
        `{"messages":[${hi}],"max_tokens":4,"response_format":{"type":"json_schema","json_schema":{"schema":${schema}}}}`,
      ),
    },
  ]);
  const bomb = gzipSync(Buffer.alloc(1000 * MB), { level: 9 });
  return [
    ...texts,
    ...schemas,
    { name: 'gzip of 1 GB', path: C, body: bomb, headers: { 'Content-Encoding': 'gzip' } },
  ];
}
