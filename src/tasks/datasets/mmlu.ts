import type { Description } from './description.ts';
import { indexIn, type Row, textIn, textsIn } from './fields.ts';

/** MMLU (Hendrycks et al. 2021): a set for each subject, judged by the letters. */

const PARTS = {
  stem: `abstract_algebra anatomy astronomy college_biology college_chemistry college_computer_science
    college_mathematics college_physics computer_security conceptual_physics electrical_engineering
    elementary_mathematics high_school_biology high_school_chemistry high_school_computer_science
    high_school_mathematics high_school_physics high_school_statistics machine_learning`,
  other: `business_ethics clinical_knowledge college_medicine global_facts human_aging management marketing
    medical_genetics miscellaneous nutrition professional_accounting professional_medicine virology`,
  social_sciences: `econometrics high_school_geography high_school_government_and_politics
    high_school_macroeconomics high_school_microeconomics high_school_psychology human_sexuality
    professional_psychology public_relations security_studies sociology us_foreign_policy`,
  humanities: `formal_logic high_school_european_history high_school_us_history high_school_world_history
    international_law jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory
    professional_law world_religions`,
};

const LETTERS = ['A', 'B', 'C', 'D'];

/** The answer of the Hub's files is an index, that of the original ones a letter. */
function goldOf(row: Row): number {
  const letter = LETTERS.indexOf(String(row.answer));
  return letter >= 0 ? letter : indexIn(row, 'answer', LETTERS.length);
}

/** Choices are a list, or stand in fields of their own where the file is a table. */
function choicesOf(row: Row): string[] {
  return 'choices' in row ? textsIn(row, 'choices') : LETTERS.map((_, i) => textIn(row, `choice${i}`));
}

export const MMLU: readonly (Description & { part: string })[] = Object.entries(PARTS).flatMap(
  ([part, subjects]) =>
    subjects.split(/\s+/).map((subject) => ({
      ...{ name: `mmlu_${subject}`, part, alsoNamed: [subject], config: subject },
      about: `MMLU on ${subject.replaceAll('_', ' ')}`,
      ...{ kind: 'choice' as const, version: 1, repo: 'cais/mmlu' },
      columns: ['question', ...LETTERS.map((_, i) => `choice${i}`), 'answer'],
      ...{ split: 'test' as const, shotSplit: 'dev' as const, firstShots: true },
      preamble: `The following are multiple choice questions (with answers) about ${subject.replaceAll('_', ' ')}.\n\n`,
      document(row: Row) {
        const options = choicesOf(row).map((choice, i) => `${LETTERS[i]}. ${choice}`);
        const text = `${textIn(row, 'question').trim()}\n${options.join('\n')}\nAnswer:`;
        return { text, choices: LETTERS, gold: goldOf(row) };
      },
    })),
);
