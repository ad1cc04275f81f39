import { Command } from 'commander';
import { pull } from '../../model/hub.ts';
import { action } from '../command.ts';

/** `postnas pull`: a model from the Hugging Face Hub into its cache. */
export function pullCommand(): Command {
  const command = new Command('pull')
    .description(
      "download a model from the Hugging Face Hub into the Hub's cache, by the environment variables of huggingface_hub " +
        '(HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE)',
    )
    .argument('<model>', 'organisation/name')
    .option('--revision <name>', 'branch, tag or commit', 'main')
    .addHelpText('after', '\nExample:\n  postnas pull HuggingFaceTB/SmolLM2-135M');
  return action<{ revision: string }>(
    command,
    async ({ progress, signal, result }, { revision }, [model]) => {
      const folder = await pull(model!, { revision, onProgress: progress.report, signal });
      result({ folder }, folder);
    },
  );
}
