import { Command } from 'commander';
import { countParameters, modelParameters } from '../../model/parameters.ts';
import { initCheckpoint } from '../../model/random-checkpoint.ts';
import { WRITTEN_DTYPES, type WrittenDtype } from '../../model/safetensors.ts';
import { action, natural, weightType, wholeNumber } from '../command.ts';

interface Options {
  config: string;
  dtype: WrittenDtype;
  seed: number;
  tokenizer?: string;
  shardSize: number;
}

/** `postnas init`: a model folder with random weights, from a configuration alone. */
export function initCommand(): Command {
  const command = new Command('init')
    .description('make a model folder with random weights, of any architecture that config.json can say')
    .argument('<folder>', 'where the model goes')
    .requiredOption(
      '--config <file>',
      'config.json, or a folder that has one: llama, qwen2, qwen3, jet_nemotron or a hybrid of ours',
    )
    .option('--dtype <type>', `of the written weights: ${WRITTEN_DTYPES.join(', ')}`, weightType, 'F32')
    .option('--seed <n>', 'the same seed, the same weights', natural, 1)
    .option('--tokenizer <folder>', 'copy the tokenizer of this model')
    .option('--shard-size <MB>', 'largest size of a weight file', wholeNumber, 5000)
    .addHelpText(
      'after',
      '\nOne matrix at a time is in memory, whatever the size of the model.\n' +
        '\nExamples:\n  postnas init ./jet-2b --config jetlm_2B.json --dtype BF16\n' +
        '  postnas init ./fresh --config runs/smollm2/seed-1/hybrid --tokenizer SmolLM2-135M --seed 7',
    );
  return action<Options>(
    command,
    async ({ progress, signal, result }, { config, dtype, seed, tokenizer, shardSize }, [folder]) => {
      const model = await initCheckpoint(folder!, config, {
        dtype,
        seed,
        tokenizer,
        shardBytes: shardSize * 1e6,
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
