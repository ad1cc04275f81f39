import type { Spread } from '../util/statistics.ts';
import type { Measure } from './measure.ts';
import type { Cell } from './table.ts';

/** Cells of values over seeds: the mean for programs, its spread for people. */

export function spreadCell(measure: Measure, spread: Spread | undefined): Cell {
  return spread && { value: spread.mean, show: measure.digitsOf(spread) };
}

export function changeCell(measure: Measure, spread: Spread | undefined): Cell {
  return spread && { value: spread.mean, show: measure.changeDigitsOf(spread) };
}

export function numberCell(value: number, show: (value: number) => string = String): Cell {
  return { value, show: show(value) };
}
