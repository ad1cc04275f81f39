import { text as readAll } from 'node:stream/consumers';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Device } from '../../graph/index.ts';
import { DEVICE_DTYPES, type DeviceDtype } from '../../model/quantized-tensors.ts';
import type { GeneratedToken } from '../../runtime/continuation.ts';
import type { KvDtype } from '../../runtime/kv/blocks.ts';
import { type GenerateOptions, Model } from '../../runtime/model.ts';
import { InputError } from '../../util/errors.ts';
import { action } from '../command.ts';
import { Interrupted } from '../failure.ts';
import {
  deviceOption,
  dtypeOption,
  kvDtypeOption,
  maxTokensOption,
  modelArgument,
  otherwise,
  seedOption,
  threadsOption,
} from '../options.ts';
import { decimal, natural, signed, wholeNumber } from '../parsers.ts';

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
    .description('Write text with a model, on standard output, token by token.')
    .addArgument(modelArgument())
    .addOption(otherwise(new Option('-p, --prompt <text>', 'text to go on from'), 'standard input'))
    .option('--chat', "answer the prompt as a user's message, by the model's chat template")
    .option('--system <text>', 'with --chat: the message of the system')
    .addOption(maxTokensOption("the model's own, else 256"))
    .option('--temperature <x>', 'how freely tokens are drawn; 0 takes the most probable one', decimal)
    .option('--top-k <n>', 'draw from so many of the most probable tokens; 0 draws from all', natural)
    .option('--top-p <x>', 'draw from the most probable tokens that together have this probability', decimal)
    .option('--min-p <x>', 'draw from tokens with at least this share of the highest probability', decimal)
    .option('--repetition-penalty <x>', 'above 1, tokens that were there become less probable', decimal)
    .option(
      '--frequency-penalty <x>',
      'taken from the logit of a token each time that it is written, -2 to 2',
      signed,
    )
    .option('--presence-penalty <x>', 'taken from the logit of a token that was written, -2 to 2', signed)
    .option('--logit-bias <id=x...>', 'added to the logits of tokens by their ids, such as 42=-5', bias)
    .option(
      '--top-logprobs <n>',
      'with --json: show so many of the most probable tokens at each place',
      wholeNumber,
    )
    .addOption(seedOption())
    .option(
      '--stop <text>',
      'end before this text; may be given several times',
      (text, all: string[] = []) => [...all, text],
    )
    .addOption(deviceOption().default('cpu'))
    .addOption(threadsOption())
    .addOption(otherwise(dtypeOption(DEVICE_DTYPES), 'as they are stored'))
    .addOption(kvDtypeOption())
    .addHelpText(
      'after',
      "\nOptions that are not given are taken from the model's generation_config.json. Where it says nothing of drawing, the " +
        'most probable token is taken each time. The type f16 is for --device webgpu.\n' +
        '\nExamples:\n' +
        '  postnas generate models/hybrid --prompt "Story: Tom found the" --max-tokens 100\n' +
        '  postnas generate HuggingFaceTB/SmolLM2-135M-Instruct --chat --prompt "What is the capital of France?"\n' +
        '  postnas generate models/hybrid --temperature 0.8 --top-p 0.95 --seed 1 < prompt.txt',
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
    try {
      for await (const token of tokens) {
        if (written.length === 0) first = performance.now();
        written.push(token);
        if (!json) process.stdout.write(token.text);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      if (!json && written.length > 0) process.stdout.write('\n');
      throw new Interrupted(`stopped after ${written.length} ${written.length === 1 ? 'token' : 'tokens'}`);
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
