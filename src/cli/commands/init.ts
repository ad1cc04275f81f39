import { Command, Option } from 'commander';
import { countParameters, modelParameters } from '../../model/parameters.ts';
import { initCheckpoint } from '../../model/random-checkpoint.ts';
import type { WrittenDtype } from '../../model/safetensors.ts';
import { action } from '../command.ts';
import {
  outArgument,
  outFolder,
  outOf,
  seedOption,
  sizeOption,
  tokenizerOption,
  writtenDtypeOption,
} from '../options.ts';
import { byteCountIn } from '../parsers.ts';
import { fileOrFolderToRead, folderToRead } from '../paths.ts';

interface Options {
  out?: string;
  config: string;
  dtype: WrittenDtype;
  seed: number;
  tokenizer?: string;
  shardSize: number;
}

/** `postnas init`: a model folder with random weights, from a configuration alone. */
export function initCommand(): Command {
  const command = new Command('init')
    .description(
      'Make a model folder with random weights, of any architecture that a config.json can describe.',
    )
    .addArgument(outArgument())
    .addOption(outFolder())
    .addOption(
      new Option(
        '--config <path>',
        'config.json, or a folder that has one: of type llama, qwen2, qwen3, jet_nemotron or postnas',
      )
        .argParser(fileOrFolderToRead('--config', 'a config.json, or a folder that has one'))
        .makeOptionMandatory(),
    )
    .addOption(writtenDtypeOption())
    .addOption(seedOption().default(1))
    .addOption(tokenizerOption(folderToRead('--tokenizer', 'a model folder whose tokenizer is copied')))
    .addOption(
      sizeOption('--shard-size <size>', 'largest size of a weight file', byteCountIn('MB')).default(
        5e9,
        '5GB',
      ),
    )
    .addHelpText(
      'after',
      '\nWeights are made one matrix at a time, so that models larger than the memory can be made.\n' +
        '\nExamples:\n  postnas init --out ./jet-2b --config jetlm_2B.json --dtype bf16\n' +
        '  postnas init --out ./fresh --config models/hybrid --tokenizer models/hybrid --seed 7',
    );
  return action<Options>(
    command,
    async ({ progress, signal, result }, { out, config, dtype, seed, tokenizer, shardSize }, [given]) => {
      const folder = outOf(out, given, 'the model');
      const model = await initCheckpoint(folder, config, {
        dtype,
        seed,
        tokenizer,
        shardBytes: shardSize,
        onProgress: progress.report,
        signal,
      });
      const parameters = countParameters(modelParameters(model));
      result(
        { folder, parameters, dtype, seed },
        `${parameters.toLocaleString('en-US')} parameters written to ${folder}`,
      );
    },
  );
}
