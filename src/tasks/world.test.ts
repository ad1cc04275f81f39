import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../model/json-fields.ts';
import { Tokenizer } from '../model/tokenizer.ts';
import { Random } from '../util/random.ts';
import { facts } from './facts.ts';
import { planTask } from './harness.ts';
import { isHeldOut } from './held-out.ts';
import { heroes, keys, people, trades, values } from './lexicon.ts';
import { document, fillRows, mixture, worldTasks } from './mixture.ts';
import { leastRoom, textOf } from './passage.ts';
import { asked, type Example } from './task.ts';
import { buildWorldTokenizer, cachedEncode } from './world-tokenizer.ts';

const files = buildWorldTokenizer();
const tokenizer = new Tokenizer(files.tokenizer as JsonObject, files.config as JsonObject);
const plain = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
const encode = cachedEncode(plain);
const decode = (ids: readonly number[]) => tokenizer.decode(ids, { skipSpecialTokens: false });

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

  it.each(worldTasks)('draws examples of $name apart from others, and no two the same', (task) => {
    const searched = task.examples(128, 7);
    const judged = task.examples(512, 11, searched);
    expect(judged).toHaveLength(512);
    const shown = (examples: readonly Example[]) => new Set(examples.map((each) => JSON.stringify(each)));
    expect(shown(judged).size).toBe(512);
    const seen = new Set(searched.map(asked));
    expect(judged.filter((each) => seen.has(asked(each)))).toEqual([]);
    // More of them begin with the same ones here, too.
    expect(task.examples(600, 11, searched).slice(0, 512)).toEqual(judged);
  });

  it('asks no sum of the searched ones again, as the texts show, nor a fact behind the same letter', () => {
    const asks: Record<string, (text: string) => string | undefined> = {
      arithmetic: (text) => {
        const [, a, sign, b] = /(\d+)([+-])(\d+)=$/.exec(text)!;
        return sign === '+' ? `+ ${[a, b].sort()}` : `${a}-${b}`;
      },
      choice: (text) => {
        const [, what, which, hero] =
          [...text.matchAll(/(?:What is the (\w+) of|Which (\w+) has) (\w+)\?/g)].at(-1) ?? [];
        return `${what ?? which} ${hero}`;
      },
    };
    for (const [name, ask] of Object.entries(asks)) {
      const task = worldTasks.find((each) => each.name === name)!;
      const keys = (examples: readonly Example[]) =>
        examples.map((each) =>
          'context' in each ? `${ask(each.context)} ${'gold' in each ? each.gold : ''}` : '',
        );
      const searched = new Set(keys(task.examples(128, 7)));
      // Without being told, some are drawn again.
      expect(keys(task.examples(512, 11)).filter((key) => searched.has(key)).length).toBeGreaterThan(10);
      const judged = keys(task.examples(512, 11, task.examples(128, 7)));
      expect(judged.filter((key) => searched.has(key))).toEqual([]);
    }
  });

  it.each(['arithmetic', 'choice'])('says that there are not so many examples of %s', (name) => {
    const task = worldTasks.find((each) => each.name === name)!;
    const most = { arithmetic: 4000, choice: 512 }[name]!;
    const apart = name === 'choice' ? task.examples(20_000, 3) : [];
    expect(() => task.examples(most, 7, apart)).toThrow(
      new RegExp(`^task ${name}: ${most} different examples were asked for,? .*only \\d+ could be drawn`),
    );
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
    expect(tokenizer.vocabSize).toBeLessThanOrEqual(1024);
    expect(buildWorldTokenizer()).toEqual(files);
    for (const word of [...people, ...heroes, ...keys, ...values, ...trades]) {
      expect(plain(` ${word}`), word).toHaveLength(1);
    }
    expect(plain('37+45=82;')).toHaveLength(9);
    expect(tokenizer.encode('<|endoftext|>')).toEqual([0]);
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
