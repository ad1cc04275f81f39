import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ENGINE_VERSION } from '../../src/graph/index.ts';
import { findAdapter } from './adapter.ts';
import { decoding } from './decoding.ts';
import { kernels } from './kernels.ts';
import { profile } from './profile.ts';
import type { Section } from './section.ts';
import { training } from './training.ts';

/**
 * What a GPU makes of it, as tables with the adapter's name. A section is a file beside this one.
 *
 *   npm run bench -- gpu [SECTION...] [--out FILE] [--allow-software] [options of the sections]
 *
 * On a machine with nothing but a GPU driver: bench/gpu/bundle.sh packs all that is needed.
 */
const SECTIONS: Record<string, Section> = { kernels, profile, decoding, training };

export async function main(args: string[]): Promise<void> {
  const numbers = Object.assign({ product: 4096 }, ...Object.values(SECTIONS).map(({ options }) => options));
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      'allow-software': { type: 'boolean', default: false },
      ...Object.fromEntries(Object.keys(numbers).map((name) => [name, { type: 'string' as const }])),
    },
  });
  const given = values as Record<string, string | boolean | undefined>;
  const number = (name: string, otherwise: number) => Number(given[name] ?? otherwise);
  const names = positionals.length > 0 ? positionals : Object.keys(SECTIONS);
  const unknown = names.find((name) => !SECTIONS[name]);
  if (unknown) throw new Error(`no section ${unknown}; there are ${Object.keys(SECTIONS).join(', ')}`);

  const adapter = await findAdapter(number('product', numbers.product));
  const lines: string[] = [];
  const say = (...more: string[]) => {
    lines.push(...more);
    console.log(more.join('\n'));
    if (typeof given.out === 'string') writeFileSync(given.out, `${lines.join('\n')}\n`);
  };
  say(
    `Adapter: ${adapter.name}${adapter.software ? ' (software: for correctness only)' : ''}`,
    `ONNX Runtime ${ENGINE_VERSION}, Node.js ${process.version}; product of two float32 matrices of width ` +
      `${adapter.width}: ${adapter.gflops.toFixed(0)} GFLOP/s`,
  );
  if (adapter.software && !given['allow-software']) {
    throw new Error(
      `${adapter.name} is a software adapter: nothing measured on it says anything of a GPU. ` +
        'Where there is a GPU, its Vulkan driver is missing; --allow-software runs it all the same',
    );
  }
  for (const name of names) {
    const { title, options, columns, rows } = SECTIONS[name]!;
    say('', `${title}:`, '', `| | ${columns.join(' | ')} |`, `|${'---|'.repeat(columns.length + 1)}`);
    const own = Object.fromEntries(Object.entries(options).map(([key, value]) => [key, number(key, value)]));
    for await (const row of rows(own, adapter)) say(`| ${row.join(' | ')} |`);
  }
}
