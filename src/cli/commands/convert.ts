import { join } from 'node:path';
import { Command, Option } from 'commander';
import { WEIGHT_DTYPES } from '../../model/quantized-tensors.ts';
import { CONVERTED, type ConvertOptions, convert } from '../../search/conversion/convert.ts';
import { defined } from '../../util/defined.ts';
import { action } from '../command.ts';
import { commandLine, settingsOf } from '../command-line.ts';
import { conversionSummary } from '../conversion-summary.ts';
import { textsOption, withTasks } from '../data-options.ts';
import { dtypeOption, modelArgument, otherwise, outFolder, sizeOption, threadsOption } from '../options.ts';
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
  task?: string[];
  examples: number;
  dataDir?: string;
  shots?: number;
  seeds?: never;
}

/** `postnas convert`: a model made cheap without training. */
export function convertCommand(): Command {
  const command = new Command('convert')
    .description(
      'Make a model cheap without training: find the KV heads that must see the whole text, let all others see a window, and ' +
        'compare the result with the model itself.',
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
  const hours = new Option('--hours <n>', 'hours of training: 0, for nothing is trained yet').argParser(
    decimal,
  );
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
  withTasks(command, 'what needs the whole context', 64, { heldOut: false });
  command
    .option('--no-timing', 'do not time heads and windows on this machine')
    .option('--no-compare', 'do not compare the result with the model')
    .addOption(otherwise(dtypeOption(WEIGHT_DTYPES), 'as they are stored'))
    .addOption(threadsOption())
    .addHelpText(
      'after',
      '\nWithout --memory, --speed and --full-heads several numbers of heads are searched, and the cheapest that keeps the model by ' +
        '--keep and --text-loss is taken. No weight changes: what comes out is a placement of a few hundred bytes, placements/NAME.json in the folder of ' +
        '--out, and in that of the model where it is one here. The folder of --out gets report.html and result.json too, ' +
        'and the same command goes on from what is there.\n' +
        '\nExamples:\n  postnas convert ./smollm2 --data novels.txt --context 8K\n' +
        '  postnas convert ./smollm2 --data novels.txt --context 32K --memory 60MB --task lambada_openai arc_easy\n' +
        '  postnas generate ./smollm2 --placement 8K-6-heads --prompt "Once"',
    );
  return action<Options>(
    command,
    async ({ progress, signal, result }, options, [model = '']) => {
      const { out, compare, timing, task, examples, dataDir, shots, fullHeads, placementName, ...others } =
        options;
      const {
        result: found,
        use,
        written,
      } = await convert({
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
      });
      // Charting is loaded when it is needed: that takes a second.
      const { writeConversionReport } = await import('../../report/reach/report.ts');
      const page = join(out, 'report.html');
      writeConversionReport(page, found);
      result(found, conversionSummary(found, { model, use, written: [page, ...written] }));
    },
    { end: 'stopped; what was found is kept: run the same command again to go on' },
  );
}
