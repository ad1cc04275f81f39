import { existsSync, readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import type { Device } from '../../graph/index.ts';
import { openCheckpoint } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { resolveModel } from '../../model/hub.ts';
import { asFastThenBest, bestThenFastest, type ChoiceRule } from '../../search/blocks/choice.ts';
import { type Candidate, compareBlocks } from '../../search/blocks/compare.ts';
import { designsNamed, jetDesigns } from '../../search/blocks/designs.ts';
import { nearbyHeads, sameStateSize } from '../../search/blocks/dimensions.ts';
import type { BlocksResult } from '../../search/blocks/result.ts';
import { linearKinds, linearMixer } from '../../search/linear-mixer.ts';
import { InputError } from '../../util/errors.ts';
import { blocksSummary } from '../blocks-summary.ts';
import { action, wholeNumber } from '../command.ts';
import { commandLine, type DataOptions, dataOf, sharedOptions, withData } from '../data-options.ts';

interface Options extends DataOptions {
  out: string;
  placement: string;
  seeds: number;
  alignSteps: number;
  trainSteps: number;
  decodeDevice?: Device;
  decodeContext: number;
  decodeTokens: number;
  decodeRounds: number;
}

/** What is compared, and by which rule one is taken. */
interface Comparison {
  candidates: Candidate[];
  rule: ChoiceRule;
}

/** `postnas blocks`: stage 2, which linear block takes the place of attention. */
export function blocks(): Command {
  const command = new Command('blocks')
    .description('compare the blocks that can take the place of attention, with its placement fixed')
    .option(
      '--mixers <kind...>',
      `blocks to compare: ${linearKinds().join(', ')}; behind a name +rope or +qk_norm, for queries and keys as the parent has them`,
      linearKinds(),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  postnas blocks models/base --placement 1,3 --seeds 3\n' +
        '  postnas blocks models/base --placement runs/search/result.json --mixers gla gated_deltanet',
    );
  return comparison<{ mixers: string[] }>(command, 'blocks', ({ mixers }, config) => ({
    candidates: mixers.map((kind) => ({ name: kind, spec: linearMixer(kind, config) })),
    rule: bestThenFastest,
  }));
}

/** `postnas design`: stage 3, how a JetBlock is built. */
export function design(): Command {
  const known = jetDesigns({ heads: 1, keyDim: 8, valueDim: 8 }).map(({ name }) => name);
  const command = new Command('design')
    .description('compare designs of the JetBlock: convolutions, the generator of their filters, the gate')
    .option('--designs <name...>', `designs to compare: ${known.join(', ')}`, known)
    .addHelpText(
      'after',
      '\nExamples:\n  postnas design models/base --placement 1,3 --seeds 3\n' +
        '  postnas design models/base --placement 1,3 --designs released qConv-kConv-static all-static',
    );
  return comparison<{ designs: string[] }>(command, 'design', ({ designs }, { numHeads, headDim }) => {
    const size = { heads: numHeads, keyDim: headDim, valueDim: headDim };
    return { candidates: designsNamed(designs, size), rule: bestThenFastest };
  });
}

/** `postnas dimensions`: stage 4, heads and widths by throughput on this machine, at a fixed size of the state. */
export function dimensions(): Command {
  const command = new Command('dimensions')
    .description('search heads, key and value widths of a block on this machine, its state size held fixed')
    .option('--mixer <kind>', `the block: ${linearKinds().join(', ')}`, 'gated_deltanet')
    .option('--heads <n...>', 'numbers of heads to try (half, once and twice the parent’s when not given)')
    .option('--aspect <n>', 'the most that one width may be wider than the other', wholeNumber, 4)
    .option('--slack <x>', 'how much slower than the parent’s dimensions the choice may be', '0.03')
    .addHelpText(
      'after',
      '\nExamples:\n  postnas dimensions models/base --placement 1,3 --mixer gated_deltanet\n' +
        '  postnas dimensions ./SmolLM2-135M --placement 9,19 --data novels.txt --heads 6 9 12 --device webgpu',
    );
  return comparison<{ mixer: string; heads?: string[]; aspect: number; slack: string }>(
    command,
    'dimensions',
    ({ mixer, heads, aspect, slack }, config) => ({
      candidates: sameStateSize(linearMixer(mixer, config), {
        heads: heads?.map((text) => headCount(text)) ?? nearbyHeads(config.numHeads),
        aspect,
      }),
      rule: asFastThenBest(Number(slack)),
    }),
  );
}

function headCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1)
    throw new InputError(`--heads ${text}: expected whole numbers above 0`);
  return count;
}

/** A command that compares the blocks that `what` makes of its options. */
function comparison<More>(
  command: Command,
  stage: BlocksResult['stage'],
  what: (options: More & Options, config: ModelConfig) => Comparison,
): Command {
  command
    .argument('<model>', 'a Hugging Face folder, or the id of a model on the Hub')
    .requiredOption(
      '--placement <layers>',
      'layers that keep full attention, counted from 0 (1,3), or the result.json of a search',
    )
    .option('--out <folder>', 'where states, result.json and the best hybrid go', `runs/${stage}`)
    .option('--seeds <n>', 'how often each block is trained', wholeNumber, 1)
    .option('--align-steps <n>', 'steps of alignment', wholeNumber, 100)
    .option('--train-steps <n>', 'steps of feature distillation', wholeNumber, 200)
    .addOption(
      new Option('--decode-device <name>', 'what decoding is timed on, if not --device').choices([
        'cpu',
        'webgpu',
      ]),
    )
    .option('--decode-context <n>', 'tokens of the prompt when decoding is timed', wholeNumber, 256)
    .option('--decode-tokens <n>', 'tokens timed in a round', wholeNumber, 64)
    .option('--decode-rounds <n>', 'rounds, in which all candidates take turns', wholeNumber, 5);
  withData(command);
  return action<More & Options>(command, async ({ progress, signal, result }, options, [given]) => {
    const model = await resolveModel(given!);
    const { config } = openCheckpoint(model);
    const shape = { batch: options.rows, length: options.length, rate: Number(options.rate) };
    const found = await compareBlocks({
      stage,
      model,
      out: options.out,
      placement: placementOf(options.placement),
      ...what(options, config),
      seeds: Array.from({ length: options.seeds }, (_, i) => i + 1),
      ...dataOf(model, options),
      align: { ...shape, steps: options.alignSteps },
      train: { ...shape, steps: options.trainSteps },
      decode: {
        device: options.decodeDevice ?? options.device,
        context: options.decodeContext,
        tokens: options.decodeTokens,
        rounds: options.decodeRounds,
      },
      command: commandLine(stage, model, options),
      threads: options.threads,
      device: options.device,
      onProgress: progress.report,
      signal,
    });
    result(found, blocksSummary(found, options.out, sharedOptions(options)));
  });
}

/** Layers as numbers, or as a search left them. */
function placementOf(text: string): number[] {
  if (!text.endsWith('.json')) {
    const layers = text.split(/[\s,]+/).filter(Boolean);
    if (layers.length === 0 || layers.some((layer) => !/^\d+$/.test(layer))) {
      throw new InputError(
        `--placement ${text}: expected layers such as 1,3, or the result.json of a search`,
      );
    }
    return layers.map(Number);
  }
  if (!existsSync(text)) throw new InputError(`--placement ${text}: no such file`);
  const { runs } = JSON.parse(readFileSync(text, 'utf8')) as { runs?: { placement?: number[] }[] };
  const placement = runs?.[0]?.placement;
  if (!placement) throw new InputError(`--placement ${text}: expected the result.json of postnas search`);
  return placement;
}
