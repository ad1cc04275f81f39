// Isolated: the memory and time that readers take are those of the process.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { InputError } from '../../src/util/errors.ts';
import { fuzz, type Reader } from './fuzz.ts';
import { readers } from './readers.ts';

// The long run is `npm run fuzz`; another seed each day would make failures that cannot be repeated.
for (const reader of await readers()) {
  test(`${reader.name}: a changed file is read or refused by name`, async () => {
    const { find, accepted, refused } = await fuzz(reader, 200, 1);
    expect(find).toBeUndefined();
    expect(accepted + refused).toBe(200);
    expect(refused).toBeGreaterThan(0);
  });
}

const ORIGINAL = '{"size": 3}';
/** Reads the file that was not changed, and no other. */
const faulty = (read: (file: string) => unknown): Reader => ({
  name: 'faulty',
  kind: 'json',
  folders: [{ 'a.json': ORIGINAL }],
  read: (file) => (readFileSync(file, 'utf8') === ORIGINAL ? null : read(file)),
});

test.each<[string, Reader, RegExp]>([
  [
    'an error that is no refusal',
    faulty(() => {
      throw new TypeError('cannot read properties');
    }),
    /cannot read properties/,
  ],
  ['memory', faulty(() => new Float64Array(40e6).fill(1)), /took \d+ MB for a file of/],
  [
    'work without end',
    faulty(() => {
      for (const begun = process.cpuUsage().user; process.cpuUsage().user < begun + 1.2e6; );
    }),
    /s of processor time/,
  ],
  [
    'a file outside',
    faulty(async () => {
      const { existsSync } = await import('node:fs');
      existsSync('/etc/passwd');
      throw new InputError('refused');
    }),
    /opened \/etc\/passwd/,
  ],
])('the fuzzer notices %s', async (_, reader, what) => {
  expect((await fuzz(reader, 3, 1, false)).find?.what).toMatch(what);
});

test('the fuzzer notices a changed prototype', async () => {
  const reader = faulty(() => Object.assign(Object.prototype, { polluted: true }));
  try {
    expect((await fuzz(reader, 1, 1)).find?.what).toMatch(/prototype/);
  } finally {
    Reflect.deleteProperty(Object.prototype, 'polluted');
  }
});
