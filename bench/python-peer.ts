import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** PyTorch as a peer: in a virtual environment outside the checkout, installed when first asked for. Several GB. */

export const DEFAULT_VENV = join(process.env.HOME ?? '/tmp', 'postnas-venv');

/** The Python of an environment that has PyTorch. */
export async function pythonWithTorch(venv: string): Promise<string> {
  const python = join(venv, 'bin', 'python');
  if (!existsSync(python)) {
    console.log(`installing PyTorch into ${venv} (several GB)`);
    await execute('python3', ['-m', 'venv', venv]);
    await execute(join(venv, 'bin', 'pip'), ['install', '--quiet', 'torch==2.15.0', 'numpy==2.4.6']);
  }
  return python;
}

/** What a command prints. */
export function execute(command: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${command} ${args.join(' ')} ended with ${code}`)),
    );
  });
}
