import fc from 'fast-check';

/**
 * Mutations of real files, small enough that most of a file stays valid: what is read first must not hide what is read
 * later. A mutation is plain numbers, so that fast-check can shrink a find to the few that matter.
 */
export interface Mutation {
  how: number;
  /** Taken modulo the number of places. */
  where: number;
  value: number;
}

export const mutations: fc.Arbitrary<Mutation[]> = fc.array(
  fc.record({ how: fc.nat(1000), where: fc.nat(), value: fc.nat() }),
  { minLength: 1, maxLength: 4 },
);

/** What integers in a binary header are replaced with: signs, sizes beyond any file, limits of types. */
const EXTREMES = [
  ...[0n, 1n, 2n, 255n, 256n, 65_535n, 2n ** 20n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n],
  ...[2n ** 40n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 62n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n],
];

type Bytes = Uint8Array<ArrayBuffer>;

const BYTE_MUTATIONS: ((bytes: Bytes, where: number, value: number) => Bytes)[] = [
  function flipBit(bytes, where, value) {
    bytes[where]! ^= 1 << (value % 8);
    return bytes;
  },
  function setByte(bytes, where, value) {
    bytes[where] = value;
    return bytes;
  },
  function setInteger32(bytes, where, value) {
    if (where + 4 > bytes.length) return bytes;
    const extreme = Number(EXTREMES[value % EXTREMES.length]! & 0xffffffffn);
    new DataView(bytes.buffer).setUint32(where, extreme, true);
    return bytes;
  },
  function setInteger64(bytes, where, value) {
    if (where + 8 > bytes.length) return bytes;
    new DataView(bytes.buffer).setBigUint64(where, EXTREMES[value % EXTREMES.length]!, true);
    return bytes;
  },
  function cut(bytes, where) {
    return bytes.slice(0, where);
  },
  function remove(bytes, where, value) {
    return joined(bytes.slice(0, where), bytes.slice(where + 1 + (value % 64)));
  },
  function repeat(bytes, where, value) {
    const piece = bytes.slice(where, where + 1 + (value % 256));
    return joined(bytes.slice(0, where), piece, piece, bytes.slice(where + piece.length));
  },
  function insert(bytes, where, value) {
    return joined(bytes.slice(0, where), new Uint8Array(1 + (value % 64)).fill(value), bytes.slice(where));
  },
];

function joined(...parts: Bytes[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Places near the beginning are taken as often as all others together: headers are where lengths stand. */
export function mutatedBytes(original: Uint8Array, list: readonly Mutation[]): Bytes {
  let bytes: Bytes = Uint8Array.from(original);
  for (const { how, where, value } of list) {
    if (bytes.length === 0) break;
    const reach = how % 2 ? Math.min(bytes.length, 512) : bytes.length;
    const mutate = BYTE_MUTATIONS[Math.floor(how / 2) % BYTE_MUTATIONS.length]!;
    bytes = mutate(bytes, where % reach, value);
  }
  return bytes;
}

const deep = (open: string, close: string, depth: number) => open.repeat(depth) + close.repeat(depth);

/** Texts of JSON that take the place of a value. */
const HOSTILE = [
  ...['null', 'true', '0', '-1', '0.5', '-0', '1e9', '1e12', '1e308', '1e999', '-1e308', '9007199254740993'],
  ...[
    '""',
    '" "',
    '"\\u0000"',
    '"\\ud800"',
    '"../../outside/model.safetensors"',
    '"/etc/passwd"',
    '"C:\\\\x"',
  ],
  ...[
    '"__proto__"',
    '"constructor"',
    '[]',
    '{}',
    '[[]]',
    '[null]',
    '{"":0}',
    '[0,1,2,3]',
    '["a"]',
    '{"a":{}}',
  ],
  ...['{"__proto__":{"polluted":true}}', '{"constructor":{"prototype":{"polluted":true}}}'],
  JSON.stringify('x'.repeat(10_000)),
  JSON.stringify('\u{1f469}\u200d\u{1f467}\ufeff½'),
  JSON.stringify(Array.from({ length: 5000 }, (_, i) => i)),
  deep('[', ']', 2000),
  `${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}`,
  '"(a+)+$"',
  '"{% for i in range(1000000000) %}x{% endfor %}"',
  '"{{ messages"',
];

/** @returns JSON with some values replaced, left out, doubled, exchanged or renamed, or broken as text */
export function mutatedJson(original: string, list: readonly Mutation[]): string {
  const root: { value: unknown } = { value: JSON.parse(original) };
  const raw = new Map<string, string>();
  for (const { how, where, value } of list) {
    const places = placesOf(root);
    const { parent, key } = places[where % places.length]!;
    const other = places[value % places.length]!;
    switch (how % 7) {
      case 0:
      case 1: {
        // Put in as text, for JSON.parse would change some of them.
        const mark = `fuzz-${raw.size}-mark`;
        raw.set(mark, HOSTILE[value % HOSTILE.length]!);
        parent[key] = mark;
        break;
      }
      case 2:
        if (parent !== root) Reflect.deleteProperty(parent, key);
        break;
      case 3:
        parent[key] = structuredClone(other.parent[other.key]);
        break;
      case 4:
        if (typeof parent[key] === 'number') {
          const number = parent[key] as number;
          parent[key] = [number + 1, number - 1, -number, number * 1e6, number / 3][value % 5];
        }
        break;
      case 5:
        if (!Array.isArray(parent) && parent !== root) {
          parent[['__proto__x', 'type', 'extra_field', ''][value % 4]!] = parent[key];
        }
        break;
      case 6:
        if (Array.isArray(parent)) parent.push(...(parent as unknown[]).slice(0, 1 + (value % 100)));
        break;
    }
  }
  let text = JSON.stringify(root.value) ?? '';
  for (const [mark, hostile] of raw) text = text.replace(JSON.stringify(mark), () => hostile);
  const { how, where } = list[0]!;
  return how % 29 === 0 ? text.slice(0, where % (text.length + 1)) : text;
}

interface Place {
  parent: Record<string | number, unknown>;
  key: string | number;
}

function placesOf(root: { value: unknown }): Place[] {
  const places: Place[] = [];
  const visit = (parent: Place['parent'], key: string | number) => {
    places.push({ parent, key });
    const value = parent[key];
    if (typeof value !== 'object' || value === null || places.length > 20_000) return;
    for (const inner of Object.keys(value)) visit(value as Place['parent'], inner);
  };
  visit(root as unknown as Place['parent'], 'value');
  return places;
}
