import type { OpCase } from '../op-case.ts';
import { constantCases } from './constant.ts';
import { convolutionCases, convolutionStepCases, reverseCases } from './convolution.ts';
import { elementwiseCases } from './elementwise.ts';
import { gateCases } from './gates.ts';
import { indexingCases } from './indexing.ts';
import { integerCases } from './integers.ts';
import { matmulCases } from './matmul.ts';
import { placesCases } from './places.ts';
import { recurrenceCases } from './recurrence.ts';
import { reduceCases } from './reduce.ts';
import { rotaryCases } from './rotary.ts';
import { scanCases } from './scan.ts';
import { shapeCases } from './shape.ts';
import { splitCases } from './split.ts';
import { triangularCases } from './triangular.ts';

/** The cases of every op. An op that is exported from src/graph/ops without one fails the suite. */
export const opCases: readonly OpCase[] = [
  ...constantCases,
  ...convolutionCases,
  ...convolutionStepCases,
  ...elementwiseCases,
  ...gateCases,
  ...indexingCases,
  ...integerCases,
  ...matmulCases,
  ...placesCases,
  ...recurrenceCases,
  ...reduceCases,
  ...reverseCases,
  ...rotaryCases,
  ...scanCases,
  ...shapeCases,
  ...splitCases,
  ...triangularCases,
];
