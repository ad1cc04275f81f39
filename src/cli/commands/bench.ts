import { cpus } from 'node:os';
import { Command, Option } from 'commander';
import { showArchitecture } from '../../mixers/registry.ts';
import { openCheckpoint } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { resolveModel } from '../../model/hub.ts';
import { WEIGHT_DTYPES, type WeightDtype } from '../../model/quantized-tensors.ts';
import { measure, tokensAfter } from '../../runtime/bench/measure.ts';
import type { BenchResult, Measurement } from '../../runtime/bench/result.ts';
import { Subject, type SubjectOptions } from '../../runtime/bench/subject.ts';
import { type Fit, largestBatch, PROTOCOL, throughput } from '../../runtime/bench/throughput.ts';
import type { KvDtype } from '../../runtime/kv-blocks.ts';
import { InputError } from '../../util/errors.ts';
import { action, kvDtypeOption, wholeNumber } from '../command.ts';
import { byteCount, counts, grouped, readable } from '../numbers.ts';
import { table } from '../table.ts';

interface Options {
  context?: number[];
  batch: number[];
  tokens: number;
  rounds: number;
  fill: boolean;
  stretch: boolean;
  memory?: number;
  iterations?: number;
  dtype: WeightDtype;
  kvDtype?: KvDtype;
  threads?: number;
  report?: string;
}

const DEFAULT_CONTEXTS = [128, 4096, 16_384, 65_536];

/** `postnas bench`: how fast a model reads and writes, and what memory it takes. */
export function benchCommand(): Command {
  const command = new Command('bench')
    .description('measure how fast a model reads prompts and writes tokens, and the memory it takes')
    .argument('<model>', 'model folder, or a name on the hub: org/model')
    .option(
      '--context <tokens>',
      `lengths of the prompt, commas between (${DEFAULT_CONTEXTS.join(',')}, those that fit the model)`,
      counts,
    )
    .option('--batch <sizes>', 'sequences at once, commas between', counts, [1])
    .option('--tokens <n>', 'tokens to decode in a round', wholeNumber, 32)
    .option('--rounds <n>', 'how often; medians are reported', wholeNumber, 3)
    .option('--fill', 'draw states and caches at random rather than read prompts, which takes long', false)
    .option('--stretch', 'go beyond the context that the model was trained for', false)
    .option(
      '--memory <size>',
      'throughput of the largest batch that fits such a memory, at the longest context',
      byteCount,
    )
    .option('--iterations <n>', `of --memory (${PROTOCOL.iterations} when not given)`, wholeNumber)
    .addOption(new Option('--dtype <type>', 'of the weights').choices(WEIGHT_DTYPES).default('f32'))
    .addOption(kvDtypeOption())
    .option('--threads <n>', 'threads of ONNX Runtime (all cores when not given)', wholeNumber)
    .option('--report <file>', 'also write the result as a page with figures')
    .addHelpText(
      'after',
      `\nA prompt that takes more than 20 s to read is read once. With --memory: ${PROTOCOL.tokens} tokens after ` +
        `prompts of uniformly drawn ones,\n${PROTOCOL.iterations} iterations of which the first ${PROTOCOL.dropped} do not count, as in Jet-Nemotron's paper; of fewer iterations the last counts at least.\n` +
        '\nExamples:\n  postnas bench runs/smollm2/seed-1/hybrid\n' +
        '  postnas init ./fresh --config runs/smollm2/seed-1/hybrid && postnas bench ./fresh --context 64K --fill --stretch\n' +
        '  postnas bench ./jet-2b --context 4K,64K --memory 8GB --threads 2 --json\n' +
        '  postnas bench models/base --json > base.json && postnas bench hybrid --json > hybrid.json && \\\n' +
        '    postnas report hybrid.json base.json -o bench.html',
    );
  return action<Options>(command, async ({ progress, signal, result }, options, [name = '']) => {
    const { tokens, rounds, fill, memory, iterations, dtype, threads, report } = options;
    if (iterations !== undefined && memory === undefined) {
      throw new InputError(`--iterations ${iterations} is for --memory <size>, which is not given`);
    }
    const folder = await resolveModel(name, { onProgress: progress.report, signal });
    const { config: given, weights } = openCheckpoint(folder);
    const { config, contexts, leftOut } = fitContexts(given, options);
    const common = { onProgress: progress.report, signal };
    const subjectOptions: SubjectOptions = { dtype, kvDtype: options.kvDtype, threads, ...common };
    const rows: Measurement[] = [];
    let kvDtype: KvDtype;
    {
      await using subject = await Subject.open(config, weights, subjectOptions);
      kvDtype = subject.kvDtype;
      for (const context of contexts) {
        for (const batch of options.batch) {
          rows.push(await measure(subject, { context, batch, tokens, rounds, fill, ...common }));
        }
      }
    }
    const context = contexts.at(-1)!;
    const measuring = { context, fill, iterations: iterations ?? PROTOCOL.iterations, ...common };
    const fit = memory ? largestBatch(config, context, memory, { dtype, kvDtype }) : null;
    // A model of its own: of the one before there are programs for single sequences, too.
    const open = () => Subject.open(config, weights, { ...subjectOptions, batches: fit!.batch > 1 });
    const fitted = memory && fit ? { memory, context, ...(await throughputOf(fit, open, measuring)) } : null;
    const found: BenchResult = {
      format: 'postnas-bench-1',
      model: name,
      architecture: showArchitecture(config.layers),
      created: new Date().toISOString(),
      processor: cpus()[0]?.model.trim() ?? 'unknown',
      dtype: kvDtype === 'q8' ? `${dtype}, keys and values q8` : dtype,
      threads: threads ?? null,
      tokens,
      rounds,
      fill,
      leftOut,
      rows,
      throughput: fitted,
    };
    if (report !== undefined) {
      // Charting is loaded when it is needed: that takes a second.
      const { writeBenchReport } = await import('../../report/bench-report.ts');
      writeBenchReport(report, [found]);
    }
    result(
      found,
      [
        ...resultLines(rows, { fill, rounds, tokens }),
        ...(leftOut.length > 0
          ? [
              `left out, beyond the model's context of ${grouped(given.maxPositionEmbeddings)}: ${leftOut.map(grouped).join(', ')} (--stretch)`,
            ]
          : []),
        ...(config.maxPositionEmbeddings > given.maxPositionEmbeddings
          ? [
              `beyond the model's context of ${grouped(given.maxPositionEmbeddings)} (--stretch): speed and memory hold, what it would write there does not`,
            ]
          : []),
        ...(fitted ? ['', ...throughputLines(fitted)] : []),
        ...(report === undefined ? [] : [`report: ${report}`]),
      ].join('\n'),
    );
  });
}

/** The contexts to measure, in ascending order, and a configuration that allows them. */
function fitContexts(
  config: ModelConfig,
  { context, stretch, memory, ...options }: Options,
): { config: ModelConfig; contexts: number[]; leftOut: number[] } {
  const after = Math.max(tokensAfter(options), memory ? PROTOCOL.tokens : 0);
  const contexts = [...new Set(context ?? DEFAULT_CONTEXTS)].sort((a, b) => a - b);
  const { maxPositionEmbeddings } = config;
  const room = maxPositionEmbeddings - after;
  const longest = contexts.at(-1)!;
  if (longest <= room) return { config, contexts, leftOut: [] };
  if (stretch) {
    return { config: { ...config, maxPositionEmbeddings: longest + after }, contexts, leftOut: [] };
  }
  const leftOut = contexts.filter((length) => length > room);
  if (context || leftOut.length === contexts.length) {
    throw new InputError(
      `${grouped(longest)} tokens and ${grouped(after)} more to decode do not fit the model's context of ` +
        `${grouped(maxPositionEmbeddings)}: --context ${Math.max(1, room)} at most, or --stretch to go beyond`,
    );
  }
  return { config, contexts: contexts.filter((length) => length <= room), leftOut };
}

type Fitted = NonNullable<BenchResult['throughput']>;

async function throughputOf(
  fit: Fit,
  open: () => Promise<Subject>,
  options: Omit<Parameters<typeof throughput>[1], 'batch'>,
): Promise<Omit<Fitted, 'memory' | 'context'>> {
  const { batch } = fit;
  if (batch === 0) return { ...fit, measured: null, refused: 'not even one sequence fits' };
  await using subject = await open();
  return { ...fit, measured: await throughput(subject, { ...options, batch }), refused: null };
}

function resultLines(
  rows: readonly Measurement[],
  { fill, rounds, tokens }: Pick<Options, 'fill' | 'rounds' | 'tokens'>,
): string[] {
  const rate = (value: number | null) => (value === null ? '' : value.toFixed(1));
  return [
    table(
      ['context', 'batch', 'prefill tok/s', 'first token', 'decode tok/s', 'state', 'by formula', 'peak RSS'],
      rows.map((row) => [
        grouped(row.context),
        String(row.batch),
        rate(row.prefillTokensPerSecond),
        row.firstTokenSeconds === null ? '' : `${row.firstTokenSeconds.toFixed(3)} s`,
        rate(row.decodeTokensPerSecond),
        readable(row.stateBytes),
        readable(row.formulaBytes),
        readable(row.peakBytes),
      ]),
    ),
    `medians of ${rounds} rounds of ${tokens} tokens; ${fill ? 'states drawn at random' : 'random prompts'}; state per sequence, peak of the process so far`,
  ];
}

function throughputLines({
  memory,
  context,
  weightBytes,
  stateBytes,
  batch,
  measured,
  refused,
}: Fitted): string[] {
  return [
    `throughput in ${readable(memory)} at ${grouped(context)} tokens and ${PROTOCOL.tokens} more:`,
    `  weights ${readable(weightBytes)}, ${readable(stateBytes)} of state per sequence: batch ${grouped(batch)}`,
    measured
      ? `  ${measured.prefillTokensPerSecond === null ? '' : `prefill ${measured.prefillTokensPerSecond.toFixed(1)} tok/s, `}decode ${measured.decodeTokensPerSecond.toFixed(1)} tok/s, ${measured.iterations === 1 ? 'one iteration' : `means of ${measured.iterations} iterations`}, peak RSS ${readable(measured.peakBytes)}`
      : `  ${refused}`,
  ];
}
