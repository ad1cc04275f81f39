import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The peers, in a folder of their own: half a gigabyte that only benchmarks and the tests of exports need. */
const PACKAGES = { 'node-llama-cpp': '~3.22.0', '@huggingface/transformers': '~4.3.0' };

/**
 * Of what their parts for other machines and GPUs would be the larger half, the ones that this machine needs; all
 * where these are not known.
 */
const PARTS: Record<string, Record<string, string>> = {
  'linux-x64': {
    '@node-llama-cpp/linux-x64': '~3.22.0',
    '@img/sharp-linux-x64': '~0.35.0',
    '@img/sharp-libvips-linux-x64': '^1.3.0',
  },
};

/** @returns the installed versions by name */
export function installPeers(folder: string): Record<string, string> {
  const parts = PARTS[`${process.platform}-${process.arch}`];
  const dependencies = { ...PACKAGES, ...parts };
  const manifest = `${JSON.stringify({ private: true, type: 'module', dependencies }, null, 2)}\n`;
  const path = join(folder, 'package.json');
  const current = existsSync(path) && readFileSync(path, 'utf8') === manifest;
  if (!current || Object.keys(PACKAGES).some((name) => !existsSync(manifestOf(folder, name)))) {
    console.log(`installing ${Object.keys(PACKAGES).join(' and ')} into ${folder}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path, manifest);
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund'];
    if (parts) args.push('--omit=optional');
    const { status } = spawnSync('npm', args, { cwd: folder, stdio: 'inherit' });
    if (status !== 0) throw new Error(`npm install in ${folder} ended with ${status}`);
  }
  return Object.fromEntries(
    ['onnxruntime-node', ...Object.keys(PACKAGES)].map((name) => [
      name,
      (JSON.parse(readFileSync(manifestOf(folder, name), 'utf8')) as { version: string }).version,
    ]),
  );
}

function manifestOf(folder: string, name: string): string {
  return join(folder, 'node_modules', name, 'package.json');
}
