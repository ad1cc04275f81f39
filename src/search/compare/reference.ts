import { existsSync } from 'node:fs';
import { SafetensorsFile, writeSafetensors } from '../../model/safetensors.ts';
import { hashOf, type Identity } from '../../util/store/identity.ts';
import type { Reference } from './text-measure.ts';

/** The parent's distributions in a file, for models that are compared after it has left the memory. */

const NAME = 'log_probabilities';

export function keepReference(path: string, identity: Identity, reference: Reference): void {
  const tensor = { name: NAME, dtype: 'F32' as const, shape: [reference.length], data: reference };
  writeSafetensors(path, [tensor], { identity: hashOf(identity) });
}

/** Undefined where there is none of this identity and length. */
export function recallReference(path: string, identity: Identity, length: number): Reference | undefined {
  if (!existsSync(path)) return undefined;
  const file = new SafetensorsFile(path);
  if (file.metadata.identity !== hashOf(identity) || !file.has(NAME)) return undefined;
  return file.info(NAME).shape[0] === length ? file.read(NAME) : undefined;
}
