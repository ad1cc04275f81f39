/**
 * Fields of OpenAI's API, vLLM's and llama.cpp's servers that would change the answer and are not known here, each with
 * the values that ask for nothing; [] and {} stand for any that is empty. Others that are not known are ignored: they
 * say how a request is stored, billed or routed, or how much a model should think that does not.
 */
export const REFUSED: Record<string, readonly unknown[]> = {
  // OpenAI
  functions: [[]],
  function_call: ['none', 'auto'],
  audio: [],
  web_search_options: [],
  background: [false],
  conversation: [],
  truncation: ['disabled', 'auto'],
  // vLLM
  add_generation_prompt: [true],
  add_special_tokens: [true],
  allowed_token_ids: [[]],
  bad_words: [[]],
  chat_template: [],
  chat_template_kwargs: [{}],
  continue_final_message: [false],
  documents: [[]],
  guided_choice: [],
  guided_grammar: [],
  guided_json: [],
  guided_regex: [],
  include_stop_str_in_output: [false],
  length_penalty: [1],
  logits_processors: [[]],
  min_tokens: [0],
  prompt_embeds: [],
  prompt_logprobs: [],
  skip_special_tokens: [true],
  stop_token_ids: [[]],
  structured_outputs: [{}],
  truncate_prompt_tokens: [],
  use_beam_search: [false],
  // llama.cpp
  dry_multiplier: [0],
  dynatemp_range: [0],
  grammar: [''],
  json_schema: [{}],
  mirostat: [0],
  n_predict: [],
  n_probs: [0],
  repeat_penalty: [1],
  samplers: [],
  typical_p: [1],
  xtc_probability: [0],
};
