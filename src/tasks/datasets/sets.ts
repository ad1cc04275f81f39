/**
 * Public tasks by their names in lm-evaluation-harness 0.4.13: where their rows are, and the documents that it makes of
 * them. Beside the fields of the Hub's own files those of llm-foundry's copies are read: {query, choices, gold},
 * {context, continuation} and {context_options, continuation, gold}.
 */
import { InputError } from '../../util/errors.ts';
import type { Description } from './description.ts';
import type { Document } from './document.ts';
import { indexIn, labelledIn, placeIn, type Row, textIn, textsIn } from './fields.ts';
import { MMLU } from './mmlu.ts';
import { plainText } from './wikitext.ts';

/** WikiHow's markup in HellaSwag: ' [title]' ends a heading, other brackets are dropped. */
const cleaned = (text: string) =>
  text
    .trim()
    .replaceAll(' [title]', '. ')
    .replace(/\[.*?\]/g, '')
    .replaceAll('  ', ' ');

const capitalised = (text: string) => {
  const [first = '', ...rest] = text;
  return first.toUpperCase() + rest.join('').toLowerCase();
};

/** A question of llm-foundry's copies; undefined for a row of the Hub. */
function foundryChoice(row: Row, text: (query: string) => string): Document | undefined {
  if (!('query' in row)) return undefined;
  const choices = textsIn(row, 'choices');
  return { text: text(textIn(row, 'query')), choices, gold: indexIn(row, 'gold', choices.length) };
}

function withoutStart(text: string, start: string): string {
  if (text.startsWith(start)) return text.slice(start.length);
  throw new InputError(
    `the field query is ${JSON.stringify(text.slice(0, 60))}, expected it to begin with '${start}'`,
  );
}

const questionText = (question: string) => `Question: ${question}\nAnswer:`;

function arc(row: Row): Document {
  const foundry = foundryChoice(row, (query) => questionText(withoutStart(query, 'Question: ')));
  if (foundry) return foundry;
  const { texts: choices, labels } = labelledIn(row, 'choices');
  return { text: questionText(textIn(row, 'question')), choices, gold: placeIn(row, 'answerKey', labels) };
}

const [NO, YES] = ['no', 'yes'];

const ARC: Pick<
  Description,
  'kind' | 'version' | 'repo' | 'normalised' | 'split' | 'shotSplit' | 'document'
> = {
  ...{ kind: 'choice', version: 1, repo: 'allenai/ai2_arc', normalised: true },
  ...{ split: 'test', shotSplit: 'train', document: arc },
};

const SETS: readonly Description[] = [
  {
    name: 'lambada_openai',
    about: 'the last word of a passage, which only all of it tells (LAMBADA as OpenAI cleaned it)',
    ...{ kind: 'answer', version: 1, repo: 'EleutherAI/lambada_openai', config: 'default' },
    ...{ split: 'test', shotSplit: 'test' },
    document(row) {
      if ('continuation' in row) {
        return { text: textIn(row, 'context'), target: ` ${textIn(row, 'continuation')}` };
      }
      const words = textIn(row, 'text').split(' ');
      const last = words.pop();
      return { text: words.join(' '), target: ` ${last}` };
    },
  },
  {
    name: 'hellaswag',
    about: 'how a scene goes on, one of four endings',
    ...{ kind: 'choice', version: 1, repo: 'Rowan/hellaswag', normalised: true },
    ...{ split: 'validation', shotSplit: 'train', shotsWithoutDocument: true },
    document(row) {
      const context = `${textIn(row, 'ctx_a')} ${capitalised(textIn(row, 'ctx_b'))}`;
      const choices = textsIn(row, 'endings').map(cleaned);
      const text = cleaned(`${textIn(row, 'activity_label')}: ${context}`);
      return { text, choices, gold: indexIn(row, 'label', choices.length) };
    },
  },
  {
    name: 'piqa',
    about: 'which of two ways reaches a goal in the physical world',
    ...{ kind: 'choice', version: 1, repo: 'baber/piqa', normalised: true },
    ...{ split: 'validation', shotSplit: 'train', shotsWithoutDocument: true },
    document(row) {
      // The copy's question ends in a line feed that the goal has not.
      const foundry = foundryChoice(row, (query) =>
        questionText(withoutStart(query, 'Question: ').replace(/\n$/, '')),
      );
      if (foundry) return foundry;
      const choices = [textIn(row, 'sol1'), textIn(row, 'sol2')];
      return { text: questionText(textIn(row, 'goal')), choices, gold: indexIn(row, 'label', 2) };
    },
  },
  { name: 'arc_easy', about: 'questions of science tests at school, easy ones', config: 'ARC-Easy', ...ARC },
  {
    name: 'arc_challenge',
    about: 'questions of science tests at school that look-ups and word statistics get wrong',
    ...{ config: 'ARC-Challenge', ...ARC },
  },
  {
    name: 'winogrande',
    about: 'whom or what a gap in a sentence means, one of two',
    ...{ kind: 'choice', version: 1, repo: 'allenai/winogrande', config: 'winogrande_xl' },
    ...{ split: 'validation', shotSplit: 'train', shotsWithoutDocument: true },
    document(row) {
      if ('context_options' in row) {
        const contexts = textsIn(row, 'context_options');
        const target = textIn(row, 'continuation').trim();
        return { contexts, target, gold: indexIn(row, 'gold', contexts.length) };
      }
      const sentence = textIn(row, 'sentence');
      const at = sentence.indexOf('_');
      if (at < 0) {
        throw new InputError(
          `the field sentence is ${JSON.stringify(sentence.slice(0, 60))}, expected a gap '_' in it`,
        );
      }
      const contexts = [textIn(row, 'option1'), textIn(row, 'option2')].map(
        (option) => sentence.slice(0, at) + option,
      );
      return { contexts, target: sentence.slice(at + 1).trim(), gold: placeIn(row, 'answer', ['1', '2']) };
    },
  },
  {
    name: 'boolq',
    about: 'yes or no to a question about a passage',
    ...{ kind: 'choice', version: 2, repo: 'aps/super_glue', config: 'boolq' },
    ...{ split: 'validation', shotSplit: 'train', shotsWithoutDocument: true },
    document(row) {
      const choices = [NO!, YES!];
      if ('query' in row) {
        const query = withoutStart(textIn(row, 'query'), 'Passage: ');
        const given = textsIn(row, 'choices');
        const gold = placeIn({ gold: given[indexIn(row, 'gold', given.length)] }, 'gold', choices);
        return { text: `${query}\nAnswer:`, choices, gold };
      }
      const text = `${textIn(row, 'passage')}\nQuestion: ${textIn(row, 'question')}?\nAnswer:`;
      const { label, answer } = row;
      // SuperGLUE's label is 0 or 1, google/boolq's answer true or false.
      const gold =
        label === undefined && typeof answer === 'boolean' ? Number(answer) : indexIn(row, 'label', 2);
      return { text, choices, gold };
    },
  },
  {
    name: 'openbookqa',
    about: 'elementary science with facts that are to be applied, one of four',
    ...{ kind: 'choice', version: 1, repo: 'allenai/openbookqa', config: 'main', normalised: true },
    ...{ alsoNamed: ['openbook_qa'], split: 'test', shotSplit: 'train' },
    document(row) {
      const foundry = foundryChoice(row, (query) => query);
      if (foundry) return foundry;
      const { texts: choices, labels } = labelledIn(row, 'choices');
      return { text: textIn(row, 'question_stem'), choices, gold: placeIn(row, 'answerKey', labels) };
    },
  },
  ...MMLU,
  {
    name: 'gsm8k',
    about: 'grade-school mathematics in words, by writing the way to the answer',
    ...{ kind: 'generation', version: 3, repo: 'openai/gsm8k', config: 'main', shots: 4 },
    ...{ split: 'test', shotSplit: 'train' },
    document: (row) => ({ question: questionText(textIn(row, 'question')), target: textIn(row, 'answer') }),
  },
  {
    name: 'wikitext',
    about: 'perplexity of articles of Wikipedia, word by word and byte by byte (WikiText-2)',
    ...{ kind: 'text', version: 2, repo: 'EleutherAI/wikitext_document_level', config: 'wikitext-2-raw-v1' },
    ...{ split: 'test', shotSplit: 'train' },
    document(row) {
      const page = textIn(row, 'page');
      return { page, text: plainText(page) };
    },
  },
];

const byName = new Map(SETS.map((each) => [each.name, each]));

/** Tasks that stand for several: MMLU as a whole, and its four parts. */
export const GROUPS: ReadonlyMap<string, readonly string[]> = new Map(
  ['mmlu', 'mmlu_stem', 'mmlu_other', 'mmlu_social_sciences', 'mmlu_humanities'].map((group) => [
    group,
    MMLU.filter(({ part }) => group === 'mmlu' || group === `mmlu_${part}`).map(({ name }) => name),
  ]),
);

/** The sets that a name stands for; undefined where it is none of theirs. */
export function descriptionsOf(name: string): Description[] | undefined {
  const names = GROUPS.get(name) ?? (byName.has(name) ? [name] : undefined);
  return names?.map((each) => byName.get(each)!);
}

/** Whether a name is one of a public task. */
export function isPublic(name: string): boolean {
  return GROUPS.has(name) || byName.has(name);
}

/** The names of all sets and groups. */
export function publicNames(): string[] {
  return [...byName.keys(), ...GROUPS.keys()];
}

/** Names with a line for people, groups in place of what belongs to them. */
export function publicTasks(): { name: string; about: string }[] {
  const grouped = new Set(GROUPS.get('mmlu'));
  const parts = [...GROUPS.keys()].slice(1);
  return [
    ...SETS.filter(({ name }) => !grouped.has(name)),
    { name: 'mmlu', about: `questions of 57 subjects, one of four by its letter; also ${parts.join(', ')}` },
    { name: 'mmlu_SUBJECT', about: 'one of the subjects, such as mmlu_anatomy' },
  ];
}
