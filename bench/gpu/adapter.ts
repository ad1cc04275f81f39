import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { input, matmul, memoryOf, zeros } from '../../src/graph/index.ts';

/** What the figures were measured on: a software driver taken for a GPU is the commonest wrong measurement. */
export interface Adapter {
  name: string;
  software: boolean;
  /** Of a product of two matrices of width `width`, float32, the best of many: what is to be had here. */
  gflops: number;
  width: number;
}

/** No GPU of the last ten years is slower, no software driver nearly as fast (3 to 5 on two cores). */
const SLOWEST_GPU = 100;

/** @throws GraphError where there is no adapter */
export async function findAdapter(width: number): Promise<Adapter> {
  const gflops = await productRate(width);
  // The driver is loaded by now.
  const drivers = loadedDrivers();
  const software = drivers.length > 0 && drivers.every((each) => /lvp|swiftshader/.test(each));
  return {
    name: software ? drivers.join(', ') : (nvidia() ?? (drivers.join(', ') || 'unknown')),
    software: software || gflops < SLOWEST_GPU,
    gflops,
    width,
  };
}

async function productRate(width: number): Promise<number> {
  const memory = memoryOf('webgpu');
  const [a, b] = [input('a', 'float32', [width, width]), input('b', 'float32', [width, width])];
  // Products of products: one run is long beside what starting it takes.
  const program = await memory.compile({ y: matmul(matmul(matmul(matmul(a, b), b), b), b) });
  const x = await memory.upload(zeros([width, width]));
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 8; i++) {
    const begun = performance.now();
    const { y } = await memory.run(program, { a: x, b: x });
    // Reading waits for what was asked for before.
    await memory.numbers([await memory.upload(zeros([]))]);
    best = Math.min(best, performance.now() - begun);
    memory.free(y);
  }
  memory.free(x);
  await memory.dispose();
  return (4 * 2 * width ** 3) / best / 1e6;
}

/** Vulkan drivers in this process, by the names of their libraries. */
function loadedDrivers(): string[] {
  if (process.platform !== 'linux') return [];
  const names = readFileSync('/proc/self/maps', 'utf8').match(
    /(libvulkan_\w+|libGLX_nvidia|libvk_swiftshader)\.so/g,
  );
  return [...new Set(names ?? [])];
}

function nvidia(): string | undefined {
  try {
    const columns = '--query-gpu=name,driver_version';
    return execFileSync('nvidia-smi', [columns, '--format=csv,noheader'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}
