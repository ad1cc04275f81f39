import type { Result } from '../../search/result.ts';
import type { FinalResult } from '../../search/stages/final/result.ts';
import { decidedSign, type Spread, spreadOf } from '../../util/statistics.ts';
import { keptShare, type Measure, meanOf, taskMeasures } from '../measure.ts';

/** The final model turned towards its reader. */
export interface FinalFindings {
  result: FinalResult;
  seeds: readonly number[];
  /** Whether its examples were drawn so that none is among those that choices were made on. */
  apart: boolean;
  /** The mean, where there are several tasks, then every task. */
  measures: readonly Measure[];
  tasks: readonly Measure[];
  /** Of the finished hybrids, accuracies only; undefined without any. */
  kept: Spread | undefined;
  /** Stages of distillation in order. */
  stages: readonly string[];
}

const STAGE_NAMES: Record<string, string> = {
  search: 'after the search',
  features: 'hidden states',
  logits: 'predictions',
  all: 'all weights',
};

/** What was learned in a stage of distillation, in words. */
export function stageName(stage: string): string {
  return STAGE_NAMES[stage] ?? stage;
}

export function finalFindings({ final, placement }: Result): FinalFindings | undefined {
  if (!final) return undefined;
  const tasks = taskMeasures(final);
  const mean = meanOf(tasks);
  return {
    result: final,
    seeds: final.runs.map(({ seed }) => seed),
    apart: !placement || placement.unseen !== undefined,
    tasks,
    measures: mean ? [mean, ...tasks] : tasks,
    kept: spreadOf(
      final.runs.flatMap(({ stages }) => keptShare(tasks, stages.at(-1)!.judged, final.base) ?? []),
    ),
    stages: [...new Set(final.runs.flatMap(({ stages }) => stages.map(({ name }) => name)))],
  };
}

/** value(after the stage) - value(base), over seeds. */
export function changeToBase({ result }: FinalFindings, measure: Measure, stage: string): Spread | undefined {
  const base = measure.of(result.base);
  if (base === undefined) return undefined;
  return spreadOf(valuesAfter(result, measure, stage).map(({ value }) => value - base));
}

/** Per seed. */
export function valuesAfter(
  { runs }: FinalResult,
  measure: Measure,
  stage: string,
): { seed: number; value: number }[] {
  return runs.flatMap(({ seed, stages }) => {
    const judged = stages.find(({ name }) => name === stage)?.judged;
    const value = judged && measure.of(judged);
    return value === undefined ? [] : [{ seed, value }];
  });
}

/** Accuracies that fall by no more have been kept; of losses so many hundredths of the base's. */
export const KEPT_POINTS = 3;

export function isKept(measure: Measure, change: Spread, base: number): boolean {
  return measure.gain(change.mean, 0) >= -allowed(measure, base);
}

/** Whether seeds decide that it is kept ('better' than the least that counts as kept). */
export function keptEvidence(
  measure: Measure,
  { values }: Spread,
  base: number,
): 'better' | 'worse' | 'undecided' {
  const sign = decidedSign(values.map((value) => measure.gain(value, 0) + allowed(measure, base)));
  return sign > 0 ? 'better' : sign < 0 ? 'worse' : 'undecided';
}

function allowed(measure: Measure, base: number): number {
  return (KEPT_POINTS / 100) * (measure.kind === 'accuracy' ? 1 : Math.abs(base));
}
