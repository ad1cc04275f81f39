import { join } from 'node:path';
import { Command, Option } from 'commander';
import { WEIGHT_DTYPES } from '../../model/quantized-tensors.ts';
import { convert, estimateConversion } from '../../search/conversion/convert.ts';
import { CONVERTED, type ConvertOptions, TRAINED } from '../../search/conversion/options.ts';
import { DEFAULTS } from '../../search/defaults.ts';
import { defined } from '../../util/defined.ts';
import { action } from '../command.ts';
import { commandLine, settingsOf } from '../command-line.ts';
import { conversionSummary } from '../conversion-summary.ts';
import { textsOption, withTasks } from '../data-options.ts';
import {
  dtypeOption,
  estimateOption,
  lengthOption,
  modelArgument,
  otherwise,
  outFolder,
  sizeOption,
  threadsOption,
} from '../options.ts';
import { decimal, natural, positive, share, tokenCount, wholeNumber } from '../parsers.ts';

type Own = Omit<
  ConvertOptions,
  'model' | 'comparison' | 'speedMeasured' | 'command' | 'speed' | 'heads' | 'name'
>;
interface Options extends Own {
  speed?: number;
  fullHeads?: number;
  placementName?: string;
  windows: number[];
  compare: boolean;
  timing: boolean;
  estimate?: boolean;
  task?: string[];
  examples: number;
  dataDir?: string;
  shots?: number;
  seeds?: never;
}

/** `postnas convert`: a model made cheap, without training or with some hours of it. */
export function convertCommand(): Command {
  const command = new Command('convert')
    .description(
      'Make a model cheap: find the KV heads that must see the whole text, let all others see a window, train the result if there ' +
        'is time for that, and compare it with the model itself.',
    )
    .addArgument(modelArgument())
    .addOption(
      textsOption(
        '--data <text...>',
        'files, folders and globs of text that the model was not trained on',
      ).makeOptionMandatory(),
    )
    .addOption(outFolder('runs/convert'));
  const context = new Option('--context <n>', 'tokens of the sequence').argParser(tokenCount);
  const hours = new Option(
    '--hours <n>',
    'hours in which the result is trained to predict what the model does; 0 for none, 0.5 for half an hour',
  ).argParser(decimal);
  const training = [
    otherwise(
      new Option('--rows <n>', 'rows of text in a training step').argParser(wholeNumber),
      String(TRAINED.rows),
    ),
    otherwise(lengthOption(), `${TRAINED.length}, or --context where that is less`),
    otherwise(
      new Option(
        '--cross-entropy <x>',
        'weight of the loss on the text itself where all weights are trained',
      ).argParser(decimal),
      '0',
    ),
    otherwise(
      new Option(
        '--held-out-share <x>',
        'share of the documents of --data that are not trained on: training is measured, and the result compared, on these',
      ).argParser(positive),
      String(DEFAULTS.heldOutShare),
    ),
    new Option(
      '--answers-only',
      'of conversations, and of records with prompt and completion, the tokens of answers alone count where predictions are compared',
    ),
    new Option(
      '--controls',
      'train for as many steps and compare, too: the model itself (with --cross-entropy), whole layers, random heads, windows alone; each takes as long',
    ),
  ];
  command
    .addOption(otherwise(context, "the model's own"))
    .addOption(
      sizeOption(
        '--memory <size>',
        'what the keys and values of a sequence of --context tokens may take, such as 100MB',
      ),
    )
    .addOption(
      new Option('--speed <x>', 'tokens a second to write at --context tokens, at least').argParser(positive),
    )
    .addOption(new Option('--full-heads <n>', 'at most so many KV heads see everything').argParser(natural))
    .addOption(
      new Option(
        '--keep <share>',
        "the cheapest that keeps this share of the model's recall at every distance (0.95 unless told)",
      ).argParser(share),
    )
    .addOption(
      new Option(
        '--text-loss <x>',
        'and stays within so many nats a token of the model on text (0.05 unless told)',
      ).argParser(decimal),
    )
    .addOption(
      new Option('--windows <n...>', 'windows that a layer can have, in tokens')
        .argParser((text, before: number[] | undefined) => [
          ...(before === CONVERTED.windows ? [] : (before ?? [])),
          wholeNumber(text),
        ])
        .default(CONVERTED.windows),
    )
    .addOption(
      new Option('--sinks <n>', 'first tokens of a text that windows see')
        .argParser(natural)
        .default(CONVERTED.sinks),
    )
    .option(
      '--placement-name <name>',
      'what the placement is called; made of the context and the number of heads unless told',
    )
    .addOption(hours.default(0));
  for (const option of training) command.addOption(option);
  withTasks(command, 'what needs the whole context', 64, { heldOut: false });
  command
    .option('--no-timing', 'do not time heads and windows on this machine')
    .option('--no-compare', 'do not compare the result with the model')
    .addOption(estimateOption())
    .addOption(otherwise(dtypeOption(WEIGHT_DTYPES), 'as they are stored'))
    .addOption(threadsOption())
    .addHelpText(
      'after',
      '\nWithout --memory, --speed and --full-heads several numbers of heads are searched, and the cheapest that keeps the model by ' +
        '--keep and --text-loss is taken. Without --hours no weight changes: what comes out is a placement of a few hundred bytes, placements/NAME.json in the folder of ' +
        '--out, and in that of the model where it is one here. The folder of --out gets report.html and result.json too, ' +
        'and the same command goes on from what is there.\n' +
        '\nWith --hours the result is trained by the divergence (KL) of its predictions from those of the model, on --data; embeddings stay ' +
        'as they are. The rate falls over the time; with more hours the same command goes on. The folder of --out gets the whole model in model/, ' +
        'controls in controls/, states in training/. Progress shows the divergence on held-out documents, and what as much training again would bring.\n' +
        '\nExamples:\n  postnas convert ./smollm2 --data novels.txt --context 8K\n' +
        '  postnas convert ./smollm2 --data novels.txt --context 8K --full-heads 6 --hours 2\n' +
        '  postnas convert ./smollm2 --data novels.txt --context 32K --memory 60MB --task lambada_openai arc_easy\n' +
        '  postnas generate ./smollm2 --placement 8K-6-heads --prompt "Once"',
    );
  return action<Options>(
    command,
    async ({ progress, signal, result }, options, [model = '']) => {
      const { out, compare, timing, estimate, task, examples, dataDir, shots, ...rest } = options;
      const { fullHeads, placementName, ...others } = rest;
      const settings: ConvertOptions = {
        ...settingsOf(others),
        ...defined({ heads: fullHeads, name: placementName, threads: options.threads }),
        ...{ model, out, data: options.data, onProgress: progress.report, signal },
        speedMeasured: timing,
        comparison: compare && {
          ...{ examples, ...defined({ tasks: task, dataDir, shots }) },
        },
        command: [
          commandLine('convert', model, {
            ...others,
            fullHeads,
            placementName,
            ...(task && { task }),
            examples,
            dataDir,
            shots,
            out,
          }),
          ...(timing ? [] : ['--no-timing']),
          ...(compare ? [] : ['--no-compare']),
        ].join(' '),
      };
      if (estimate) {
        const found = await estimateConversion(settings);
        return result(found, found.lines.join('\n'));
      }
      const { result: found, use, written } = await convert(settings);
      // Charting is loaded when it is needed: that takes a second.
      const { writeConversionReport } = await import('../../report/reach/report.ts');
      const page = join(out, 'report.html');
      writeConversionReport(page, found);
      result(found, conversionSummary(found, { model, use, written: [page, ...written] }));
    },
    { end: 'stopped; what was found is kept: run the same command again to go on' },
  );
}
