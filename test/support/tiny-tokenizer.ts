/** 64 tokens: three special ones, then a character each; the last two are the bytes of é. */
const LETTERS = ' abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ012345';
const vocabulary = ['<unk>', '<s>', '</s>', ...Array.from(LETTERS, (c) => (c === ' ' ? 'Ġ' : c)), 'Ã', '©'];
const special = (id: number) => ({
  id,
  content: vocabulary[id],
  special: true,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
});
/** The files of a tokenizer for these tokens, with a chat template. */
export const tinyTokenizerFiles = {
  'tokenizer.json': JSON.stringify({
    version: '1.0',
    truncation: null,
    padding: null,
    normalizer: null,
    post_processor: null,
    added_tokens: [0, 1, 2].map(special),
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])), merges: [] },
  }),
  'tokenizer_config.json': JSON.stringify({ bos_token: '<s>', eos_token: '</s>' }),
  'chat_template.jinja':
    '{% for m in messages %}{{ m.role }} {{ m.content }}{% endfor %}{% if add_generation_prompt %} a{% endif %}',
};
