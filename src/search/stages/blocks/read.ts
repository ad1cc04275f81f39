import type { JsonObject } from '../../../model/json-fields.ts';
import type { ResultReader } from '../../result-reader.ts';

const STAGES = ['blocks', 'design', 'dimensions'];

/**
 * Checks a `BlocksResult`.
 *
 * @param within where it stands in its file: '' for a file of its own, 'design.' in that of a run
 */
export function checkBlocks(read: ResultReader, json: JsonObject, within = ''): void {
  read.check(STAGES.includes(json.stage as string), json.stage, `${within}stage`, STAGES.join(' or '));
  const layers = read.model(json.model, `${within}model`);
  read.date(json.created, `${within}created`);
  if (json.command !== undefined) read.string(json.command, `${within}command`);
  read.placement(json.placement, `${within}placement`, layers);
  const tasks = read.objective(json.objective, `${within}objective`);
  read.judged(json.base, `${within}base`, layers, tasks);
  read.numbers(json, ['trainedTokens', 'seconds'], within);
  checkConditions(read, json.decode, `${within}decode`);
  const candidates = read.filled(json.candidates, `${within}candidates`).map((value, i) => {
    const at = `${within}candidates[${i}]`;
    const candidate = read.object(value, at);
    read.string(read.object(candidate.spec, `${at}.spec`).kind, `${at}.spec.kind`);
    read.numbers(candidate, ['parameters', 'stateBytes', 'stateSize'], `${at}.`);
    read.rates(candidate.decode, `${at}.decode`);
    read.rates(candidate.train, `${at}.train`);
    const seeds = read.filled(candidate.runs, `${at}.runs`).map((entry, j) => {
      const where = `${at}.runs[${j}]`;
      const run = read.object(entry, where);
      for (const [k, error] of read.list(run.alignment, `${where}.alignment`).entries()) {
        read.number(error, `${where}.alignment[${k}]`);
      }
      read.number(run.loss, `${where}.loss`);
      read.judged(run.judged, `${where}.judged`, layers, tasks);
      return read.whole(run.seed, `${where}.seed`, 0);
    });
    return { name: read.string(candidate.name, `${at}.name`), seeds };
  });
  // Candidates are compared seed by seed.
  const { seeds } = candidates[0]!;
  for (const [i, other] of candidates.entries()) {
    const same = other.seeds.length === seeds.length && other.seeds.every((seed) => seeds.includes(seed));
    read.check(same, other.seeds, `${within}candidates[${i}].runs`, `the seeds ${seeds.join(', ')}`);
  }
  const choice = read.object(json.choice, `${within}choice`);
  read.string(choice.rule, `${within}choice.rule`);
  const known = candidates.some(({ name }) => name === choice.name);
  read.check(known, choice.name, `${within}choice.name`, 'the name of a candidate');
}

export function checkConditions(read: ResultReader, value: unknown, at: string): void {
  const decode = read.object(value, at);
  read.string(decode.device, `${at}.device`);
  read.numbers(decode, ['threads', 'context', 'tokens'], `${at}.`);
}
