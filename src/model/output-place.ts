/** Where a command may write: never over what it reads, and over another model only when told. */
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { InputError } from '../util/errors.ts';

/** What writers leave in a folder while they work. */
const STAGING = ['.saving', '.exporting'];

export interface Claim {
  /** Files and folders that are read. */
  inputs: readonly string[];
  /** What is in the folder may go. */
  overwrite?: boolean;
}

/**
 * @throws InputError for a folder that is, or holds, one of the inputs, and for one with something in it unless it may go
 */
export function claimFolder(folder: string, { inputs, overwrite = false }: Claim): void {
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory()) throw new InputError(`${folder} is no folder`);
  refuseInputs(folder, inputs);
  const found = readdirSync(folder).filter((name) => !STAGING.includes(name));
  if (found.length > 0 && !overwrite) {
    throw new InputError(`${folder} has ${found[0]} in it: choose another folder, or --overwrite`);
  }
}

/** @throws InputError for a folder that is, or holds, one of the inputs */
export function refuseInputs(folder: string, inputs: readonly string[]): void {
  for (const input of inputs) {
    if (!contains(folder, input)) continue;
    const what = real(folder) === real(input) ? 'is what is read' : `holds ${input}, which is read`;
    throw new InputError(`${folder} ${what}: choose another folder`);
  }
}

/** @throws InputError for a file of the model that is read, and for one that is there unless it may go */
export function claimFile(path: string, { inputs, overwrite = false }: Claim): void {
  if (!existsSync(path)) return;
  if (statSync(path).isDirectory()) throw new InputError(`${path} is a folder, expected a file`);
  const files = inputs.flatMap((input) =>
    statSync(input).isDirectory() ? readdirSync(input).map((name) => join(input, name)) : [input],
  );
  // Another export may lie in the model's folder; what the model consists of may not be written over.
  if (!path.endsWith('.gguf') && files.some((file) => real(file) === real(path))) {
    throw new InputError(`${path} belongs to the model that is read: choose another name`);
  }
  if (!overwrite) throw new InputError(`${path} is there already: choose another name, or --overwrite`);
}

/** Whether a path is the folder or lies within, links followed. */
function contains(folder: string, path: string): boolean {
  const way = relative(real(folder), real(path));
  return (
    way === '' || !(way === '..' || way.startsWith('../') || way.startsWith('..\\') || resolve(way) === way)
  );
}

/** The place that a path leads to, as far as it is there. */
function real(path: string): string {
  const full = resolve(path);
  if (existsSync(full)) return realpathSync(full);
  const above = dirname(full);
  return above === full ? full : join(real(above), relative(above, full));
}
