import type { OtherKv, Peer, Task } from './contender.ts';
import { type Block, entryOf, figureOf, ratioOf } from './results.ts';
import type { ModelName } from './shapes.ts';

/** The results as Markdown: rates, ratios against the targets, and how every figure came about. */

const MODEL_TITLES: Record<ModelName, string> = {
  full: 'full attention',
  hybrid: 'Gated DeltaNet hybrid',
  jet: 'JetBlock hybrid',
  heads: 'windows but for some KV heads',
};
const PEER_TITLES: Record<Peer, string> = {
  postnas: 'postnas',
  llama: 'node-llama-cpp',
  transformers: 'transformers.js',
};

type Side = readonly [Peer, ModelName, OtherKv?];

/** A ratio that matters, and what it should be at least; undefined where nothing is asked. */
interface Ratio {
  over: Side;
  under: Side;
  target(task: Task, shape: string): number | undefined;
}

const decodeAt = (task: Task) => (task.kind === 'decode' ? task.context : 0);

const OF_DEFAULTS: readonly Ratio[] = [
  {
    over: ['postnas', 'hybrid'],
    under: ['llama', 'full'],
    target: (task, shape) => (decodeAt(task) >= 65_536 && shape.includes('135M') ? 15 : undefined),
  },
  {
    over: ['postnas', 'hybrid'],
    under: ['llama', 'hybrid'],
    target: (task) => {
      if (task.kind === 'prefill') return 1.5;
      return task.context >= 65_536 ? 1.7 : task.context >= 16_384 ? 1.2 : 0.9;
    },
  },
  {
    over: ['postnas', 'full'],
    under: ['llama', 'full'],
    target: (task) => (decodeAt(task) >= 16_384 ? 2 : undefined),
  },
  {
    over: ['postnas', 'full'],
    under: ['transformers', 'full'],
    target: (task) => (decodeAt(task) >= 65_536 ? 8 : 1.3),
  },
  {
    over: ['postnas', 'hybrid'],
    under: ['transformers', 'hybrid'],
    target: (task) => (decodeAt(task) >= 65_536 ? 8 : 1.3),
  },
  {
    over: ['postnas', 'jet'],
    under: ['postnas', 'hybrid'],
    target: (task) => (task.kind === 'decode' ? 0.9 : undefined),
  },
  {
    over: ['postnas', 'heads'],
    under: ['postnas', 'full'],
    target: (task) => (task.kind === 'decode' ? 1 : task.context >= 4096 ? 1.3 : undefined),
  },
  {
    over: ['postnas', 'heads'],
    under: ['postnas', 'hybrid'],
    target: (task) => (decodeAt(task) >= 16_384 ? 1.2 : undefined),
  },
  {
    over: ['postnas', 'heads'],
    under: ['llama', 'hybrid'],
    target: (task) => (decodeAt(task) >= 16_384 ? 2 : undefined),
  },
  {
    over: ['postnas', 'heads'],
    under: ['llama', 'full'],
    target: (task) => (decodeAt(task) >= 65_536 ? 25 : undefined),
  },
];

/** The same of exact caches, and of llama.cpp's with 8 bits, where they were measured. */
const RATIOS: readonly Ratio[] = [
  ...OF_DEFAULTS,
  ...OF_DEFAULTS.flatMap(({ over, under, target }): Ratio[] => {
    if (under[0] === 'postnas') return [];
    return [
      { over: [over[0], over[1], 'f32'], under, target },
      { over, under: [under[0], under[1], 'q8'], target: () => undefined },
    ];
  }),
];

export function reportMarkdown(blocks: readonly Block[]): string {
  const groups = new Map<string, Block[]>();
  for (const block of blocks) {
    const { shape, dtype } = block.entries[0]!.contender;
    const threads = `${block.threads} thread${block.threads > 1 ? 's' : ''}`;
    const key = `${shape}, ${dtype}, ${threads}, ${instructionsOf(block)}`;
    groups.set(key, [...(groups.get(key) ?? []), block]);
  }
  const sections = [...groups].flatMap(([title, group]) => [
    `## ${title}`,
    ratesTable(group),
    ratiosTable(group, 'tokensPerSecond'),
    ...(group.some(busy) ? [ratiosTable(group.filter(busy), 'tokensPerProcessorSecond')] : []),
  ]);
  return `${[INTRODUCTION, ...sections, '## How every figure came about', provenance(blocks), figuresTable(blocks)].join('\n\n')}\n`;
}

const INTRODUCTION = `# Beside node-llama-cpp and transformers.js

Written by \`npm run bench -- peers\`; the numbers behind it are in \`bench-peers.json\`. Random weights of the real shapes;
hybrids keep two layers of full attention, and models of windows (128 tokens and the first 4) as many KV heads that see
everything. Unless a title says otherwise, keys and values are as each keeps them by itself:
postnas those of full blocks of 4,096 tokens in 8 bits and later ones as float32, llama.cpp all as float16, transformers.js as
float32. Each figure is a median over rounds; in a round the contenders take turns, each in
a process of its own. A ratio is the median of the ratios round by round, so that what else the machine does falls on both
sides; it is bold where the target is missed. Where other processes used more than a tenth of the machine (last table), rates
by the clock are for orientation, and there are ratios of tokens per second of processor time beside: threads that wait by
spinning count in those, so that they say most with one thread.`;

function instructionsOf({ instructions = 'instruction sets not recorded' }: Block): string {
  return instructions;
}

/** Whether other processes used so much of the machine that the clock says little. */
function busy({ entries }: Block): boolean {
  return entries.some((entry) => (figureOf(entry)?.others ?? 0) > 0.1);
}

function ratesTable(blocks: readonly Block[]): string {
  const sides = uniqueSides(blocks);
  return markdownTable(
    ['tokens per second', ...sides.map(sideTitle)],
    blocks.map((block) => [
      taskTitle(block.task),
      ...sides.map((side) => {
        const entry = entryOf(block, ...side);
        const figure = entry && figureOf(entry);
        if (figure) return rate(figure.tokensPerSecond);
        return entry?.failure?.startsWith('left out') ? 'left out' : entry ? 'failed' : '';
      }),
    ]),
  );
}

function ratiosTable(blocks: readonly Block[], by: 'tokensPerSecond' | 'tokensPerProcessorSecond'): string {
  const ratios = RATIOS.filter(({ over, under }) =>
    blocks.some((block) => ratioOf(entryOf(block, ...over), entryOf(block, ...under), by) !== undefined),
  );
  if (ratios.length === 0) return 'No two contenders to compare.';
  return markdownTable(
    [
      `${by === 'tokensPerSecond' ? 'ratio' : 'ratio by processor time'} (target)`,
      ...ratios.map(({ over, under }) => `${sideTitle(over)} / ${sideTitle(under)}`),
    ],
    blocks.map((block) => [
      taskTitle(block.task),
      ...ratios.map(({ over, under, target }) => {
        const ratio = ratioOf(entryOf(block, ...over), entryOf(block, ...under), by);
        if (ratio === undefined) return '';
        const wanted = target(block.task, block.entries[0]!.contender.shape);
        if (wanted === undefined) return ratio.toFixed(2);
        return `${ratio < wanted ? `**${ratio.toFixed(2)}**` : ratio.toFixed(2)} (${wanted})`;
      }),
    ]),
  );
}

/** Blocks that share command, versions and machine are named together. */
function provenance(blocks: readonly Block[]): string {
  const runs = new Map<string, string>();
  for (const block of blocks) {
    const { date, command, versions } = block;
    const machine = `${block.machine}; ${instructionsOf(block)}`;
    const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
    runs.set(`${command}${machine}`, `- ${date}: \`${command}\`; ${machine}; ${packages.join(', ')}`);
  }
  return [...runs.values()].join('\n');
}

function figuresTable(blocks: readonly Block[]): string {
  const rows = blocks.flatMap((block) =>
    block.entries.map((entry) => {
      const { shape, dtype, peer, model, kv } = entry.contender;
      const figure = figureOf(entry);
      const head = [shape, dtype, instructionsOf(block), taskTitle(block.task), sideTitle([peer, model, kv])];
      if (!figure) return [...head, '', '', '', '', '', entry.failure ?? 'failed'];
      return [
        ...head,
        rate(figure.tokensPerSecond),
        `${rate(figure.lowest)} to ${rate(figure.highest)} (${figure.rounds})`,
        rate(figure.tokensPerProcessorSecond),
        `${(100 * figure.others).toFixed(0)} %`,
        `${(figure.peakBytes / 2 ** 20).toFixed(0)} MiB`,
        figure.setUp,
      ];
    }),
  );
  return markdownTable(
    [
      'shape',
      'weights',
      'processor',
      'task',
      'contender',
      'tok/s',
      'range (rounds)',
      'per processor second',
      'others used',
      'peak RSS',
      'set up',
    ],
    rows,
  );
}

function uniqueSides(blocks: readonly Block[]): Side[] {
  const sides = new Map<string, Side>();
  for (const { contender } of blocks.flatMap(({ entries }) => entries)) {
    const { peer, model, kv } = contender;
    sides.set(`${peer} ${model} ${kv}`, [peer, model, kv]);
  }
  return [...sides.values()];
}

function sideTitle([peer, model, kv]: Side): string {
  return `${PEER_TITLES[peer]}, ${MODEL_TITLES[model]}${kvTitle(kv)}`;
}

export function kvTitle(kv?: OtherKv): string {
  return kv === undefined ? '' : kv === 'q8' ? ', 8-bit cache' : ', exact cache';
}

export function taskTitle({ kind, context }: Task): string {
  return `${kind} ${kind === 'decode' ? 'at ' : ''}${context.toLocaleString('en-US')}`;
}

function rate(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '/')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
