import type { CompareResult } from '../../search/compare/result.ts';
import { writeFileAtomic } from '../../util/files.ts';

export function writeCompareReport(path: string, result: CompareResult): void {
  writeFileAtomic(path, JSON.stringify(result));
}
