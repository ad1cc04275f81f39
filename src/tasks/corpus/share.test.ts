import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { corpusFolder, jsonLines } from '../../../test/support/corpus-files.ts';
import { Random } from '../../util/random.ts';
import { heldOutText, trainingText } from './corpus.ts';
import { type SideName, sideOf } from './documents.ts';

let folder: ReturnType<typeof corpusFolder>;
beforeAll(() => {
  folder = corpusFolder();
});
afterAll(() => folder.remove());

/** Paragraphs of which every fifth stands there before. */
function paragraphs(count: number): string[] {
  const random = new Random(4);
  const found: string[] = [];
  for (let i = 0; i < count; i++) {
    const words = Array.from(
      { length: 3 + random.below(60) },
      () => ['a', 'naïve', '😀', 'line\nbreak'][random.below(4)],
    );
    found.push(i % 5 === 4 ? random.pick(found) : `${i} ${words.join(' ')}`);
  }
  return found;
}

async function sidesOf(content: Record<string, string>, share: number) {
  const corpus = await folder.open(folder.write(content), { share });
  return [trainingText(corpus), heldOutText(corpus)].map((text) => ({
    text,
    whole: text.slice(0, text.length),
  }));
}

describe.each(['txt', 'jsonl'])('documents of a .%s', (ending) => {
  const documents = paragraphs(2000);
  const [separator, content] =
    ending === 'txt'
      ? ['\n\n', `${documents.join('\n\n')}\n\n`]
      : ['</s>', jsonLines(documents.map((text) => ({ text })))];
  const name = `a.${ending}`;

  test('are on one side each, by their content alone', async () => {
    const [training, heldOut] = await sidesOf({ [name]: content }, 0.2);
    const expected = (side: SideName) =>
      documents.flatMap((text) => (sideOf(text, 0.2) === side ? text + separator : [])).join('');
    expect(training!.whole).toBe(expected('training'));
    expect(heldOut!.whole).toBe(expected('choosing') + expected('reporting'));
    expect(heldOut!.text.middle).toBe(expected('choosing').length);
    const held = new Set(heldOut!.whole.split(separator).filter(Boolean));
    expect(training!.whole.split(separator).filter((text) => held.has(text))).toEqual([]);
  });

  test('about as many as the share says are held out', async () => {
    const different = new Set(documents).size;
    for (const share of [0.02, 0.2, 0.5]) {
      const [, heldOut] = await sidesOf({ [name]: content }, share);
      const held = new Set(heldOut!.whole.split(separator).filter(Boolean)).size;
      const deviation = Math.sqrt(different * share * (1 - share));
      expect(Math.abs(held - different * share)).toBeLessThan(4 * deviation);
    }
  });

  test('any part of either side is found', async () => {
    const random = new Random(8);
    for (const { text, whole } of await sidesOf({ [name]: content }, 0.1)) {
      for (let i = 0; i < 100; i++) {
        const start = random.below(whole.length);
        expect(text.slice(start, start + 700)).toBe(whole.slice(start, start + 700));
      }
    }
  });
});

test('white space and the ends of lines make no other document, nor does the format', async () => {
  const documents = paragraphs(300);
  const sides = (content: Record<string, string>) =>
    sidesOf(content, 0.3).then(([, { whole } = { whole: '' }]) =>
      whole
        .split(/<\/s>|\n[ \r]*\n/)
        .map((text) => text.replace(/\s+/g, ' ').trim())
        .filter(Boolean),
    );
  const plain = await sides({ 'plain.txt': documents.join('\n\n') });
  expect(plain.length).toBeGreaterThan(50);
  expect(await sides({ 'crlf.txt': documents.join('\n \n\n').replaceAll('\n', '\r\n') })).toEqual(plain);
  expect(
    await sides({ 'records.jsonl': jsonLines(documents.map((text) => ({ text: ` ${text}\n` }))) }),
  ).toEqual(plain);
});

test('the lines of a text without blank lines are its documents', async () => {
  const lines = Array.from({ length: 1000 }, (_, i) => `line ${i % 400}`);
  const [training, heldOut] = await sidesOf({ 'lines.txt': lines.join('\n') }, 0.2);
  const held = new Set(heldOut!.whole.split('\n').filter(Boolean));
  expect(held.size).toBeGreaterThan(40);
  expect(training!.whole.split('\n').filter((line) => held.has(line))).toEqual([]);
  expect(training!.whole.length + heldOut!.whole.length).toBe(lines.join('\n').length);
});

test.each([
  ['a single line', Array.from({ length: 200_000 }, (_, i) => `é ${i}`).join(' ')],
  [
    'a paragraph of many lines',
    `first\n\n${Array.from({ length: 90_000 }, (_, i) => `line ${i} of it`).join('\n')}`,
  ],
  ['blank lines without end', `first\n\n${'\n'.repeat(50_000)}${paragraphs(600).join('\n\n')}`],
])('%s is divided, and found from anywhere', async (_, content) => {
  const random = new Random(2);
  const sides = await sidesOf({ 'long.txt': content }, 0.3);
  expect(sides.reduce((sum, { whole }) => sum + whole.length, 0)).toBe(content.length);
  for (const { text, whole } of sides) {
    expect(whole.length).toBeGreaterThan(content.length / 20);
    for (let i = 0; i < 50; i++) {
      const start = random.below(whole.length);
      expect(text.slice(start, start + 5000)).toBe(whole.slice(start, start + 5000));
    }
  }
});

test('too little text for its share is refused', async () => {
  const corpus = await folder.open(folder.write({ 'few.txt': 'one\n\ntwo' }), { share: 0.001 });
  expect(() => heldOutText(corpus)).toThrow(
    `${folder.at('few.txt')} has too few documents to hold out 0.1 % of them: expected other text by --held-out, or a larger --held-out-share`,
  );
});
