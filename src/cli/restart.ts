import { lstatSync, readdirSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { TOKENIZER_FILES } from '../model/model-files.ts';
import type { Recipe } from '../search/recipe.ts';
import { STAGES, type StageName, stagesOf } from '../search/run/stage.ts';
import { InputError } from '../util/errors.ts';
import { checkFree } from '../util/folder-lock.ts';
import { readable } from './numbers.ts';

/** What commands write into their folders: one of another command is refused, and an earlier run removed, nothing else. */

/** The files that a command writes, as patterns of paths below its folder with `/` between. */
export type Leftovers = readonly RegExp[];

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const MODEL_FILES = [
  ...['config.json', 'generation_config.json', ...TOKENIZER_FILES].map(escaped),
  'model(-\\d{5}-of-\\d{5})?\\.safetensors(\\.index\\.json)?',
].join('|');

/** A file, what an interrupted writer left beside it, and what was laid aside. */
const file = (path: string) => new RegExp(`^${path}(\\.\\d+\\.tmp|\\.damaged)?$`);

/** What says that a process is at work in a folder, or was when it was killed. */
const LOCK = /(^|\/)postnas\.lock(\.\d+\.tmp|\.taken-over)?$/;

/** The state, the best weights and the log of a training, in a folder, and its lock. */
const training = (folder: string) =>
  file(`${folder}(state[^/]*|best\\.safetensors|log\\.jsonl|postnas\\.lock)`);
const model = (folder: string) => file(`${folder}(\\.saving/)?(${MODEL_FILES})`);

/** What every run of a recipe has at the top; a run of one stage has this one's files there, too. */
const RESULT = [file('(recipe|result|stage)\\.json'), file('report\\.html'), file('postnas\\.lock')];

const SEARCH = (at = ''): Leftovers => [
  training(`${at}seed-\\d+/(align|supernet|finish)/`),
  file(`${at}seed-\\d+/(found|judged|unseen)\\.json`),
  model(`${at}seed-\\d+/hybrid/`),
  file(`${at}result\\.json`),
];

const COMPARISON = (at = ''): Leftovers => [
  training(`${at}seed-\\d+/[^/]+/(align|train)/`),
  file(`${at}seed-\\d+/[^/]+/(trial|judged)\\.json`),
  file(`${at}(parent|decode|train|choice|result)\\.json`),
  model(`${at}hybrid/`),
];

const DISTILLATION = (at = ''): Leftovers => [
  training(`${at}(features|logits|all)/`),
  file(`${at}(found|judged-[a-z]+)\\.json`),
  model(`${at}hybrid/`),
];

const FINAL_TOP = (at = ''): Leftovers => [file(`${at}(parent|cost)\\.json`)];

const FINAL = (at = ''): Leftovers => [
  ...FINAL_TOP(at),
  model(`${at}seed-\\d+/student/`),
  ...DISTILLATION(`${at}seed-\\d+/`),
];

const STAGE: Record<StageName, Leftovers> = {
  placement: SEARCH('placement/'),
  blocks: COMPARISON('blocks/'),
  design: COMPARISON('design/'),
  dimensions: COMPARISON('dimensions/'),
  throughput: [file('throughput/found\\.json')],
  windows: [file('windows/seed-\\d+/(found|judged)\\.json')],
  final: FINAL('final/'),
  mlps: [file('mlps/seed-\\d+/(found|frozen|trained)\\.json'), training('mlps/seed-\\d+/supernet/')],
};

/** The files of some stages of a run, and those of the whole, which tell of them. */
export function leftoversOfStages(stages: readonly StageName[]): Leftovers {
  const own = stages.flatMap((name) => [file(`${name}/(stage\\.json|postnas\\.lock)`), ...STAGE[name]]);
  return [...own, ...RESULT];
}

/** By command. */
export const LEFTOVERS = {
  search: [...SEARCH(), ...RESULT],
  comparison: [...COMPARISON(), ...RESULT],
  run: leftoversOfStages(STAGES),
  distill: [...FINAL_TOP(), ...DISTILLATION(), ...RESULT],
  pretrain: [training(''), model('model/')],
} satisfies Record<string, Leftovers>;

/** What a run of a recipe leaves: one of a single stage is that of this stage's command. */
export function leftoversOf(recipe: Recipe): Leftovers {
  const [stage, ...others] = stagesOf(recipe);
  if (others.length > 0) return LEFTOVERS.run;
  if (stage === 'placement') return LEFTOVERS.search;
  if (stage !== 'final') return LEFTOVERS.comparison;
  return recipe.seeds.length === 1 ? LEFTOVERS.distill : [...FINAL(), ...RESULT];
}

/** What only a command of ours has left: a model or a train.json may be anyone's. */
const SIGN =
  /^state\.safetensors$|\/(state\.safetensors|log\.jsonl|(stage|found|judged|unseen|trial)\.json)$/;

/** The folders right below that of a command with such files: no others are looked through. */
const STAGE_FOLDER =
  /^(seed-\d+|placement|blocks|design|dimensions|throughput|windows|mlps|final|features|logits|all)$/;

/**
 * @param leftovers what the command that is about to write there leaves
 * @throws InputError when another command has written into the folder
 */
export function checkOwn(folder: string, leftovers: Leftovers): void {
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  const others = Object.values(LEFTOVERS).filter((each) => each !== leftovers);
  const matches = (patterns: Leftovers, path: string) => patterns.some((pattern) => pattern.test(path));
  const foreign = readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      if (!entry.isDirectory()) return [join(folder, entry.name)];
      return STAGE_FOLDER.test(entry.name) ? filesBelow(join(folder, entry.name)) : [];
    })
    .map((path) => below(folder, path))
    .find(
      (path) =>
        SIGN.test(path) && !matches(leftovers, path) && others.some((patterns) => matches(patterns, path)),
    );
  if (foreign) {
    throw new InputError(`${folder} holds a run of another command (${foreign}); give another --out`);
  }
}

/**
 * Removes them, and folders that are empty then, and says so.
 *
 * @param say is told what was removed and what was kept
 * @throws InputError when a process is at work in one of the folders, with nothing removed
 */
export function removeRun(folder: string, leftovers: Leftovers, say: (line: string) => void): void {
  if (!statSync(folder, { throwIfNoEntry: false })) return;
  const files = filesBelow(folder);
  for (const path of files) if (LOCK.test(below(folder, path))) checkFree(dirname(path));
  const isOurs = (path: string) => leftovers.some((pattern) => pattern.test(below(folder, path)));
  const ours = files.filter(isOurs);
  const bytes = ours.reduce((sum, path) => sum + lstatSync(path).size, 0);
  for (const path of ours) rmSync(path);
  for (const path of ours) removeEmpty(dirname(path), folder);
  const kept = files.length - ours.length;
  say(
    `${folder}: removed the ${ours.length} files of the earlier run (${readable(bytes)})` +
      (kept > 0 ? `; kept ${kept} that postnas did not write` : ''),
  );
}

/** A path as the patterns have it. */
const below = (folder: string, path: string) => relative(folder, path).split(sep).join('/');

/** Links are files here: what they lead to is no part of the folder. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

/** Removes a folder that is empty, and those above it, up to `top`. */
function removeEmpty(folder: string, top: string): void {
  for (let at = folder; at !== top && at.startsWith(top); at = dirname(at)) {
    try {
      rmdirSync(at);
    } catch {
      // Something is left in it, or it was removed before.
      if (statSync(at, { throwIfNoEntry: false })) return;
    }
  }
}
