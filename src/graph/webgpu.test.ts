import { expect, test } from 'vitest';
import { GraphError, input, mul, Program } from './index.ts';

test.skipIf(process.platform !== 'linux')(
  'without an adapter, device webgpu is refused naming what is missing, again and again; cpu goes on (needs Linux)',
  async () => {
    // A driver that is not there, in case this machine has others.
    process.env.VK_DRIVER_FILES = '/nonexistent/driver.json';
    const x = input('x', 'float32', [2]);
    for (let attempt = 0; attempt < 2; attempt++) {
      const refused = Program.compile({ y: mul(x, 2) }, { device: 'webgpu' });
      await expect(refused).rejects.toThrow(GraphError);
      await expect(refused).rejects.toThrow(/device webgpu: no adapter .*Vulkan is needed.*VK_DRIVER_FILES/);
    }
    await using program = await Program.compile({ y: mul(x, 2) });
    expect(program.inputNames).toEqual(['x']);
  },
);
