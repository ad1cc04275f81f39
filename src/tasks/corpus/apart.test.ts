import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { corpusFolder, jsonLines } from '../../../test/support/corpus-files.ts';
import { Random } from '../../util/random.ts';
import { checkApart } from './apart.ts';

let folder: ReturnType<typeof corpusFolder>;
beforeAll(() => {
  folder = corpusFolder();
});
afterAll(() => folder.remove());

/** A document of about 500 characters, another one for each number. */
function document(number: number): string {
  const random = new Random(number);
  return Array.from({ length: 70 }, () => `w${random.below(1e6)}`).join(' ');
}
const documents = (first: number, count: number) =>
  Array.from({ length: count }, (_, i) => document(first + i));
const records = (texts: readonly string[]) => jsonLines(texts.map((text) => ({ text })));

async function check(data: Record<string, string>, heldOut: Record<string, string>) {
  const [training, judged] = [folder.write(data), folder.write(heldOut)];
  await checkApart(await folder.open(training), await folder.open(judged));
}

const own = documents(0, 300);
const others = documents(1000, 100);

test('texts that have nothing in common', async () => {
  await check({ 'a.txt': own.join('\n\n') }, { 'b.txt': others.join('\n\n') });
  await check({ 'a.jsonl': records(own) }, { 'b.jsonl': records(others) });
});

describe('a document that stands in both is found', () => {
  const shared = own[170]!;
  const spaced = `${shared.replaceAll(' ', '  ')}  `;
  const among = [...others.slice(0, 50), spaced, ...others.slice(50)];
  test.each<[string, Record<string, string>, Record<string, string>]>([
    ['paragraphs', { 'a.txt': own.join('\n\n') }, { 'b.txt': among.join('\n\n') }],
    ['CRLF', { 'a.txt': own.join('\r\n\r\n') }, { 'b.txt': among.join('\n\n') }],
    ['records', { 'a.jsonl': records(own) }, { 'b.jsonl': records(among) }],
    ['both', { 'a.jsonl': records(own.map((text) => text)) }, { 'b.jsonl': records(among) }],
    [
      'a file of several',
      { 'x.txt': others[99]!.slice(0, 300), 'a.txt': own.join('\n\n') },
      { 'b.txt': among.join('\n\n'), 'c.txt': documents(5000, 3).join('\n\n') },
    ],
  ])('%s', async (_, data, heldOut) => {
    const [a, b] = [Object.keys(data).at(-1)!, Object.keys(heldOut)[0]!];
    await expect(check(data, heldOut)).rejects.toThrow(
      `a part of the held-out text ${folder.at(b)} is in the training text ${folder.at(a)}: ` +
        `expected texts that have nothing in common, near '${shared.slice(0, 60)}'`,
    );
  });
});

describe('by its ends a file is found anywhere', () => {
  const whole = own.join(' ');
  test.each([
    ['the beginning', `${whole.slice(60_000, 61_500)} ${others.join(' ')}`],
    ['the end', `${others.join(' ')} ${whole.slice(90_000, 91_500)}\n\n`],
  ])('%s', async (_, text) => {
    await expect(check({ 'a.txt': whole }, { 'b.txt': text })).rejects.toThrow(
      `a part of the held-out text ${folder.at('b.txt')} is in the training text`,
    );
  });
});

test('short documents may stand in both', async () => {
  const phrase = 'It is a truth universally acknowledged. '.repeat(4).trim();
  await check({ 'a.txt': [phrase, ...own].join('\n\n') }, { 'b.txt': [...others, phrase].join('\n\n') });
});

test('the same text in another format is the same', async () => {
  await expect(check({ 'a.txt': own[0]! }, { 'b.txt': `\n${own[0]}\n` })).rejects.toThrow('are the same');
});
