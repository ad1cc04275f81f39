import { describe, expect, test } from 'vitest';
import type { ChatMessage } from '../../model/tokenizer.ts';
import { conversationParts, MARKS, marked, partsOf, unmarked } from './answers.ts';
import { type RecordReading, recordText } from './record.ts';

type Rendering = (messages: ChatMessage[], more?: { addGenerationPrompt: boolean }) => string;

/** As ChatML, such as SmolLM2's: a system message of its own at the beginning. */
const chatml: Rendering = (messages, more) =>
  `<|im_start|>system\nHelp.<|im_end|>\n${messages
    .map(({ role, content }) => `<|im_start|>${role}\n${content ?? ''}<|im_end|>\n`)
    .join('')}${more?.addGenerationPrompt ? '<|im_start|>assistant\n' : ''}`;

/** As Qwen3: thoughts stand before the last answer alone. */
const thinking: Rendering = (messages, more) =>
  messages
    .map(({ role, content }, i) => {
      const thought = role === 'assistant' && i === messages.length - 1 ? '<think>\n\n</think>\n\n' : '';
      return `<|im_start|>${role}\n${thought}${content}<|im_end|>\n`;
    })
    .join('') + (more?.addGenerationPrompt ? '<|im_start|>assistant\n' : '');

/** As Llama 2: answers between marks, without a word where one begins. */
const llama: Rendering = (messages) =>
  messages
    .map(({ role, content }) => (role === 'assistant' ? ` ${content} </s>` : `<s>[INST] ${content} [/INST]`))
    .join('');

const talk: ChatMessage[] = [
  { role: 'user', content: 'Yes?' },
  { role: 'assistant', content: 'Yes.' },
  { role: 'user', content: 'Why Yes.?' },
  { role: 'assistant', content: 'So.' },
];

describe('the answers of a conversation', () => {
  test.each<[string, Rendering, string[]]>([
    ['ChatML', chatml, ['Yes.<|im_end|>', 'So.<|im_end|>']],
    ['thoughts before the last answer', thinking, ['Yes.<|im_end|>', '<think>\n\n</think>\n\nSo.<|im_end|>']],
    ['without a beginning of answers', llama, [' Yes. </s>', ' So. </s>']],
  ])('%s', (_, render, answers) => {
    const parts = conversationParts(talk, render, ['<|im_end|>', '</s>']);
    expect(parts.map(({ text }) => text).join('')).toBe(render(talk));
    expect(parts.filter(({ answer }) => answer).map(({ text }) => text)).toEqual(answers);
  });

  test('a call of a function, which has no words', () => {
    const call = { role: 'assistant', content: null, tool_calls: [{}] };
    const render: Rendering = (messages, more) =>
      chatml(
        messages.map((each) => ('tool_calls' in each ? { ...each, content: '<call>f()</call>' } : each)),
        more,
      );
    const parts = conversationParts([talk[0]!, call], render, ['<|im_end|>']);
    expect(parts.filter(({ answer }) => answer).map(({ text }) => text)).toEqual([
      '<call>f()</call><|im_end|>',
    ]);
  });

  test('what a template does not write as it was given is refused', () => {
    const loud: Rendering = (messages, more) => chatml(messages, more).toUpperCase().slice(messages.length);
    expect(() => conversationParts(talk, loud, [])).toThrow(/does not write message 2 as it was given/);
  });
});

describe('marks', () => {
  const render: RecordReading['render'] = (messages, _tools, more) => chatml(messages, more);
  const parts = [
    { text: 'Q', answer: false },
    { text: 'A', answer: true },
    { text: '', answer: false },
  ];

  test('are read back from any place, from the beginning of a document on', () => {
    const text = marked(parts) + marked(parts);
    expect(unmarked(text)).toBe('QAQA');
    const all = [
      { text: 'Q', answer: false, begins: true },
      { text: 'A', answer: true, begins: false },
    ];
    expect(partsOf(text)).toEqual([...all, ...all]);
    expect(partsOf(text.slice(2)).slice(-2)).toEqual(all);
  });

  test('stand beside the text of a record, which stays what it is', () => {
    const reading = { end: '\n\n', render };
    const answers = { ends: ['<|im_end|>'] };
    for (const record of [
      { messages: talk },
      { prompt: 'Q', completion: 'A' },
      { prompt: talk.slice(0, 1), completion: talk.slice(1) },
    ]) {
      const plain = recordText(record, () => 'here', reading);
      const read = recordText(record, () => 'here', { ...reading, answers });
      expect(read.content).toBe(plain.content);
      expect(unmarked(read.marked!) + read.end).toBe(plain.content + plain.end);
      expect(plain.marked).toBeUndefined();
    }
    const pair = recordText({ prompt: 'Q', completion: 'A' }, () => 'here', { ...reading, answers });
    expect(pair.marked).toBe(`${MARKS.document}${MARKS.rest}Q${MARKS.answer}A\n\n`);
  });

  test('records without answers, and texts with marks of their own, are refused by name', () => {
    const reading = { end: '', render, answers: { ends: [] } };
    const refused = (record: unknown) => () => recordText(record, () => 'a.jsonl:3', reading);
    expect(refused({ text: 'A text.' })).toThrow(
      /^a.jsonl:3: the field 'text' is a text, in which no answer can be told/,
    );
    expect(refused({ prompt: 'Q', completion: 'A\uFDD0' })).toThrow(/^a.jsonl:3 has the character U\+FDD0/);
    expect(refused({ prompt: 'Q', completion: 3 })).toThrow(
      /prompt is a string, completion a number; expected two texts/,
    );
    expect(refused({ prompt: 'Q' })).toThrow(
      /has no field 'text', 'messages', 'conversations': its fields are prompt/,
    );
  });
});
