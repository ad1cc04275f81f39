import { z } from 'zod';
import { issuesError } from '../../util/schema.ts';
import { bounds } from '../bounds.ts';
import type { RunSettings } from './prepare.ts';

/** How and where a recipe is run, as programs give it: a misspelt setting would not be seen, a wrong one after hours. */

const schema = z.strictObject({
  out: z.string({ error: 'expected a folder' }).min(1, { error: 'expected a folder' }),
  threads: bounds.threads.optional(),
  device: z.enum(['cpu', 'webgpu']).optional(),
  command: z.string().optional(),
  onProgress: z.custom((value) => typeof value === 'function', 'expected a function').optional(),
  signal: z.custom((value) => value instanceof AbortSignal, 'expected an AbortSignal').optional(),
} satisfies Record<keyof RunSettings, z.ZodType>);

/** @throws InputError naming what is wrong or unknown */
export function checkRunSettings(settings: unknown): void {
  const { error } = schema.safeParse(settings);
  if (error) throw issuesError('these settings cannot be', error.issues, 'settings');
}
