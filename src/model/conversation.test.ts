import { expect, test } from 'vitest';
import { chatTokenizerFiles } from '../../test/support/chat-tokenizer.ts';
import { encodeConversation } from './conversation.ts';
import { Tokenizer } from './tokenizer.ts';

const tokenizerWith = (template: string) =>
  new Tokenizer(JSON.parse(chatTokenizerFiles['tokenizer.json']), {}, new Map([['default', template]]));
const strict =
  "{% if not messages | selectattr('role', 'equalto', 'user') | list %}{{ raise_exception('no user') }}{% endif %}" +
  '{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}';
const message = (role: string, content: string) => ({ role, content });

test('a beginning that the template refuses marks no boundary', () => {
  const messages = [message('system', 'Be brief.'), message('user', 'Hi'), message('assistant', 'Yes?')];
  const tokenizer = tokenizerWith(strict);
  const { ids, boundaries } = encodeConversation(tokenizer, messages, { boundaries: true });
  const ends = ids.flatMap((id, at) => (id === tokenizer.tokenId('<|im_end|>') ? [at + 1] : []));
  expect(boundaries).toEqual(ends.slice(1));
  expect(encodeConversation(tokenizer, messages)).toEqual({ ids, boundaries: [] });
  expect(() => encodeConversation(tokenizer, messages.slice(0, 1), { boundaries: true })).toThrow(/no user/);
});

test('a template that takes beginnings back has no boundaries there; of many messages the first and last count', () => {
  const latest = tokenizerWith(
    '{{ messages[-1].content }}{% for m in messages %}{{ m.content }}{% endfor %}',
  );
  const letters = (count: number) => Array.from({ length: count }, (_, i) => message('user', 'xy'[i % 2]!));
  expect(encodeConversation(latest, letters(2), { boundaries: true }).boundaries).toEqual([3]);
  const plain = tokenizerWith('{% for m in messages %}{{ m.content }}{% endfor %}');
  const { ids, boundaries } = encodeConversation(plain, letters(100), { boundaries: true });
  expect(boundaries).toHaveLength(16);
  expect(boundaries.at(-1)).toBe(ids.length);
});
