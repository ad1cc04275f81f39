import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import type { Device } from '../graph/index.ts';
import { WRITTEN_DTYPES } from '../model/safetensors.ts';
import { KV_DTYPES } from '../runtime/kv/blocks.ts';
import { DEFAULTS } from '../search/defaults.ts';
import { linearKinds } from '../search/network/linear-mixer.ts';
import { STARTS } from '../search/train/start.ts';
import { InputError } from '../util/errors.ts';
import { byteCount, natural, port, share, tokenCount, wholeNumber } from './parsers.ts';
import { fileToWrite, folderToWrite } from './paths.ts';

/**
 * Options that more than one command has: one name, one parser and one description each, so that who knows them of one
 * command knows them of all (test/cli/conventions.test.ts).
 */

/** An earlier or another spelling of an option: it works, and no help shows it. */
export class Alias extends Option {
  constructor(
    flags: string,
    readonly of: Option,
  ) {
    super(flags.replace(/$/, of.flags.replace(/^[^<[]*/, ' ')), of.description);
    this.parseArg = of.parseArg;
    this.hideHelp();
  }
}

/** Adds an option to a command, with other spellings of it: `addWithAliases(command, out, '--output')`. */
export function addWithAliases(command: Command, option: Option, ...flags: string[]): Command {
  command.addOption(option);
  for (const each of flags) command.addOption(new Alias(each, option));
  return command;
}

/**
 * Moves what was given by an alias to the option that it stands for.
 *
 * @throws InputError where both were given
 */
export function resolveAliases(command: Command): void {
  for (const alias of command.options) {
    if (!(alias instanceof Alias)) continue;
    const value: unknown = command.getOptionValue(alias.attributeName());
    if (value === undefined) continue;
    const { of } = alias;
    if (command.getOptionValueSource(of.attributeName()) === 'cli') {
      throw new InputError(`${alias.long} is another name of ${of.long}: give one of them`);
    }
    command.setOptionValueWithSource(of.attributeName(), value, 'cli');
    command.setOptionValue(alias.attributeName(), undefined);
  }
}

/** Limits an option to some names, in upper or lower case. */
export function oneOf<T extends string>(option: Option, values: readonly T[]): Option {
  const shown = values.map((value) => value.toLowerCase());
  // Also shows them in the help.
  return option.choices(shown).argParser((text): T => {
    const at = shown.indexOf(text.toLowerCase());
    if (at < 0) throw new InvalidArgumentError(`Expected one of ${shown.join(', ')}.`);
    return values[at]!;
  });
}

/** A default that is no value of the option: what holds when it is not given. */
export function otherwise(option: Option, text: string): Option {
  return option.default(undefined, text);
}

const OUT = '-o, --out <path>';
const OUT_MEANING = 'where the result is written';

/** A folder that the command writes to; without a default it may be left out for a positional argument. */
export function outFolder(byDefault?: string): Option {
  const option = new Option(OUT, OUT_MEANING).argParser(
    folderToWrite('--out', 'a folder that can be written'),
  );
  return byDefault === undefined ? option : option.default(byDefault);
}

/** A file that the command writes. */
export function outFile(): Option {
  return new Option(OUT, OUT_MEANING).argParser(fileToWrite('--out', 'a file that can be written'));
}

/**
 * The folder that was given by --out, or by position as in earlier versions.
 *
 * @throws InputError where it was given twice, or not at all
 */
export function outOf(out: string | undefined, positional: string | undefined, what: string): string {
  if (out !== undefined && positional !== undefined) {
    throw new InputError(`${positional} and --out ${out}: expected one folder for ${what}`);
  }
  const folder = out ?? positional;
  if (folder === undefined) throw new InputError(`expected a folder for ${what}: --out FOLDER`);
  return folder;
}

/** The same folder by position, as in earlier versions. */
export function outArgument(): Argument {
  return new Argument('[folder]', 'the same as --out').argParser(
    folderToWrite('<folder>', 'a folder that can be written'),
  );
}

/** @param parser of a file or of a folder, as the command needs it */
export function tokenizerOption(parser: (path: string) => string): Option {
  return new Option('--tokenizer <path>', 'where the tokenizer is taken from').argParser(parser);
}

/** A model that is read: a folder, or a name that is looked for on the Hub. */
export function modelArgument(name = 'model'): Argument {
  return new Argument(`<${name}>`, 'model folder, or a name on the Hugging Face Hub: org/model');
}

export function mixerOption(): Option {
  const meaning = `block that takes the place of attention: ${linearKinds().join(', ')}; +rope rotates its queries and keys as the model's attention does, +window128 puts it beside attention over 128 tokens and the first 4`;
  return new Option('--mixer <kind>', meaning).default(DEFAULTS.placement.mixer);
}

export function startOption(): Option {
  const meaning =
    "what linear blocks start from: calibrated, the attention's weights and what it does with 1,024 tokens of the text, or copied, " +
    'its weights alone';
  return otherwise(
    oneOf(new Option('--start <how>', meaning), [...STARTS]),
    'calibrated, where a block takes that',
  );
}

export function windowDropoutOption(): Option {
  const meaning =
    'share of rows, from 0 to 1, in which windows that have a linear mixer beside them are left out, so that it is used; it falls ' +
    'to 0 over the steps of each training';
  return new Option('--window-dropout <x>', meaning).argParser(share);
}

export function seedsOption(): Option {
  const option = new Option('--seeds <n>', 'how often everything is done, each time with another seed');
  return option.argParser(wholeNumber).default(DEFAULTS.seeds.length);
}

export function threadsOption(): Option {
  const option = new Option('--threads <n>', 'threads that compute in each process').argParser(wholeNumber);
  return otherwise(option, 'all cores');
}

export const DEVICES: readonly Device[] = ['cpu', 'webgpu'];

export function deviceOption(): Option {
  return oneOf(new Option('--device <name>', 'where the model is computed'), DEVICES);
}

/** The type of weights, of which a command knows some. */
export function dtypeOption<T extends string>(
  values: readonly T[],
  flags = '--dtype <type>',
  meaning = 'type of the weights',
): Option {
  return oneOf(new Option(flags, meaning), values);
}

/** The type of weights that are written without quantisation. */
export function writtenDtypeOption(): Option {
  const byDefault = DEFAULTS.final.dtype;
  return dtypeOption(WRITTEN_DTYPES).default(byDefault, byDefault.toLowerCase());
}

/** The option of commands that run a model: `kvDtype`. */
export function kvDtypeOption(): Option {
  return otherwise(
    oneOf(
      new Option('--kv-dtype <type>', 'type of the keys and values that attention layers keep'),
      KV_DTYPES,
    ),
    'q8 for weights in q8 or q4, else f32',
  );
}

/** A size of memory or of files. */
export function sizeOption(flags: string, meaning: string, parser = byteCount): Option {
  return new Option(flags, meaning).argParser(parser);
}

export function seedOption(): Option {
  return new Option('--seed <n>', 'seed of all random draws').argParser(natural);
}

export function lengthOption(): Option {
  return new Option('--length <n>', 'tokens of a row').argParser(tokenCount);
}

export function maxTokensOption(byDefault: string): Option {
  const option = new Option('-n, --max-tokens <n>', 'the most tokens of an answer').argParser(tokenCount);
  return otherwise(option, byDefault);
}

export function portOption(byDefault: number): Option {
  return new Option('--port <n>', 'port to listen on; 0 takes any that is free')
    .argParser(port)
    .default(byDefault);
}

/** How far each key and value head of a model sees. */
export function placementOption(): Option {
  const meaning =
    "placement of the model: which heads see all tokens; a name in the model's folder, or a file";
  return otherwise(new Option('--placement <name>', meaning), 'what config.json says');
}

/** Layers as numbers, or the file that has them. */
export function fullLayersOption(): Option {
  const meaning =
    'layers that keep full attention, counted from 0, such as 1,3; or the result.json of a search';
  return new Option('--full-layers <layers>', meaning);
}

/** @throws InputError where --full-layers was not given, or is neither */
export function fullLayersOf(text: string | undefined): number[] | string {
  const expected = 'expected layers such as 1,3, or the result.json of a search';
  if (text === undefined) throw new InputError(`--full-layers is missing: ${expected}`);
  if (text.endsWith('.json')) return text;
  const layers = text.split(/[\s,]+/).filter(Boolean);
  if (layers.length === 0 || layers.some((layer) => !/^\d+$/.test(layer))) {
    throw new InputError(`--full-layers ${text}: ${expected}`);
  }
  return layers.map(Number);
}

export function estimateOption(): Option {
  return new Option('--estimate', 'only say what will be done and how long it will take').conflicts(
    'restart',
  );
}

export function jobsOption(): Option {
  const option = new Option('--jobs <n>', 'trainings done at the same time, each in its own process');
  return otherwise(option.argParser(wholeNumber), 'as many as cores for small models, else 1');
}

export function decodeTokensOption(byDefault: number): Option {
  const option = new Option('--decode-tokens <n>', 'tokens that are decoded in a round of timing');
  return option.argParser(tokenCount).default(byDefault);
}

export function decodeRoundsOption(byDefault: number): Option {
  const option = new Option('--decode-rounds <n>', 'rounds of timing, of which the median counts');
  return option.argParser(wholeNumber).default(byDefault);
}

export function overwriteOption(): Option {
  return new Option('--overwrite', 'replace what is there');
}
