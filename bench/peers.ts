import { existsSync, readFileSync, rmSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BLOCK } from '../src/runtime/kv/blocks.ts';
import { writeFileAtomic } from '../src/util/files.ts';
import { type Contender, DTYPES, type Dtype, PEERS, type Peer, type Task } from './peers/contender.ts';
import { installPeers } from './peers/install.ts';
import { instructionSets } from './peers/instructions.ts';
import { kvTitle, reportMarkdown, taskTitle } from './peers/report.ts';
import { type Block, type Entry, withBlock } from './peers/results.ts';
import { MODELS, type ModelName, SHAPES } from './peers/shapes.ts';
import { takeTurn } from './peers/turns.ts';

/**
 * This engine beside the ones that people run from JavaScript, in turns. Everything that is measured on one shape at one
 * length is a block, whose contenders take turns round by round; blocks of earlier runs stay in the report until they are
 * measured again.
 */

const USAGE = `npm run bench -- peers [options]

  --shape NAME       SmolLM2-135M, Qwen2.5-0.5B (both)
  --dtype TYPE       q8, q4 (both)
  --peer NAME        postnas, llama, transformers (all)
  --model NAME       full, hybrid, jet, heads (all)
  --kv TYPE          own, other: keys and values as each keeps them by itself, or where it can otherwise: postnas
                     exactly (f32), llama.cpp in 8 bits (q8) (own)
  --context TOKENS   decode after so many (128, 4096, 16384, 65536); 0 for none
  --prefill TOKENS   prompts of so many (512, 4096); 0 for none
  --rounds N         (5)
  --tokens N         decoded in a turn, at most 20 s (32)
  --threads N        (2)
  --memory GB        of a turn at most; what needs more is left out (what is free)
  --cache FOLDER     where peers are installed and models kept (.cache/peers)
  --out PATH         of the report, without its ending (docs/bench-peers)

All but the last six may be given again. All of it takes hours on two cores; a block is safe once it is done.`;

const MODELS_OF: Record<Peer, readonly ModelName[]> = {
  postnas: MODELS,
  llama: ['full', 'hybrid'],
  transformers: ['full', 'hybrid'],
};

const KV = ['own', 'other'] as const;
const OTHER_KV = { postnas: 'f32', llama: 'q8' } as const;

export async function main(args: string[]): Promise<void> {
  const many = { type: 'string', multiple: true } as const;
  const { values } = parseArgs({
    args,
    options: {
      shape: many,
      dtype: many,
      peer: many,
      model: many,
      kv: many,
      context: many,
      prefill: many,
      rounds: { type: 'string', default: '5' },
      tokens: { type: 'string', default: '32' },
      threads: { type: 'string', default: '2' },
      memory: { type: 'string', default: 'Infinity' },
      cache: { type: 'string', default: '.cache/peers' },
      out: { type: 'string', default: 'docs/bench-peers' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const shapes = chosen(
    'shape',
    values.shape,
    SHAPES.map(({ name }) => name),
  );
  const dtypes = chosen('dtype', values.dtype, DTYPES);
  const peers = chosen('peer', values.peer, PEERS);
  const models = chosen('model', values.model, MODELS);
  const kv = chosen('kv', values.kv ?? ['own'], KV);
  const [rounds, tokens, threads] = [values.rounds, values.tokens, values.threads].map(Number) as [
    number,
    number,
    number,
  ];
  const lengths = (given: string[] | undefined, usual: number[]) =>
    (given?.map(Number) ?? usual).filter((length) => length > 0);
  const tasks: Task[] = [
    ...lengths(values.prefill, [512, 4096]).map((context) => ({ kind: 'prefill' as const, context })),
    ...lengths(values.context, [128, 4096, 16_384, 65_536]).map((context) => ({
      kind: 'decode' as const,
      context,
      tokens,
    })),
  ];

  const memory = Number(values.memory) * 1e9;
  const cache = resolve(values.cache);
  const versions = installPeers(cache);
  // What an interrupted run has left: an expanded state is as large as its cache.
  rmSync(join(cache, 'states'), { recursive: true, force: true });
  const about = {
    command: ['npm run bench -- peers', ...args].join(' '),
    machine: `${cpus()[0]!.model.trim()}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}`,
    instructions: instructionSets(),
    versions,
    threads,
  };
  const json = `${values.out}.json`;
  let blocks = existsSync(json) ? (JSON.parse(readFileSync(json, 'utf8')) as Block[]) : [];
  for (const shape of shapes) {
    for (const dtype of dtypes) {
      const contenders = contendersOf(shape, dtype, peers, models, kv);
      for (const task of tasks) {
        // Keys and values of fewer tokens than a block are exact by themselves.
        const alike = task.context < BLOCK;
        const different = contenders.filter(({ kv }) => !(alike && kv === 'f32'));
        const entries = await playRounds(different, task, { rounds, memory, threads, cache });
        blocks = withBlock(blocks, { date: new Date().toISOString().slice(0, 10), ...about, task, entries });
        writeFileAtomic(json, `${JSON.stringify(blocks, null, 1)}\n`);
        writeFileAtomic(`${values.out}.md`, reportMarkdown(blocks));
      }
    }
  }
  console.log(`written: ${values.out}.md and ${json}`);
}

async function playRounds(
  contenders: readonly Contender[],
  task: Task,
  { rounds, memory, threads, cache }: { rounds: number; memory: number; threads: number; cache: string },
): Promise<Entry[]> {
  const entries: Entry[] = contenders.map((contender) => ({ contender, rounds: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const entry of entries) {
      const { contender } = entry;
      const name = `${contender.shape} ${contender.dtype}, ${taskTitle(task)}, round ${round + 1}: ${contender.peer} ${contender.model}${kvTitle(contender.kv)}`;
      // What has failed twice is not asked again.
      if (entry.rounds.length >= 2 && entry.rounds.every((outcome) => outcome === null)) {
        entry.rounds.push(null);
        continue;
      }
      const outcome = await takeTurn({ contender, task, threads, cache }, memory);
      if ('failure' in outcome) {
        entry.rounds.push(null);
        entry.failure = outcome.failure;
        console.log(`${name}: ${outcome.failure}`);
      } else {
        entry.rounds.push(outcome);
        console.log(
          `${name}: ${outcome.tokensPerSecond.toFixed(2)} tok/s, others used ${(100 * outcome.others).toFixed(0)} % (${outcome.setUp})`,
        );
      }
    }
  }
  return entries;
}

function contendersOf(
  shape: string,
  dtype: Dtype,
  peers: readonly Peer[],
  models: readonly ModelName[],
  kv: readonly (typeof KV)[number][],
): Contender[] {
  return peers.flatMap((peer) =>
    MODELS_OF[peer]
      .filter((model) => models.includes(model))
      .flatMap((model) => [
        ...(kv.includes('own') ? [{ peer, shape, model, dtype }] : []),
        ...(kv.includes('other') && peer !== 'transformers'
          ? [{ peer, shape, model, dtype, kv: OTHER_KV[peer] }]
          : []),
      ]),
  );
}

/** The values of an option, all there are when it is not given. */
function chosen<T extends string>(
  option: string,
  given: readonly string[] | undefined,
  all: readonly T[],
): T[] {
  const wrong = given?.find((value) => !all.includes(value as T));
  if (wrong !== undefined) {
    throw new Error(`--${option} ${wrong}: expected ${all.join(', ')}\n\n${USAGE}`);
  }
  return (given as T[] | undefined) ?? [...all];
}
