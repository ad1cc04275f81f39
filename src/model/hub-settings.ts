/**
 * Where the Hub is, and its cache, by the environment variables of huggingface_hub (its constants.py):
 * https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables. Read when they are needed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { InputError } from '../util/errors.ts';

/** The folder of the repositories. */
export function cacheFolder(): string {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE } = process.env;
  return expanded(HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(hubHome(), 'hub'));
}

/** Whether nothing may be asked of the Hub, and by which variable. */
export function offlineBy(): 'HF_HUB_OFFLINE' | 'TRANSFORMERS_OFFLINE' | null {
  // The first that is set counts, whatever it says.
  const name = process.env.HF_HUB_OFFLINE ? 'HF_HUB_OFFLINE' : 'TRANSFORMERS_OFFLINE';
  return isTrue(process.env[name]) ? name : null;
}

/** Its address without a slash at the end. */
export function endpoint(): string {
  return (process.env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '');
}

/** HF_TOKEN, its older name, or the file that `hf auth login` writes. */
export function accessToken(): string | undefined {
  const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH, HF_HUB_DISABLE_IMPLICIT_TOKEN } = process.env;
  if (isTrue(HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
  const given = cleaned(HF_TOKEN || HUGGING_FACE_HUB_TOKEN || '');
  if (given) return given;
  const path = expanded(HF_TOKEN_PATH || join(hubHome(), 'token'));
  if (!existsSync(path)) return undefined;
  try {
    return cleaned(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new InputError(`cannot read the Hub's token from ${path}: ${(error as Error).message}`);
  }
}

function hubHome(): string {
  const { HF_HOME, XDG_CACHE_HOME } = process.env;
  return expanded(HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface'));
}

/** With `~` and `$NAME` or `${NAME}` as a shell has them; a name that is not set stays as it is. */
function expanded(path: string): string {
  const home = path === '~' || /^~[/\\]/.test(path) ? join(homedir(), path.slice(1)) : path;
  return home.replace(
    /\$(?:(\w+)|\{([^}]+)\})/g,
    (all, plain, braced) => process.env[plain ?? braced] ?? all,
  );
}

function isTrue(value: string | undefined): boolean {
  return ['1', 'ON', 'YES', 'TRUE'].includes((value ?? '').toUpperCase());
}

function cleaned(token: string): string | undefined {
  return token.replace(/[\r\n]/g, '').trim() || undefined;
}
