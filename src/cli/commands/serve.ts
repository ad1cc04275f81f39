import { basename, resolve } from 'node:path';
import { Command, Option } from 'commander';
import pino from 'pino';
import type { Device } from '../../graph/index.ts';
import { WEIGHT_DTYPES, type WeightDtype } from '../../model/quantized-tensors.ts';
import type { KvDtype } from '../../runtime/kv/blocks.ts';
import { Model } from '../../runtime/model.ts';
import { serve } from '../../server/serve.ts';
import { action } from '../command.ts';
import { Interrupted } from '../failure.ts';
import {
  addWithAliases,
  deviceOption,
  dtypeOption,
  kvDtypeOption,
  maxTokensOption,
  modelArgument,
  oneOf,
  otherwise,
  portOption,
  sizeOption,
  threadsOption,
} from '../options.ts';
import { natural, tokenCount, wholeNumber } from '../parsers.ts';

interface Options {
  host: string;
  port: number;
  apiKey?: string;
  cors: string[];
  name?: string;
  device: Device;
  dtype?: WeightDtype;
  kvDtype?: KvDtype;
  threads?: number;
  maxBatch: number;
  queue: number;
  piece: number;
  maxContext?: number;
  maxTokens?: number;
  maxBody: number;
  timeout: number;
  drain: number;
  prefixCache: number;
  logLevel: string;
  quiet?: boolean;
}

/** `postnas serve`: a model over HTTP, by OpenAI's interface. */
export function serveCommand(): Command {
  const command = new Command('serve')
    .description("Serve a model over HTTP, by OpenAI's interface.")
    .addArgument(modelArgument())
    .option(
      '--host <address>',
      'address to listen on; one that other machines reach needs --api-key',
      '127.0.0.1',
    )
    .addOption(portOption(8000))
    .addOption(
      new Option(
        '--api-key <key>',
        'key that clients have to send; other users of this machine see it on the command line, but not in the variable',
      ).env('POSTNAS_API_KEY'),
    )
    .option(
      '--cors <origin>',
      'let web pages of this origin use the server, * for all; may be given several times',
      collect,
      [],
    )
    .addOption(otherwise(new Option('--name <name>', 'what clients call the model'), "the folder's name"))
    .addOption(deviceOption().default('cpu'))
    .addOption(otherwise(dtypeOption(WEIGHT_DTYPES), 'as they are stored'))
    .addOption(kvDtypeOption())
    .addOption(threadsOption())
    .option('--max-batch <n>', 'answers that are written at the same time', wholeNumber, 16)
    .option(
      '--queue <n>',
      'answers that may wait; further requests get status 429 and a time to come back',
      wholeNumber,
      256,
    )
    .option(
      '--piece <n>',
      'tokens of a prompt that are read between two steps of the other answers',
      tokenCount,
      128,
    );
  addWithAliases(
    command,
    otherwise(
      new Option('--max-context <n>', 'the most tokens of a prompt and its answer together').argParser(
        tokenCount,
      ),
      "the model's context",
    ),
    '--context',
  )
    .addOption(
      sizeOption(
        '--prefix-cache <size>',
        'memory for beginnings that prompts share, which are read once',
      ).default(2 ** 29, '512MiB'),
    )
    .addOption(maxTokensOption('as many as the context holds'))
    .addOption(sizeOption('--max-body <size>', 'the largest request').default(4 * 2 ** 20, '4MiB'))
    .option('--timeout <seconds>', 'time from the arrival of a request to its last token', wholeNumber, 600)
    .option('--drain <seconds>', 'time that answers have to finish after Ctrl-C or SIGTERM', natural, 30)
    .addOption(
      oneOf(
        new Option(
          '--log-level <level>',
          'what the log on standard error tells, as JSON by lines; never prompts',
        ),
        ['debug', 'info', 'warn', 'error', 'silent'],
      ).default('info'),
    )
    .addHelpText(
      'after',
      '\nRoutes: /v1/models, /v1/completions, /v1/chat/completions, /v1/responses, /health, /metrics, /openapi.json\n' +
        '\nExamples:\n' +
        '  postnas serve models/base\n' +
        '  curl http://127.0.0.1:8000/v1/completions -d \'{"prompt": "key", "max_tokens": 16}\'\n' +
        '  postnas serve HuggingFaceTB/SmolLM2-135M-Instruct --dtype q8 --prefix-cache 2GB\n' +
        '  POSTNAS_API_KEY=secret postnas serve models/hybrid --host 0.0.0.0 --port 80',
    );
  return action<Options>(command, async ({ progress, signal, json }, options, [path = '']) => {
    const {
      device,
      dtype,
      kvDtype,
      threads,
      prefixCache,
      host,
      port,
      apiKey,
      cors: origins,
      quiet,
    } = options;
    const log = pino({ level: options.logLevel }, pino.destination({ dest: 2, sync: true }));
    await using model = await Model.fromPretrained(path, {
      batches: true,
      ...{ device, dtype, kvDtype, threads, prefixCacheBytes: prefixCache },
      onProgress: progress.report,
      signal,
    });
    for (const notice of model.notices) log.warn(notice);
    const name = options.name ?? basename(resolve(path));
    const server = await serve(model, [...new Set([name, path])], {
      ...{ host, port, apiKey, origins, log },
      ...{ maxBatch: options.maxBatch, maxQueue: options.queue, pieceTokens: options.piece },
      contextLength: options.maxContext,
      limits: {
        body: options.maxBody,
        seconds: options.timeout,
        ...(options.maxTokens === undefined ? {} : { maxTokens: options.maxTokens }),
      },
    });
    progress.stop();
    const { url } = server;
    // One line, so that a script that started it can wait for it.
    process.stdout.write(json ? `${JSON.stringify({ url, model: name })}\n` : `${name} at ${url}/v1\n`);
    if (!signal.aborted) await new Promise((stop) => signal.addEventListener('abort', stop, { once: true }));
    if (!quiet) {
      const said = `finishing the answers that were begun, for ${options.drain} s at most`;
      process.stderr.write(`${said} (Ctrl-C again to end at once)\n`);
    }
    await server.drain(options.drain);
    // SIGTERM is how servers are ended when all is well.
    if ((signal.reason as Interrupted).by === 'SIGINT') throw new Interrupted('stopped');
  });
}

const collect = (value: string, all: string[]) => [...all, value];
