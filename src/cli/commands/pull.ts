import { Command } from 'commander';
import { pull } from '../../model/hub.ts';
import { action } from '../command.ts';

/** `postnas pull`: a model from the Hugging Face Hub into its cache. */
export function pullCommand(): Command {
  const command = new Command('pull')
    .description(
      'Download a model from the Hugging Face Hub into the cache that its other tools use, and print its folder.',
    )
    .argument('<model>', 'name of the model: org/model')
    .option('--revision <name>', 'branch, tag or commit', 'main')
    .addHelpText(
      'after',
      '\nFollows HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE. All commands that take a model download it ' +
        'by themselves when it is named.\n' +
        '\nExamples:\n  postnas pull HuggingFaceTB/SmolLM2-135M',
    );
  return action<{ revision: string }>(
    command,
    async ({ progress, signal, result }, { revision }, [model]) => {
      const folder = await pull(model!, { revision, onProgress: progress.report, signal });
      result({ folder }, folder);
    },
    { end: 'stopped; run the same command again to go on with the download' },
  );
}
