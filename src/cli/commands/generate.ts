import { text as readAll } from 'node:stream/consumers';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Device } from '../../graph/index.ts';
import { DEVICE_DTYPES, type DeviceDtype } from '../../model/quantized-tensors.ts';
import type { GeneratedToken } from '../../runtime/continuation.ts';
import type { KvDtype } from '../../runtime/kv-blocks.ts';
import { type GenerateOptions, Model } from '../../runtime/model.ts';
import { InputError } from '../../util/errors.ts';
import { action, decimal, kvDtypeOption, wholeNumber } from '../command.ts';

interface Options extends GenerateOptions {
  prompt?: string;
  system?: string;
  chat?: boolean;
  maxTokens?: number;
  topLogprobs?: number;
  stop?: string[];
  device: Device;
  threads?: number;
  dtype?: DeviceDtype;
  kvDtype?: KvDtype;
  json?: boolean;
  quiet?: boolean;
}

/** `postnas generate`: text from a model, as it is written. */
export function generate(): Command {
  const command = new Command('generate')
    .description('write text with a model, token by token on standard output')
    .argument('<model>', 'model folder, or a name on the hub: org/model')
    .option('-p, --prompt <text>', 'what to go on from; standard input when not given')
    .option('--chat', "the prompt is a user's message, to be answered by the model's chat template")
    .option('--system <text>', 'with --chat, the message of the system before it')
    .option('-n, --max-tokens <n>', 'at most so many tokens (as the model says, else 256)', wholeNumber)
    .option('--temperature <x>', '0 for the most probable token', decimal)
    .option('--top-k <n>', 'draw from so many of the most probable tokens; 0 for all', decimal)
    .option('--top-p <x>', 'draw from the most probable tokens that have this probability together', decimal)
    .option('--min-p <x>', 'draw from tokens at least so probable as this share of the best', decimal)
    .option('--repetition-penalty <x>', 'above 1, words become less likely to come again', decimal)
    .option(
      '--frequency-penalty <x>',
      'taken from a token for each time that it was written, -2 to 2',
      Number,
    )
    .option('--presence-penalty <x>', 'taken from a token that was written, -2 to 2', Number)
    .option('--logit-bias <id=x...>', 'added to the logits of tokens by their ids, such as 42=-5', bias)
    .option('--top-logprobs <n>', 'with --json, so many of the most probable tokens beside each', wholeNumber)
    .option('--seed <n>', 'of the draws: the same seed, the same text', decimal)
    .option('--stop <text>', 'end the text before this; may be given again', (text, all: string[] = []) => [
      ...all,
      text,
    ])
    .addOption(new Option('--device <name>', 'where it runs').choices(['cpu', 'webgpu']).default('cpu'))
    .option('--threads <n>', 'threads of ONNX Runtime (all cores when not given)', wholeNumber)
    .addOption(
      new Option(
        '--dtype <type>',
        'of the weights (as they are stored when not given); f16 on webgpu',
      ).choices(DEVICE_DTYPES),
    )
    .addOption(kvDtypeOption())
    .addHelpText(
      'after',
      "\nWhat is not given is as the model's generation_config.json has it, else the most probable token is taken.\n" +
        '\nExamples:\n' +
        '  postnas generate runs/hybrid --prompt "Once upon a time" --max-tokens 100\n' +
        '  postnas generate HuggingFaceTB/SmolLM2-135M-Instruct --chat --prompt "What is the capital of France?"\n' +
        '  postnas generate runs/hybrid --temperature 0.8 --top-p 0.95 --seed 1 < prompt.txt',
    );
  return action<Options>(command, async ({ progress, signal, json, result }, options, [name = '']) => {
    const { chat, system, maxTokens, device, threads, dtype, kvDtype, quiet } = options;
    if (system !== undefined && !chat) throw new InputError('--system is for --chat');
    const prompt = options.prompt ?? (await standardInput());
    await using model = await Model.fromPretrained(name, {
      device,
      threads,
      dtype,
      kvDtype,
      onProgress: progress.report,
      signal,
    });
    for (const notice of model.notices) progress.log(notice);
    const { temperature, topK, topP, minP, repetitionPenalty, seed, stop } = options;
    const { frequencyPenalty, presencePenalty, logitBias, topLogprobs: topLogProbs } = options;
    const generateOptions: GenerateOptions = {
      ...{ temperature, topK, topP, minP, repetitionPenalty, seed, stop },
      ...{ frequencyPenalty, presencePenalty, logitBias, topLogProbs },
      maxNewTokens: maxTokens,
      signal,
    };
    const messages = [
      ...(system !== undefined ? [{ role: 'system', content: system }] : []),
      { role: 'user', content: prompt },
    ];
    const tokens = chat ? model.chat(messages, generateOptions) : model.generate(prompt, generateOptions);
    progress.stop();

    const written: GeneratedToken[] = [];
    const started = performance.now();
    let first = started;
    for await (const token of tokens) {
      if (written.length === 0) first = performance.now();
      written.push(token);
      if (!json) process.stdout.write(token.text);
    }
    const ended = performance.now();
    const rate = (1000 * (written.length - 1)) / (ended - first);
    const times = {
      firstTokenSeconds: (first - started) / 1000,
      tokensPerSecond: written.length > 1 ? rate : null,
    };
    const text = written.map((token) => token.text).join('');
    result(
      {
        text,
        finish: written.at(-1)?.finish,
        tokens: written.map(({ id, logProb, top }) => ({ id, logProb, ...(top && { top }) })),
        usage: written.at(-1)?.usage,
        ...times,
      },
      '',
    );
    if (!quiet) {
      const speed = written.length > 1 ? `, ${rate.toFixed(1)} tokens/s` : '';
      process.stderr.write(
        `${written.length} tokens${speed}, first after ${times.firstTokenSeconds.toFixed(2)} s\n`,
      );
    }
  });
}

/** Without the end of its last line, which `echo` adds. */
async function standardInput(): Promise<string> {
  if (process.stdin.isTTY)
    throw new InputError('no prompt: give --prompt TEXT, or the text on standard input');
  return (await readAll(process.stdin)).replace(/\r?\n$/, '');
}

/** 42=-5, in addition to those before. */
function bias(text: string, all: Record<number, number> = {}): Record<number, number> {
  const [, id, value] = /^(\d+)=(-?(?:\d+(?:\.\d+)?|Infinity))$/.exec(text) ?? [];
  if (value === undefined) throw new InvalidArgumentError('Expected a token id and a number, such as 42=-5.');
  return { ...all, [Number(id)]: Number(value) };
}
