import { Tokenizer } from '@huggingface/tokenizers';
import { describe, expect, it } from 'vitest';
import { Random } from '../util/random.ts';
import { facts } from './facts.ts';
import { planTask } from './harness.ts';
import { isHeldOut } from './held-out.ts';
import { heroes, keys, people, trades, values } from './lexicon.ts';
import { document, fillRows, mixture, worldTasks } from './mixture.ts';
import { leastRoom, textOf } from './passage.ts';
import { buildWorldTokenizer, cachedEncode } from './world-tokenizer.ts';

const files = buildWorldTokenizer();
const tokenizer = new Tokenizer(files.tokenizer, files.config);
const plain = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids;
const encode = cachedEncode(plain);
const decode = (ids: readonly number[]) =>
  tokenizer.decode([...ids], { clean_up_tokenization_spaces: false });

describe('the generated world', () => {
  it.each(worldTasks)('gives the same examples of $name for the same seed, others for another', (task) => {
    expect(task.examples(40, 3)).toEqual(task.examples(40, 3));
    expect(task.examples(40, 3)).not.toEqual(task.examples(40, 4));
    expect(task.examples(40, 3)).toHaveLength(40);
    // More examples begin with the same ones, so that counts can be raised without losing comparability.
    expect(task.examples(60, 3).slice(0, 40)).toEqual(task.examples(40, 3));
  });

  it.each(mixture)('keeps what evaluation asks of $name out of training', ({ ability }) => {
    const random = new Random(11);
    for (let i = 0; i < 200; i++) {
      for (const [heldOut, { contents }] of [false, true].map((h) => [h, ability(random, h, 224)] as const)) {
        expect(contents.length).toBeGreaterThan(0);
        for (const content of contents) expect(isHeldOut(content), content).toBe(heldOut);
      }
    }
  });

  it('never trains on a sum or a choice that is asked, as the texts show', () => {
    const random = new Random(5);
    const asks = /\d+[+-]\d+=|of \w+\? \w+ A, [^.]*\.|has \w+\? \w+ A, [^.]*\./g;
    const trained = new Set<string>();
    for (let i = 0; i < 3000; i++) for (const [ask] of document(random, 224).matchAll(asks)) trained.add(ask);
    expect(trained.size).toBeGreaterThan(5000);
    let asked = 0;
    for (const task of worldTasks.filter(({ name }) => name === 'arithmetic' || name === 'choice')) {
      for (const example of task.examples(800, 9)) {
        const [ask] = ('context' in example ? example.context : '').match(asks)!.slice(-1);
        expect(trained.has(ask!), ask).toBe(false);
        asked++;
      }
    }
    expect(asked).toBe(1600);
  });

  it('tells the truth', () => {
    const truth = new Map(facts.map(({ hero, attribute, value }) => [`${attribute} ${hero}`, value]));
    const random = new Random(6);
    let checked = 0;
    for (let i = 0; i < 1500; i++) {
      const text = document(random, 224);
      for (const [, a, sign, b, result] of text.matchAll(/(\d+)([+-])(\d+)=(\d+);/g)) {
        expect(Number(result)).toBe(sign === '+' ? Number(a) + Number(b) : Number(a) - Number(b));
        checked++;
      }
      const told =
        /(?:What is the (\w+) of|Which (\w+) has) (\w+)\? A (\w+), B (\w+), C (\w+), D (\w+)\. Answer: (\w)/g;
      for (const [, what, which, hero, a, b, c, d, letter] of text.matchAll(told)) {
        expect([a, b, c, d]['ABCD'.indexOf(letter!)]).toBe(truth.get(`${what ?? which} ${hero}`));
        checked++;
      }
      for (const [, key, value] of text.matchAll(/What does the (\w+) hold\? The (\w+)\./g)) {
        expect(text).toContain(` The ${key} holds the ${value}.`);
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(3000);
  });

  it('knows 192 facts whose values are spread', () => {
    expect(facts).toHaveLength(192);
    for (const attribute of ['colour', 'food', 'home', 'trade']) {
      const used = new Set(facts.filter((fact) => fact.attribute === attribute).map((fact) => fact.value));
      expect(used.size).toBeGreaterThan(12);
    }
  });
});

describe('the world tokenizer', () => {
  it('has at most 1,024 tokens, is reproducible, and every word is one', () => {
    expect(tokenizer.get_vocab().size).toBeLessThanOrEqual(1024);
    expect(buildWorldTokenizer()).toEqual(files);
    for (const word of [...people, ...heroes, ...keys, ...values, ...trades]) {
      expect(plain(` ${word}`), word).toHaveLength(1);
    }
    expect(plain('37+45=82;')).toHaveLength(9);
    expect(tokenizer.encode('<|endoftext|>').ids).toEqual([0]);
  });

  it('gives back any text, by either way of encoding', () => {
    const random = new Random(3);
    const texts = Array.from({ length: 200 }, () => document(random, 224));
    texts.push(
      "It's 12  34 apples!!\n\n\n5 é日本 \t x😀 1a2",
      'a  b',
      '  8',
      '\n 8 ½ x²',
      ' ',
      '\u0000\u00ad',
    );
    for (const text of texts) {
      expect(decode(plain(text))).toBe(text);
      expect(encode(text)).toEqual(plain(text));
    }
    expect(encode('')).toEqual([]);
  });

  it.each(worldTasks)('gives every example of $name a continuation, within 256 tokens', (task) => {
    const plan = planTask(task, 300, 8, encode);
    expect(plan.examples).toHaveLength(300);
    expect(plan.longest).toBeLessThanOrEqual(256);
  });
});

describe('fillRows', () => {
  it('goes on exactly from a saved state, rows beginning with documents', () => {
    const random = new Random(1);
    const fill = () => {
      const out = new Int32Array(4 * 257);
      fillRows(out, 257, random, encode, 0);
      return out;
    };
    fill();
    const saved = [...random.state] as typeof random.state;
    const next = fill();
    expect(fill()).not.toEqual(next);
    random.state = saved;
    expect(fill()).toEqual(next);
    for (let row = 0; row < 4; row++) {
      expect(decode([next[row * 257]!])).toMatch(/^(Table|List|Notes|Store|Story|Facts|Sums)$/);
    }
  });

  it('ends every document that has room with the end of text, and begins another behind it', () => {
    const out = new Int32Array(20 * 257);
    fillRows(out, 257, new Random(1), encode, 0);
    let ends = 0;
    for (const [i, id] of out.entries()) {
      if (id !== 0) continue;
      ends++;
      expect(i % 257).toBeGreaterThan(leastRoom / 2);
      if ((i + 1) % 257 === 0) continue;
      expect(decode([out[i + 1]!])).toMatch(/^(Table|List|Notes|Store|Story|Facts|Sums)$/);
    }
    expect(ends).toBeGreaterThan(20);
  });

  it.each(mixture)('gets documents of $name that fill the room they are given', ({ name, ability }) => {
    for (const room of [leastRoom, 64, 128, 224]) {
      const random = new Random(room);
      const lengths = Array.from({ length: 100 }, () => encode(textOf(ability(random, false, room))).length);
      const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
      // Needles have stories of any length.
      expect(mean).toBeGreaterThan((name === 'needle' ? 0.45 : 0.55) * room);
      expect(mean).toBeLessThan(room);
      expect(Math.max(...lengths)).toBeLessThan(room + 28);
    }
  });
});
