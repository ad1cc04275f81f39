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
import type { KvDtype } from '../../runtime/kv/blocks.ts';
import { InputError } from '../../util/errors.ts';
import { action } from '../command.ts';
import { grouped, readable } from '../numbers.ts';
import {
  addWithAliases,
  decodeRoundsOption,
  decodeTokensOption,
  dtypeOption,
  kvDtypeOption,
  modelArgument,
  otherwise,
  outFile,
  threadsOption,
} from '../options.ts';
import { byteCount, tokenCounts, wholeNumber } from '../parsers.ts';
import { table } from '../table.ts';

interface Options {
  contexts?: number[];
  batch: number[];
  decodeTokens: number;
  decodeRounds: number;
  fill: boolean;
  stretch: boolean;
  memory?: number;
  iterations?: number;
  dtype: WeightDtype;
  kvDtype?: KvDtype;
  threads?: number;
  out?: string;
}

const DEFAULT_CONTEXTS = [128, 4096, 16_384, 65_536];

/** `postnas bench`: how fast a model reads and writes, and what memory it takes. */
export function benchCommand(): Command {
  const command = new Command('bench')
    .description('Measure how fast a model reads prompts and writes tokens, and the memory it takes.')
    .addArgument(modelArgument());
  const contexts = new Option('--contexts <list>', 'lengths of the prompt in tokens, with commas between');
  addWithAliases(
    command,
    otherwise(contexts.argParser(tokenCounts), `those of ${DEFAULT_CONTEXTS.join(',')} that fit the model`),
    '--context',
  ).option('--batch <list>', 'sequences at once, with commas between', tokenCounts, [1]);
  addWithAliases(command, decodeTokensOption(32), '--tokens');
  addWithAliases(command, decodeRoundsOption(3), '--rounds');
  command
    .option('--fill', 'draw states and caches at random instead of reading prompts, which takes long', false)
    .option('--stretch', 'go beyond the context that the model was trained for', false)
    .option(
      '--memory <size>',
      'also measure the throughput of the largest batch that fits this memory, at the longest context',
      byteCount,
    )
    .addOption(
      otherwise(
        new Option('--iterations <n>', 'iterations of --memory').argParser(wholeNumber),
        String(PROTOCOL.iterations),
      ),
    )
    .addOption(dtypeOption(WEIGHT_DTYPES).default('f32'))
    .addOption(kvDtypeOption())
    .addOption(threadsOption());
  addWithAliases(command, otherwise(outFile(), 'no page is made'), '--report').addHelpText(
    'after',
    '\n--out FILE writes the result as a page with figures. A prompt that takes more than 20 s to read is read once. ' +
      `--memory decodes ${PROTOCOL.tokens} tokens after prompts of random tokens; of ${PROTOCOL.iterations} iterations the first ${PROTOCOL.dropped} do not count, as in ` +
      "Jet-Nemotron's paper, and of fewer iterations the last one always counts.\n" +
      '\nExamples:\n  postnas bench models/hybrid --contexts 128,400\n' +
      '  postnas bench models/hybrid --contexts 64K --fill --stretch\n' +
      '  postnas bench ./jet-2b --contexts 4K,64K --memory 8GB --threads 2 --json\n' +
      '  postnas bench models/base --json > base.json && postnas bench models/hybrid --json > hybrid.json && \\\n' +
      '    postnas report hybrid.json base.json --out bench.html',
  );
  return action<Options>(command, async ({ progress, signal, result }, options, [name = '']) => {
    const { decodeTokens: tokens, decodeRounds: rounds } = options;
    const { fill, memory, iterations, dtype, threads, out: report } = options;
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
  { contexts: asked, stretch, memory, decodeTokens, decodeRounds }: Options,
): { config: ModelConfig; contexts: number[]; leftOut: number[] } {
  const after = Math.max(
    tokensAfter({ tokens: decodeTokens, rounds: decodeRounds }),
    memory ? PROTOCOL.tokens : 0,
  );
  const contexts = [...new Set(asked ?? DEFAULT_CONTEXTS)].sort((a, b) => a - b);
  const { maxPositionEmbeddings } = config;
  const room = maxPositionEmbeddings - after;
  const longest = contexts.at(-1)!;
  if (longest <= room) return { config, contexts, leftOut: [] };
  if (stretch) {
    return { config: { ...config, maxPositionEmbeddings: longest + after }, contexts, leftOut: [] };
  }
  const leftOut = contexts.filter((length) => length > room);
  if (asked || leftOut.length === contexts.length) {
    throw new InputError(
      `${grouped(longest)} tokens and ${grouped(after)} more to decode do not fit the model's context of ` +
        `${grouped(maxPositionEmbeddings)}: --contexts ${Math.max(1, room)} at most, or --stretch to go beyond`,
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
  { fill, rounds, tokens }: Pick<BenchResult, 'fill' | 'rounds' | 'tokens'>,
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
