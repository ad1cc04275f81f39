import { byteSymbols } from '../../src/model/byte-symbols.ts';

/**
 * A byte-level tokenizer of 320 tokens with a chat template that knows tools in Hermes' form: three special tokens,
 * all bytes, some pieces of text and JSON, and `<tool_call>` as a token of its own.
 */

const special = ['<|end|>', '<|im_start|>', '<|im_end|>'];
const merged = [
  ...['{"', '":', '",', '"}', '": "', '", "', ' {', '}}', ': ', ', ', 'th', 'he', 'in', 'er', 'an', 're'],
  ...['on', 'at', 'en', 'nd', 'ti', 'es', 'or', 'te', 'of', 'ed', 'is', 'it', 'al', 'ar', 'st', 'to', 'nt'],
  ...['na', 'me', '00', '12', '-1', '0.', 'tr', 'ue', 'fa', 'ls', 'nu', 'll', '\n\n', '  ', '[]', '{}'],
];
const toSymbols = (text: string) => Array.from(text, (c) => byteSymbols[c.charCodeAt(0)]).join('');
// Each is made of two symbols or of what was made before, so that the merges make them.
const pairs = merged.filter((text) => text.length === 2).map((text) => toSymbols(text));
const tokens = [...special, ...byteSymbols, ...pairs, ...merged.filter((t) => t.length > 2).map(toSymbols)];
const added = ['<tool_call>', '</tool_call>'];
export const CHAT_VOCABULARY = tokens.length + added.length;

const addedToken = (content: string, id: number, isSpecial: boolean) => ({
  ...{ id, content, special: isSpecial, single_word: false, lstrip: false, rstrip: false, normalized: false },
});

const template = `
{%- if tools -%}
<|im_start|>system
Functions:{% for tool in tools %} {{ tool.function | tojson }}{% endfor %}
Calls are written as <tool_call>{"name": ..., "arguments": ...}</tool_call>.<|im_end|>
{% endif -%}
{%- for m in messages -%}
<|im_start|>{{ m.role }}
{{ m.content }}
{%- for call in m.tool_calls or [] %}
<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>
{%- endfor %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}`;

/** The files of the tokenizer. */
export const chatTokenizerFiles = {
  'tokenizer.json': JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    normalizer: null,
    post_processor: null,
    added_tokens: [
      ...special.map((content, id) => addedToken(content, id, true)),
      ...added.map((content, i) => addedToken(content, tokens.length + i, false)),
    ],
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries([...tokens, ...added].map((token, id) => [token, id])),
      merges: pairs.map((pair) => `${[...pair][0]} ${[...pair][1]}`),
    },
  }),
  'tokenizer_config.json': JSON.stringify({ bos_token: null, eos_token: '<|im_end|>' }),
  'chat_template.jinja': template,
};
