import { choosePlacement, keptOf } from '../../src/search/conversion/choose.ts';
import { type ConversionResult, conversionSchema } from '../../src/search/conversion/result.ts';
import { sampleComparison } from './sample-comparison.ts';
import { sampleReach } from './sample-reach.ts';

/** A conversion as its file holds it, of the sample of a search. */
export function sampleConversion(): ConversionResult {
  const reach = sampleReach();
  const { created, machine } = reach;
  return conversionSchema.parse({
    format: 'postnas-convert-1',
    command: 'postnas convert /models/parent',
    ...{ created, machine, name: '4K-2-heads', wanted: { context: 4096 }, reach, seconds: 200 },
    ...{ ...choosePlacement(reach, {}), kept: keptOf(reach) },
    comparison: sampleComparison({ change: 0.05, recall: { 512: 1, 1024: 1 }, bytes: 1e6 }, { change: 0.1 }),
  } satisfies ConversionResult);
}
