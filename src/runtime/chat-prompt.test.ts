import { expect, test } from 'vitest';
import { chatTokenizerFiles } from '../../test/support/chat-tokenizer.ts';
import { Tokenizer } from '../model/tokenizer.ts';
import { chatPrompt } from './chat-prompt.ts';

const tokenizerWith = (template: string) =>
  new Tokenizer(JSON.parse(chatTokenizerFiles['tokenizer.json']), {}, new Map([['default', template]]));
const strict =
  "{% if not messages | selectattr('role', 'equalto', 'user') | list %}{{ raise_exception('no user') }}{% endif %}" +
  '{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}';
const message = (role: string, content: string) => ({ role, content });
const both = { boundaries: true };

test('a beginning that the template refuses marks no boundary', () => {
  const messages = [message('system', 'Be brief.'), message('user', 'Hi'), message('assistant', 'Yes?')];
  const tokenizer = tokenizerWith(strict);
  const { ids, boundaries } = chatPrompt(tokenizer, messages, both);
  const ends = ids.flatMap((id, at) => (id === tokenizer.tokenId('<|im_end|>') ? [at + 1] : []));
  expect(boundaries).toEqual(ends.slice(1));
  expect(chatPrompt(tokenizer, messages, { boundaries: false })).toEqual({ ids, boundaries: [] });
  expect(() => chatPrompt(tokenizer, messages.slice(0, 1), both)).toThrow(/no user/);
});

test('a template that takes beginnings back has no boundaries there; of many messages the first 200 have', () => {
  const latest = tokenizerWith(
    '{{ messages[-1].content }}{% for m in messages %}{{ m.content }}{% endfor %}',
  );
  const letters = (count: number) => Array.from({ length: count }, (_, i) => message('user', 'xy'[i % 2]!));
  expect(chatPrompt(latest, letters(2), both).boundaries).toEqual([3]);
  const plain = tokenizerWith('{% for m in messages %}{{ m.content }}{% endfor %}');
  const { ids, boundaries } = chatPrompt(plain, letters(300), both);
  expect(ids).toHaveLength(300);
  expect(boundaries).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
});
