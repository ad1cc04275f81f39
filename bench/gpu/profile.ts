import { Engine } from '../../src/runtime/engine.ts';
import type { Sequence } from '../../src/runtime/sequence.ts';
import { DrawnTensors, dtypeOf, shapesOf } from './decoding.ts';
import { kernelTimes } from './kernel-times.ts';
import type { Section } from './section.ts';

/** What a step takes on the device, kernel by kernel. */
export const profile: Section = {
  title: 'Where a step goes: time on the device by kernel (measuring adds some microseconds to each)',
  options: {
    batch: 8,
    context: 65536,
    bits: 16,
    steps: 4,
    shapes: 0,
    most: 14,
    models: 2,
    first: 0,
    tiny: 0,
  },
  columns: ['kernel', 'runs in a step', 'ms a step'],
  async *rows(options) {
    const {
      batch: size,
      context,
      bits,
      steps,
      shapes,
      most,
      models,
      first,
    } = options as Record<string, number> & {
      [K in keyof typeof profile.options]: number;
    };
    for (const [name, config] of Object.entries(shapesOf(options)).slice(first!, first! + models!)) {
      const dtype = dtypeOf(bits!);
      const times = await kernelTimes(
        async (profile) => {
          const source = new DrawnTensors(config);
          await using engine = await Engine.create(config, source, { device: 'webgpu', dtype, profile });
          const sequences: Sequence[] = await engine.drawn(size!, context!);
          const batch = engine.batch();
          for (const sequence of sequences) batch.add(sequence);
          const ids = new Map(sequences.map((sequence) => [sequence, 1]));
          for (let i = 0; i < steps!; i++) await batch.greedyStep(ids);
          for (const sequence of sequences) sequence.dispose();
        },
        { shapes: shapes! > 0 },
      );
      const label = `${name}, ${dtype}, ${size} x ${context} tokens`;
      const all = [...times].sort(([, a], [, b]) => b.ms - a.ms);
      const row = (what: string, list: typeof all) => {
        const mean = (key: 'ms' | 'runs') => list.reduce((sum, [, each]) => sum + each[key], 0) / steps!;
        return [label, what, mean('runs').toFixed(1), mean('ms').toFixed(3)] as const;
      };
      yield row('all', all);
      for (const each of all.slice(0, most)) yield row(each[0], [each]);
      yield row('the others', all.slice(most));
    }
  },
};
