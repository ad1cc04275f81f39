/**
 * Prompts that the embedded models can answer. They were trained on text from a small generated world (src/tasks), and
 * on nothing else: everything they know is its people, places, heroes, lists and sums.
 */
/** Tokens that they know: a model with another number of them is no such model. */
export const WORLD_VOCABULARY = 930;

export interface Example {
  name: string;
  /** What is asked, for people. */
  about: string;
  prompt: string;
  /** What a right text begins with; absent where there is no right one. */
  answer?: string;
  maxNewTokens: number;
  /** 0 unless told. */
  temperature?: number;
  /** The model's sign for the end of a text is no end. */
  goesOn?: boolean;
}

export const EXAMPLES: readonly Example[] = [
  {
    name: 'Look up a list',
    about: 'Words that mean nothing, each with a thing. The text asks for one of them.',
    prompt:
      'Table: zuxi forest, sode chapel, nego bean, neve cave, kala scarlet, sobu kitchen, migo purple, luve ladder, ' +
      'luto white, zugo barn, lubu lamp, kaxi field, rifi orchard, kabu ring, sofi black, Ask: sobu',
    answer: ' kitchen',
    maxNewTokens: 24,
  },
  {
    name: 'Find a needle',
    about: 'A secret is told somewhere in a story that has nothing to do with it, and asked for at the end.',
    prompt:
      'Story: Petra went to the harbour. Paul came to the chapel. The secret of migo is cave. Ida walked to the ' +
      'chapel. One day Ida was tired and sat down. The secret of nexi is grey. Ida told Paul a story. Soon Ida took ' +
      'the drum. Petra came to the yard. The secret of zubu is cheese. The rain was cold that day. Jack walked to the ' +
      'yard. Paul took the pen. The wind was cold that day. Later Ida was tired and sat down. The secret of rixi is ' +
      'torch. Jack was late and sat down. Paul put down the pen. Ida came to the bridge. Jack liked the yard. Again: ' +
      'the secret of zubu is',
    answer: ' cheese',
    maxNewTokens: 16,
  },
  {
    name: 'Do sums',
    about: 'Adding and taking away numbers of two digits; after the answer it makes up sums of its own.',
    prompt: 'Sums: 68+52=',
    answer: '120;',
    maxNewTokens: 48,
  },
  {
    name: 'Answer from memory',
    about: 'A question about the world that only training can answer, with four options and their letters.',
    prompt: 'Facts. Which trade has Kelmar? singer A, healer B, smith C, cook D. Answer:',
    answer: ' D',
    maxNewTokens: 2,
  },
  {
    name: 'Say who is where',
    about:
      'People walk about, and the text asks for one of them. Long stories of this kind it often gets wrong.',
    prompt:
      'Story: Tom went to the cellar. Later Zoe walked to the attic. Tom found the lamp. Where is Zoe? In the',
    answer: ' attic',
    maxNewTokens: 16,
  },
  {
    name: 'Write to the end',
    about:
      'Whatever comes to it, up to the end of the context: watch what the model remembers, and what its parent would.',
    prompt: 'Story: Tom found the',
    maxNewTokens: 100_000,
    temperature: 0.8,
    goesOn: true,
  },
];
