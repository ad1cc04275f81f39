import { expect, test } from 'vitest';
import { Random } from '../util/random.ts';
import { type ToolCall, ToolCallParser } from './tool-calls.ts';

/** The text cut anywhere, put together again. */
function parse(text: string, seed: number): { said: string; calls: Omit<ToolCall, 'id'>[] } {
  const parser = new ToolCallParser();
  const random = new Random(seed);
  const found: (string | ToolCall)[] = [];
  for (let at = 0; at < text.length; ) {
    const length = 1 + random.below(9);
    found.push(...parser.push(text.slice(at, at + length)));
    at += length;
  }
  found.push(...parser.flush());
  return {
    said: found.filter((part) => typeof part === 'string').join(''),
    calls: found.flatMap((part) =>
      typeof part === 'string' ? [] : [{ name: part.name, arguments: part.arguments }],
    ),
  };
}

const a = { name: 'a', arguments: '{"x":1}' };
const b = { name: 'b', arguments: '{}' };

test.each([
  ['plain words', 'plain words', []],
  ['1 < 2, <tool> and <tool_cal', '1 < 2, <tool> and <tool_cal', []],
  ['<tool_call>\n{"name": "a", "arguments": {"x": 1}}\n</tool_call>', '', [a]],
  [
    'Let me see.<tool_call>{"name":"a","arguments":{"x":1}}</tool_call><tool_call>{"name":"b"}</tool_call>',
    'Let me see.',
    [a, b],
  ],
  ['<tool_call>{"name":"a","arguments":"{\\"x\\":1}"}', '', [a]],
  ['<tool_call>{"name": broken}</tool_call> sorry', '<tool_call>{"name": broken}</tool_call> sorry', []],
  ['<tool_call>{"name": "a", "arg', '<tool_call>{"name": "a", "arg', []],
])('%s', (text, said, calls) => {
  for (let seed = 0; seed < 30; seed++) expect(parse(text, seed)).toEqual({ said, calls });
});

test('each call has an id of its own', () => {
  const parser = new ToolCallParser();
  const call = '<tool_call>{"name":"a"}</tool_call>';
  const ids = [...parser.push(call), ...parser.push(call)].map((part) => (part as ToolCall).id);
  expect(new Set(ids).size).toBe(2);
  expect(ids[0]).toMatch(/^call_[0-9a-f]{24}$/);
});
