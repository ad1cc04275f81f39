import { basename, resolve } from 'node:path';
import { Command, Option } from 'commander';
import pino from 'pino';
import type { Device } from '../../graph/index.ts';
import { WEIGHT_DTYPES, type WeightDtype } from '../../model/quantized-tensors.ts';
import type { KvDtype } from '../../runtime/kv-blocks.ts';
import { Model } from '../../runtime/model.ts';
import { serve } from '../../server/serve.ts';
import { action, kvDtypeOption, natural, wholeNumber } from '../command.ts';
import { byteCount } from '../numbers.ts';

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
  context?: number;
  maxTokens?: number;
  maxBody: number;
  timeout: number;
  drain: number;
  prefixCache: number;
  logLevel: string;
}

/** `postnas serve`: a model over HTTP, by OpenAI's interface. */
export function serveCommand(): Command {
  const command = new Command('serve')
    .description("serve a model over HTTP, by OpenAI's interface")
    .argument('<model>', 'model folder, or a name on the hub: org/model')
    .option('--host <address>', 'where to listen; other than this machine only with --api-key', '127.0.0.1')
    .option('--port <n>', '0 for any that is free', natural, 8000)
    .addOption(
      new Option(
        '--api-key <key>',
        'what clients have to send; better in the variable, where nothing is no key',
      ).env('POSTNAS_API_KEY'),
    )
    .option('--cors <origin>', 'lets pages of this origin ask, * all; may be given again', collect, [])
    .option('--name <name>', "what clients call the model (the folder's name)")
    .addOption(new Option('--device <name>', 'where it runs').choices(['cpu', 'webgpu']).default('cpu'))
    .addOption(
      new Option('--dtype <type>', 'of the weights (as they are stored when not given)').choices(
        WEIGHT_DTYPES,
      ),
    )
    .addOption(kvDtypeOption())
    .option('--threads <n>', 'threads of ONNX Runtime (all cores when not given)', wholeNumber)
    .option('--max-batch <n>', 'texts that are written at once', wholeNumber, 16)
    .option(
      '--queue <n>',
      'texts that may wait; beyond that, requests get 429 and a time to come back',
      wholeNumber,
      256,
    )
    .option(
      '--piece <n>',
      'tokens of a prompt that are read between two steps of the others',
      wholeNumber,
      128,
    )
    .option(
      '--context <n>',
      "tokens of the longest text, its prompt included (the model's when not given)",
      wholeNumber,
    )
    .option(
      '--prefix-cache <size>',
      'memory for beginnings of prompts, which are read once',
      byteCount,
      2 ** 29,
    )
    .option(
      '--max-tokens <n>',
      'the most that a request may ask for (the context when not given)',
      wholeNumber,
    )
    .option('--max-body <size>', 'of a request', byteCount, 4 * 2 ** 20)
    .option('--timeout <seconds>', 'from the arrival of a request to its last token', wholeNumber, 600)
    .option('--drain <seconds>', 'how long texts are finished after Ctrl-C or SIGTERM', natural, 30)
    .addOption(
      new Option(
        '--log-level <level>',
        'of the log on standard error, a JSON object a line; prompts are never in it',
      )
        .choices(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info'),
    )
    .addHelpText(
      'after',
      '\nRoutes: /v1/models, /v1/completions, /v1/chat/completions, /v1/responses, /health, /metrics, /openapi.json\n' +
        '\nExamples:\n' +
        '  postnas serve models/base\n' +
        '  curl http://127.0.0.1:8000/v1/completions -d \'{"prompt": "key", "max_tokens": 16}\'\n' +
        '  postnas serve HuggingFaceTB/SmolLM2-135M-Instruct --dtype q8 --prefix-cache 2GB\n' +
        '  POSTNAS_API_KEY=secret postnas serve runs/hybrid --host 0.0.0.0 --port 80',
    );
  return action<Options>(command, async ({ progress, signal, json }, options, [path = '']) => {
    const { device, dtype, kvDtype, threads, prefixCache, host, port, apiKey, cors: origins } = options;
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
      contextLength: options.context,
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
    await server.drain(options.drain);
  });
}

const collect = (value: string, all: string[]) => [...all, value];
