import { sizedPart } from '../mixers/sized-part.ts';
import type { BlockFindings, BlocksResult, BlocksStage } from '../search/stages/blocks/result.ts';
import { median, type Spread, spreadOf } from '../util/statistics.ts';
import { type Measure, overallMeasure, taskMeasures } from './measure.ts';
import { traitsOf } from './mixers.ts';
import { pairedSpread } from './paired.ts';
import { designName } from './run/design-name.ts';

/** A comparison of blocks (stages 2 to 4) turned towards its reader. */
export interface Comparison {
  stage: BlocksStage;
  result: BlocksResult;
  seeds: readonly number[];
  /** What candidates are chosen by. */
  overall: Measure;
  tasks: readonly Measure[];
  /** The mean, unless it is that of a single task, and every task. */
  measures: readonly Measure[];
  /** As they were given: the parent's or the released ones first. */
  candidates: readonly CandidateFindings[];
  /** The best mean first. */
  ranked: readonly CandidateFindings[];
  taken: CandidateFindings;
}

export interface CandidateFindings {
  found: BlockFindings;
  /** 'Gated DeltaNet', 'vConv-static', '4×32×32' */
  label: string;
  taken: boolean;
  /** Of the middle round, in tokens per second. */
  decode: number;
  /** Tokens per second, mean over seeds. */
  train: number;
}

export function comparisonOf(stage: BlocksStage, result: BlocksResult): Comparison {
  const overall = overallMeasure(result);
  const tasks = taskMeasures(result);
  const candidates = result.candidates.map((found) => candidateOf(found, stage, result));
  const gain = (candidate: CandidateFindings) =>
    overall.gain(spreadOfCandidate(overall, candidate)?.mean ?? Number.NaN, 0);
  return {
    stage,
    result,
    seeds: result.candidates[0]?.runs.map(({ seed }) => seed) ?? [],
    overall,
    tasks,
    measures: tasks.length > 1 ? [overall, ...tasks] : tasks,
    candidates,
    ranked: [...candidates].sort((a, b) => gain(b) - gain(a)),
    taken: candidates.find(({ taken }) => taken) ?? candidates[0]!,
  };
}

/** Over seeds; undefined where it was not measured. */
export function spreadOfCandidate(measure: Measure, { found }: CandidateFindings): Spread | undefined {
  return spreadOf(found.runs.flatMap(({ judged }) => measure.of(judged) ?? []));
}

/** value(candidate) - value(reference), seed by seed. */
export function changeOver(
  measure: Measure,
  candidate: CandidateFindings,
  reference: CandidateFindings,
): Spread | undefined {
  return pairedSpread(measure, candidate.found.runs, reference.found.runs);
}

/** Those that no other beats in speed and in score at once, slowest first. */
export function paretoFront({ candidates, overall }: Comparison): CandidateFindings[] {
  const score = (candidate: CandidateFindings) =>
    overall.gain(spreadOfCandidate(overall, candidate)?.mean ?? Number.NaN, 0);
  const beats = (a: CandidateFindings, b: CandidateFindings) =>
    a.decode >= b.decode && score(a) >= score(b) && (a.decode > b.decode || score(a) > score(b));
  return candidates
    .filter((each) => !candidates.some((other) => beats(other, each)))
    .sort((a, b) => a.decode - b.decode);
}

function candidateOf(found: BlockFindings, stage: BlocksStage, { choice }: BlocksResult): CandidateFindings {
  return {
    found,
    label: labelOf(found, stage),
    taken: found.name === choice.name,
    decode: median(found.decode),
    train: median(found.train),
  };
}

const VARIANTS: Record<string, string> = { rope: 'RoPE', qk_norm: 'QK norm' };

/** 'QK norm', 'window 128', '8 sinks'. */
function variantLabel(variant: string): string {
  const [, what, count] = /^(window|sinks)(\d+)$/.exec(variant) ?? [];
  if (what) return what === 'window' ? `window ${count}` : `${count} sinks`;
  return VARIANTS[variant] ?? variant;
}

function labelOf({ name, spec }: BlockFindings, stage: BlocksStage): string {
  if (stage === 'dimensions') return name.replaceAll('x', '×');
  if (stage === 'design') return designName(name);
  const { kind } = sizedPart(spec);
  const [first, ...variants] = name.split('+');
  if (first !== kind) return name;
  return [traitsOf(kind)?.name ?? kind, ...variants.map(variantLabel)].join(' + ');
}
