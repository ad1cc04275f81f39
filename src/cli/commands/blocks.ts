import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { Device } from '../../graph/index.ts';
import { openCheckpoint } from '../../model/checkpoint.ts';
import type { ModelConfig } from '../../model/config.ts';
import { resolveModel } from '../../model/hub.ts';
import { stagesOf } from '../../report/stages.ts';
import { dataOf } from '../../search/data.ts';
import { comparedMixers, linearKinds, linearMixer } from '../../search/network/linear-mixer.ts';
import { readResult } from '../../search/read-result.ts';
import type { Result } from '../../search/result.ts';
import { asFastThenBest, bestThenFastest, type ChoiceRule } from '../../search/stages/blocks/choice.ts';
import {
  type Candidate,
  type CompareSettings,
  checkComparison,
  compareBlocks,
} from '../../search/stages/blocks/compare.ts';
import { designsNamed, jetDesigns } from '../../search/stages/blocks/designs.ts';
import { nearbyHeads, sameStateSize } from '../../search/stages/blocks/dimensions.ts';
import type { BlocksStage } from '../../search/stages/blocks/result.ts';
import { InputError } from '../../util/errors.ts';
import { blocksSummary } from '../blocks-summary.ts';
import { resumingAction } from '../command.ts';
import { commandLine, sharedOptions } from '../command-line.ts';
import { type DataOptions, withData } from '../data-options.ts';
import {
  DEVICES,
  decodeRoundsOption,
  decodeTokensOption,
  mixerOption,
  modelArgument,
  oneOf,
  otherwise,
  outFolder,
  seedsOption,
} from '../options.ts';
import { share, tokenCount, wholeNumber } from '../parsers.ts';
import { LEFTOVERS } from '../restart.ts';

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
    .description(
      'Compare the blocks that can take the place of attention, and write the hybrid with the best one.',
    )
    .addOption(
      new Option(
        '--mixers <kind...>',
        `blocks to compare: ${linearKinds().join(', ')}; with +rope or +qk_norm behind a name, queries and keys are ` +
          'rotated or normalised as the parent does it',
      ).default(comparedMixers(), 'all, and the best so far'),
    )
    .addHelpText(
      'after',
      `${KEPT}\nExamples:\n  postnas blocks models/base --placement 1,3 --seeds 3\n` +
        '  postnas blocks models/base --placement runs/search/result.json --mixers gla gated_deltanet+rope',
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
    .description(
      'Compare designs of the JetBlock, its convolutions, the generator of their filters and its gate, and write the ' +
        'hybrid with the best one.',
    )
    .addOption(
      new Option('--designs <name...>', `designs to compare: ${known.join(', ')}`).default(known, 'all'),
    )
    .addHelpText(
      'after',
      `${KEPT}\nExamples:\n  postnas design models/base --placement 1,3 --seeds 3\n` +
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
    .description(
      'Compare numbers of heads and widths of a block whose state has the same size, by quality and by speed on this ' +
        'machine, and write the hybrid with the best ones.',
    )
    .addOption(mixerOption())
    .addOption(
      otherwise(
        new Option('--heads <n...>', 'numbers of heads to compare'),
        'half as many as the model, as many, and twice as many',
      ),
    )
    .option('--aspect <n>', 'how many times as wide as the other the key or the value may be', wholeNumber, 4)
    .option('--slack <x>', 'part of the speed that may be given up for quality', share, 0.03)
    .addHelpText(
      'after',
      `${KEPT}\nExamples:\n  postnas dimensions models/base --placement 1,3\n` +
        '  postnas dimensions ./SmolLM2-135M --placement 9,19 --data novels.txt --held-out more-novels.txt \\\n' +
        '    --heads 6 9 12 --device webgpu',
    );
  return comparison<{ mixer: string; heads?: string[]; aspect: number; slack: number }>(
    command,
    'dimensions',
    ({ mixer, heads, aspect, slack }, config) => ({
      candidates: sameStateSize(linearMixer(mixer, config), {
        heads: heads?.map((text) => headCount(text)) ?? nearbyHeads(config.numHeads),
        aspect,
      }),
      rule: asFastThenBest(slack),
    }),
  );
}

const KEPT =
  '\nThe folder of --out gets the training states, result.json and the hybrid; `postnas report` makes a page of it.\n';

function headCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1)
    throw new InputError(`--heads ${text}: expected whole numbers above 0`);
  return count;
}

/** A command that compares the blocks that `what` makes of its options. */
function comparison<More>(
  command: Command,
  stage: BlocksStage,
  what: (options: More & Options, config: ModelConfig) => Comparison,
): Command {
  command
    .addArgument(modelArgument())
    .addOption(
      new Option(
        '--placement <layers>',
        'layers that keep full attention, counted from 0, such as 1,3; or the result.json of a search',
      ).makeOptionMandatory(),
    )
    .addOption(outFolder(`runs/${stage}`))
    .addOption(seedsOption())
    .option('--align-steps <n>', 'steps that train each linear block beside its attention', wholeNumber, 100)
    .option('--train-steps <n>', 'steps that train the blocks together afterwards', wholeNumber, 200)
    .addOption(
      otherwise(
        oneOf(new Option('--decode-device <name>', 'where decoding is timed'), DEVICES),
        'as --device',
      ),
    )
    .option('--decode-context <n>', 'tokens of the prompt when decoding is timed', tokenCount, 256)
    .addOption(decodeTokensOption(64))
    .addOption(decodeRoundsOption(5));
  withData(command);
  return resumingAction<More & Options>(
    command,
    LEFTOVERS.comparison,
    ({ out }) => out,
    async ({ progress, signal, result }, options, [given], begin) => {
      const model = await resolveModel(given!, { onProgress: progress.report, signal });
      const { config } = openCheckpoint(model);
      const shape = { batch: options.rows, length: options.length, rate: options.rate };
      const settings: CompareSettings = {
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
      };
      checkComparison(settings);
      begin();
      await compareBlocks(settings);
      const found = readResult(join(options.out, 'result.json')) as Result;
      const comparison = stagesOf(found)[stage]!;
      result(found, blocksSummary(comparison, found.model, options.out, sharedOptions(options)));
    },
  );
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
  const found = readResult(text);
  const placement =
    found.format === 'postnas-bench-1'
      ? undefined
      : (found.chosen?.placement ?? found.placement?.runs[0]?.placement);
  if (!placement) throw new InputError(`--placement ${text}: expected the result.json of postnas search`);
  return placement;
}
