import { InputError } from '../util/errors.ts';
import type { OnProgress } from '../util/progress.ts';
import { blobFiles } from './blob-files.ts';
import { isRepo, type ModelFiles, type OpenOptions, PLACEMENTS, placementFile } from './model-files.ts';
import { fetchKept, fetchNewest } from './page-cache.ts';
import { INDEX, SINGLE, weightFiles } from './read-checkpoint.ts';

/** The files of a model of the Hub, or below an address, for `open-model.ts` in a browser. */

/** Those that are read beside the weights. */
const SMALL = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
];

/** @throws InputError when the source is neither, or cannot be had */
export async function openModel(source: string, options: OpenOptions = {}): Promise<ModelFiles> {
  if (/^(\.{0,2}\/|[a-z]+:)/i.test(source)) return fromAddress(source, options);
  if (isRepo(source)) return fromHub(source, options);
  throw new InputError(
    `${source} is neither the name of a model, as in org/model, nor an address that begins with https://, / or ./`,
  );
}

/** A server that tells nothing of its files: each is asked for. */
async function fromAddress(address: string, options: OpenOptions): Promise<ModelFiles> {
  const base = new URL(address.replace(/\/?$/, '/'), globalThis.location?.href).href;
  const load = (name: string) => fetchFile(`${base}${name}`, name, options);
  const blobs = new Map<string, Blob>();
  const add = async (names: readonly string[]) => {
    for (const name of names) {
      const blob = await load(name);
      if (blob) blobs.set(name, blob);
    }
  };
  await add(SMALL.slice(0, 1));
  if (!blobs.has('config.json')) throw new InputError(`${address} is no model folder: it has no config.json`);
  await add([...SMALL.slice(1), ...wantedPlacement(options), SINGLE]);
  if (!blobs.has(SINGLE)) {
    await add([INDEX]);
    if (blobs.has(INDEX)) await add(weightFiles(await blobFiles(address, blobs)));
  }
  return blobFiles(address, blobs);
}

interface Listing {
  sha: string;
  siblings: { rfilename: string }[];
}

/** Files of a commit never change, so those that are kept are not asked for. */
async function fromHub(repo: string, options: OpenOptions): Promise<ModelFiles> {
  const { revision = 'main', signal } = options;
  const hub = (options.hubUrl ?? 'https://huggingface.co').replace(/\/+$/, '');
  const listed = await fetchNewest(
    `${hub}/api/models/${repo}/revision/${encodeURIComponent(revision)}`,
    signal,
  );
  if (!listed.ok) {
    throw new InputError(
      `${hub} gives no ${repo} (${revision}): ${listed.status}. It does not exist, or is private or gated`,
    );
  }
  const { sha, siblings } = (await listed.json()) as Listing;
  const there = new Set(siblings?.map(({ rfilename }) => rfilename));
  const blobs = new Map<string, Blob>();
  const add = async (names: readonly string[]) => {
    for (const name of names) {
      if (!there.has(name)) continue;
      const blob = await fetchFile(`${hub}/${repo}/resolve/${sha}/${name}`, name, options, true);
      if (!blob) throw new InputError(`${repo}: ${name} is listed but not there`);
      blobs.set(name, blob);
    }
  };
  if (!there.has('config.json') || !(there.has(SINGLE) || there.has(INDEX))) {
    throw new InputError(`${repo} (${revision}) on ${hub} has no config.json with ${SINGLE}`);
  }
  const [placement] = wantedPlacement(options);
  if (placement !== undefined && !there.has(placement)) {
    const others = [...there].filter((name) => name.startsWith(`${PLACEMENTS}/`));
    throw new InputError(
      `${repo} has no ${placement}${others.length > 0 ? `; it has ${others.join(', ')}` : ''}`,
    );
  }
  await add([...SMALL, ...wantedPlacement(options), ...(there.has(SINGLE) ? [] : [INDEX])]);
  await add(weightFiles(await blobFiles(repo, blobs)));
  return blobFiles(repo, blobs);
}

function wantedPlacement({ placement }: OpenOptions): string[] {
  return placement === undefined ? [] : [placementFile(placement)];
}

/** A text by its address. */
export async function openText(address: string): Promise<string> {
  const url = new URL(address, globalThis.location?.href).href;
  const blob = await fetchKept(url);
  if (!blob) throw new InputError(`there is no ${url}`);
  return blob.text();
}

function fetchFile(
  url: string,
  name: string,
  { onProgress, signal }: { onProgress?: OnProgress; signal?: AbortSignal },
  immutable = false,
): Promise<Blob | null> {
  return fetchKept(url, {
    immutable,
    signal,
    onBytes: (done, total) =>
      onProgress?.({ stage: `download ${name}`, done, total: total ?? done, unit: 'bytes' }),
  });
}
