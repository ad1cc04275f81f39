import type { Result } from '../search/result.ts';
import type { StageName } from '../search/run/stage.ts';
import { InputError } from '../util/errors.ts';
import { type Comparison, comparisonOf } from './comparison.ts';
import { type Findings, findingsOf } from './findings.ts';
import { type FinalFindings, finalFindings } from './run/final-findings.ts';
import { STAGE_TITLES } from './run/stage-titles.ts';

/** The stages that a result has, turned towards its reader. */
export interface Stages {
  result: Result;
  search: Findings | undefined;
  blocks: Comparison | undefined;
  design: Comparison | undefined;
  dimensions: Comparison | undefined;
  final: FinalFindings | undefined;
  seeds: readonly number[];
  /** The only stage of its run, if it had but one. */
  alone: StageName | undefined;
}

/** @throws InputError for a result without any stage */
export function stagesOf(result: Result): Stages {
  const { model, placement, mlps, blocks, design, dimensions } = result;
  const [first, ...others] = Object.keys(STAGE_TITLES).filter(
    (name) => result[name as StageName] ?? (result.recipe as Record<string, unknown> | undefined)?.[name],
  ) as StageName[];
  if (!first) throw new InputError('result: expected at least one stage');
  const stages = {
    result,
    search: placement && findingsOf(placement, model, mlps),
    blocks: blocks && comparisonOf('blocks', blocks),
    design: design && comparisonOf('design', design),
    dimensions: dimensions && comparisonOf('dimensions', dimensions),
    final: finalFindings(result),
  };
  const { search, final } = stages;
  return {
    ...stages,
    seeds: (search ?? stages.blocks ?? stages.design ?? stages.dimensions ?? final)?.seeds ?? [],
    alone: others.length === 0 ? first : undefined,
  };
}
