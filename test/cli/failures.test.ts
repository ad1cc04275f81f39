/** What people are told when a path, a port, an option or a command is wrong: one line that names it, and exit code 1. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failureOf, Interrupted } from '../../src/cli/failure.ts';
import { InputError } from '../../src/util/errors.ts';
import { command, postnas, postnasHere, root } from '../support/command.ts';

let folder: string;
let file: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postnas-failures-'));
  file = join(folder, 'a-file');
  writeFileSync(file, 'text');
  mkdirSync(join(folder, 'a-folder'));
  symlinkSync('loop', join(folder, 'loop'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What a command says, and that it fails. */
async function failure(...args: string[]): Promise<string> {
  const { code, stderr } = await postnasHere(args);
  expect(code).toBe(1);
  return stderr.trim();
}

const base = 'models/base';
/** Every option and argument that names something to read: what goes before it, and its name in messages. */
const READ: [before: string[], name: string, expected: string][] = [
  ...['search', 'blocks', 'design', 'dimensions', 'distill'].flatMap((command): typeof READ => [
    [[command, base, '--data'], '--data', "a text file, or 'world'"],
    [[command, base, '--held-out'], '--held-out', 'a text file'],
  ]),
  [['eval', base, '--held-out'], '--held-out', 'a text file'],
  [['eval', base, '--text'], '--held-out', 'a text file'],
  [['import'], '<file>', 'a GGUF or llama2.c file'],
  [['import', 'LICENSE', '--tokenizer'], '--tokenizer', "llama2.c's tokenizer file"],
  [['run'], '<recipe>', 'a recipe in JSON'],
];

describe.each(READ)('%j', (before, name, expected) => {
  test('a folder', async () => {
    const at = join(folder, 'a-folder');
    // A folder of texts may be given, but there is none in this one.
    const texts = ['--data', '--held-out'].includes(name);
    const said = texts
      ? 'it has no texts; expected files with .txt, .jsonl, .ndjson, .json and .parquet, the first four also with .gz'
      : `it is a folder; expected ${expected}`;
    expect(await failure(...before, at)).toBe(`postnas: ${name} ${at}: ${said}`);
  });

  test.each([
    ['nothing', 'no-file', 'no such file or folder'],
    ['something below a file', 'a-file/below', 'a part of the path is a file, a folder is expected there'],
    ['links in a circle', 'loop', 'its links lead in a circle'],
    ['a name that is too long', 'x'.repeat(300), 'the name is too long'],
  ])('%s', async (_, path, meaning) => {
    const at = join(folder, path);
    expect(await failure(...before, at)).toBe(`postnas: ${name} ${at}: ${meaning}; expected ${expected}`);
  });

  test('an empty name', async () => {
    expect(await failure(...before, '')).toBe(`postnas: ${name} '': it is empty; expected ${expected}`);
  });
});

describe('folders and files that are read alike', () => {
  test.each([
    [
      ['init', '--tokenizer', 'FILE'],
      '--tokenizer FILE: it is a file; expected a model folder whose tokenizer is copied',
    ],
    [
      ['init', '--config', 'NONE'],
      '--config NONE: no such file or folder; expected a config.json, or a folder that has one',
    ],
    [
      ['report', 'NONE'],
      '<results> NONE: no such file or folder; expected a result.json, or the folder that has it',
    ],
    [['report', 'FOLDER'], 'cannot read FOLDER/result.json: no such file or folder'],
    [['report', 'FILE'], 'FILE'],
    [['blocks', base, '--placement', 'NONE.json'], 'cannot read NONE.json: no such file or folder'],
    [['blocks', base, '--placement', 'JSON'], 'cannot read JSON: it is a folder, a file is expected'],
    [['info', 'FILE'], 'FILE is a file, a model folder is expected'],
    [['generate', 'FILE', '--prompt', 'x'], 'FILE is a file, a model folder is expected'],
    [['serve', 'FILE'], 'FILE is a file, a model folder is expected'],
    [['info', 'NONE'], 'NONE is neither a folder nor the name of a model'],
    [['info', 'NONE.json'], '<model> NONE.json: no such file or folder; expected a config.json'],
    [['distill', base, 'FILE'], 'FILE is a file, a model folder is expected'],
    [['quantize', 'FILE', '--out', 'NONE'], 'FILE is a file, a model folder is expected'],
    [['export', 'FOLDER', '--gguf', '--out', 'NONE'], 'FOLDER is no model folder: it has no config.json'],
  ])('%j', async (args, message) => {
    mkdirSync(join(folder, 'result.json'), { recursive: true });
    const names: [string, string][] = [
      ['JSON', join(folder, 'result.json')],
      ['FOLDER', join(folder, 'a-folder')],
      ['FILE', file],
      ['NONE', join(folder, 'no-such')],
    ];
    const filled = (text: string) => names.reduce((all, [name, path]) => all.replace(name, path), text);
    const said = await failure(...args.map(filled));
    expect(said).toContain(`postnas: ${filled(message)}`.replace(/^postnas: cannot/, 'cannot'));
    expect(said).not.toMatch(/E[A-Z]{4,}|\n\s+at /);
  });
});

describe('what is written', () => {
  const FOLDERS: string[][] = [
    ...['search', 'blocks', 'design', 'dimensions'].map((command) => [command, base, '--out']),
    ['distill', base, base, '--out'],
    ['distill', base, base, '--cache-logits'],
    ['run', 'recipes/quick.json', '--out'],
    ['start', '-o'],
    ['pretrain', '--out'],
    ['init', '--config', base, '--out'],
    ['import', 'LICENSE', '--out'],
    ['quantize', base, '--out'],
  ];
  test.each(FOLDERS)('a folder of %s %s %s %s', async (...args) => {
    const given = args.filter((arg) => typeof arg === 'string');
    const name = given.at(-1) === '-o' ? '--out' : given.at(-1)!;
    expect(await failure(...given, file)).toBe(
      `postnas: ${name} ${file}: it is a file; expected a folder that can be written`,
    );
    expect(await failure(...given, join(file, 'below'))).toContain('a part of the path is a file');
  });

  const FILES: string[][] = [
    ['report', 'LICENSE', '--out'],
    ['bench', base, '--out'],
  ];
  test.each(FILES)('a file of %s %s %s', async (...args) => {
    expect(await failure(...args, folder)).toBe(
      `postnas: --out ${folder}: it is a folder; expected a file that can be written`,
    );
    expect(await failure(...args, join(file, 'below'))).toContain('a part of the path is a file');
  });

  test('by position, as in earlier versions; not twice, not nowhere', async () => {
    expect(await failure('quantize', base, file)).toContain(`<folder> ${file}: it is a file`);
    expect(await failure('quantize', base)).toBe('postnas: expected a folder for the model: --out FOLDER');
    expect(await failure('quantize', base, 'a', '--out', 'b')).toBe(
      'postnas: a and --out b: expected one folder for the model',
    );
    expect(await failure('export', base, '--gguf')).toBe(
      'postnas: expected a folder for the export: --out FOLDER',
    );
    expect(await failure('export', base, '--gguf', folder)).toContain(`--gguf ${folder}: it is a folder`);
    expect(await failure('export', base, '--onnx', '--out', file)).toContain(`--out ${file}: it is a file`);
  });

  test('an option by two of its names', async () => {
    expect(await failure('report', 'LICENSE', '--out', 'a', '--output', 'b')).toBe(
      'postnas: --output is another name of --out: give one of them',
    );
  });
});

describe('ports', () => {
  test.each(['-1', '70000', '80.5', 'http', ''])('%j', async (port) => {
    for (const before of [['serve', base], ['start'], ['run', 'recipes/quick.json']]) {
      const said = await failure(...before, `--port=${port}`);
      expect(said).toContain(
        `postnas: option '--port <n>' argument '${port}' is invalid. Expected a port, 0 to 65535`,
      );
    }
  });

  test('one that is taken', async () => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as { port: number };
    expect(await failure('serve', base, '--port', String(port), '--threads', '1', '--quiet')).toBe(
      `postnas: cannot listen on 127.0.0.1:${port}: the port is taken: give another with --port`,
    );
    await new Promise((closed) => server.close(closed));
  });
});

describe('--restart', () => {
  test.each([
    ['search', ['--budget', '9'], /9/],
    ['search', ['--task', 'chess'], /unknown task 'chess'/],
    ['blocks', ['--placement', '1,30'], /no layer 30/],
  ])('removes nothing where other options are wrong: %s %j', async (command, options, message) => {
    const out = mkdtempSync(join(folder, 'run-'));
    writeFileSync(join(out, 'result.json'), '{}');
    expect(await failure(command, base, '--out', out, '--restart', '--quiet', ...options)).toMatch(message);
    expect(readdirSync(out)).toEqual(['result.json']);
  });

  test('is not for what does not begin a run', async () => {
    expect(await failure('run', 'recipes/quick.json', '--estimate', '--restart')).toMatch(
      /cannot be used with/,
    );
    expect(await failure('run', 'recipes/quick.json', '--unit', 'x', '--restart')).toMatch(
      /cannot be used with/,
    );
  });
});

describe('options and commands that there are not', () => {
  test('the nearest one is named, and the help is not printed over it', async () => {
    expect(await failure('serch')).toMatch(/^postnas: unknown command 'serch'\n\(Did you mean search\?\)/);
    const said = await failure('search', base, '--bugdet', '3');
    expect(said).toMatch(/^postnas: unknown option '--bugdet'\n\(Did you mean --budget\?\)/);
    expect(said.split('\n').length).toBeLessThan(6);
    expect(said).toContain('--help');
  });

  test('wrong values', async () => {
    expect(await failure('generate', base, '--dtype', 'bf16')).toContain('Expected one of f32, q8, q4, f16.');
    expect(await failure('search', base, '--budget', '2K')).toContain('Expected a whole number above 0.');
    expect(await failure('search', base, '--length', '2T')).toContain('such as 4096 or 64K');
    expect(await failure('search', base, '--rate', 'fast')).toContain('Expected a number above 0.');
  });
});

test('an argument behind an option that takes all that follows', async () => {
  expect(await failure('search', '--data', 'LICENSE', base)).toContain(
    "postnas: missing required argument 'model'; it stands before --data, --held-out, --task: such an option takes all that follows",
  );
  expect(await failure('info')).toMatch(/^postnas: missing required argument 'model'\n/);
});

describe('how failures end', () => {
  test('input, system, fault, Ctrl-C', () => {
    expect(failureOf(new InputError('x: wrong'))).toEqual({ text: 'postnas: x: wrong', code: 1 });
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      syscall: 'write',
    });
    expect(failureOf(full)).toEqual({ text: 'postnas: no space is left on the disk', code: 1 });
    expect(failureOf(Object.assign(full, { path: '/a' })).text).toBe(
      'postnas: /a: no space is left on the disk',
    );
    const fault = failureOf(new TypeError('x is not a function'));
    expect(fault.text).toMatch(
      /^postnas: TypeError: x is not a function\n +at .*fault in postnas.*report it/s,
    );
    expect(fault.code).toBe(1);
    expect(failureOf('thrown').text).toMatch(/^postnas: .*thrown/);
    expect(failureOf(new Interrupted('stopped here'))).toEqual({ text: 'stopped here', code: 130 });
    expect(failureOf(new DOMException('x', 'AbortError'))).toEqual({ text: 'stopped', code: 130 });
  });

  test('a process ends with 1 and one line, and leaves nothing', async () => {
    const { code, stdout, stderr } = await postnas(['import', join(folder, 'x.gguf'), join(folder, 'model')]);
    expect(stderr).toBe(
      `postnas: <file> ${join(folder, 'x.gguf')}: no such file or folder; expected a GGUF or llama2.c file\n`,
    );
    expect({ code, stdout, made: existsSync(join(folder, 'model')) }).toEqual({
      code: 1,
      stdout: '',
      made: false,
    });
  });

  test.skipIf(!existsSync('/dev/full'))('standard output that takes nothing more (needs /dev/full)', () => {
    const line = `${process.execPath} ${command} info ${base} > /dev/full`;
    const { status, stderr } = spawnSync('sh', ['-c', line], { cwd: root, encoding: 'utf8' });
    expect(stderr).toBe('postnas: no space is left on the disk\n');
    expect(status).toBe(1);
  });
});

// Root may read and write everything: as root, the command is run as somebody else.
describe.skipIf(process.platform === 'win32')('what is not permitted (needs POSIX)', () => {
  const somebody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [command, ...args], { cwd: root, encoding: 'utf8', ...somebody });

  test('reading and writing', () => {
    chmodSync(folder, 0o755);
    const [secret, closed] = [join(folder, 'secret.txt'), join(folder, 'closed')];
    writeFileSync(secret, 'text', { mode: 0o000 });
    mkdirSync(closed, { mode: 0o555 });
    chmodSync(closed, 0o555);
    expect(run('search', base, '--data', secret).stderr).toBe(
      `postnas: --data ${secret}: permission denied; expected a text file, or 'world'\n`,
    );
    const out = join(closed, 'a/b');
    expect(run('search', base, '--out', out)).toMatchObject({
      status: 1,
      stderr: `postnas: --out ${out}: permission denied; expected a folder that can be written\n`,
    });
    expect(readdirSync(closed)).toEqual([]);
  });
});
