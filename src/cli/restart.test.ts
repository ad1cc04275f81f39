import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkOwn, LEFTOVERS, removeRun } from './restart.ts';

let top: string;
let folder: string;
beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), 'postnas-restart-'));
  folder = join(top, 'run');
});
afterEach(() => rmSync(top, { recursive: true }));

function make(...files: string[]): void {
  for (const file of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), 'x'.repeat(512));
  }
}

function left(): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

const MODEL = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
];
const model = (at: string) => MODEL.map((file) => `${at}/${file}`);
const training = (at: string) => [
  `${at}/state.safetensors`,
  `${at}/log.jsonl`,
  `${at}/state.safetensors.123.tmp`,
];

test.each([
  [
    'search',
    [
      ...['align', 'supernet', 'finish'].flatMap((stage) => training(`seed-2/${stage}`)),
      ...['found', 'judged', 'unseen'].map((name) => `seed-2/${name}.json`),
      ...['result.json', 'report.html'],
      ...model('seed-2/hybrid'),
      ...model('seed-2/hybrid/.saving'),
      ...['seed-2/hybrid/model-00001-of-00002.safetensors', 'seed-2/hybrid/model.safetensors.index.json'],
    ],
  ],
  [
    'comparison',
    [
      ...training('seed-1/gated_deltanet+rope/align'),
      ...training('seed-1/gated_deltanet+rope/train'),
      ...['seed-1/gla/trial.json', 'seed-1/gla/judged.json'],
      ...['parent.json', 'decode.json', 'train.json', 'choice.json', 'result.json', 'report.html'],
      ...['seed-1/gla/trial.json.damaged', 'seed-1/gla/align/state.safetensors.damaged'],
      ...model('hybrid'),
    ],
  ],
  ['distill', [...training('features'), ...training('logits'), ...training('all'), ...model('hybrid')]],
  ['pretrain', ['state.safetensors', 'log.jsonl', ...model('model')]],
  [
    'run',
    [
      ...['placement', 'blocks', 'windows', 'final', 'mlps'].map((stage) => `${stage}/stage.json`),
      ...training('placement/seed-1/align'),
      ...training('design/seed-1/released/train'),
      ...['throughput/found.json', 'windows/seed-3/found.json', 'windows/seed-3/judged.json'],
      ...['mlps/seed-1/found.json', 'mlps/seed-1/frozen.json', 'mlps/seed-1/trained.json'],
      ...training('mlps/seed-1/supernet'),
      ...[
        'final/parent.json',
        'final/cost.json',
        'final/seed-1/found.json',
        'final/seed-1/judged-features.json',
      ],
      ...model('final/seed-1/student'),
      ...model('final/seed-1/hybrid'),
      ...training('final/seed-1/logits'),
      ...['result.json', 'report.html'],
    ],
  ],
] as const)('%s: all that it wrote goes, and nothing else', (command, files) => {
  const others = [
    ...['notes.txt', 'seed-1/notes.txt', 'result.json.bak', 'other/result.json', 'hybrid/mine.safetensors'],
    ...['align/state.safetensors', 'seed-x/found.json', 'model/model.gguf'],
  ];
  make(...files, ...others);
  const said: string[] = [];
  removeRun(folder, LEFTOVERS[command], (line) => said.push(line));
  expect(left().filter((path) => files.includes(path as never))).toEqual([]);
  for (const other of others)
    expect({ other, kept: existsSync(join(folder, other)) }).toEqual({ other, kept: true });
  const size = files.length * 512;
  const shown = size < 1024 ? `${size} B` : `${(size / 1024).toFixed(1)} KiB`;
  expect(said).toEqual([
    `${folder}: removed the ${files.length} files of the earlier run (${shown}); kept ${others.length} that postnas did not write`,
  ]);
});

test('folders that are empty then go, too; the run’s own folder stays', () => {
  make('seed-1/align/state.safetensors', 'result.json');
  removeRun(folder, LEFTOVERS.search, () => {});
  expect(left()).toEqual([]);
});

test('a folder that is not there, and links', () => {
  removeRun(join(folder, 'nothing'), LEFTOVERS.search, () => {
    throw new Error('there is nothing to say');
  });
  const elsewhere = join(top, 'elsewhere.json');
  writeFileSync(elsewhere, '{}');
  make('notes.txt');
  mkdirSync(join(folder, 'seed-1'));
  symlinkSync(elsewhere, join(folder, 'seed-1/found.json'));
  // Where a link leads, nothing is removed.
  const other = join(top, 'other');
  mkdirSync(other);
  writeFileSync(join(other, 'state.safetensors'), '');
  symlinkSync(other, join(folder, 'seed-1/align'));
  removeRun(folder, LEFTOVERS.search, () => {});
  expect(existsSync(elsewhere)).toBe(true);
  expect(existsSync(join(other, 'state.safetensors'))).toBe(true);
  expect(readdirSync(folder)).toEqual(['notes.txt', 'seed-1']);
  expect(readdirSync(join(folder, 'seed-1'))).toEqual(['align']);
});

const SIGNS: Record<keyof typeof LEFTOVERS, string[]> = {
  search: ['seed-1/align/log.jsonl', 'seed-3/found.json'],
  comparison: ['seed-1/gla/align/state.safetensors', 'seed-1/gla/trial.json'],
  run: [
    'placement/stage.json',
    'placement/seed-1/align/log.jsonl',
    'final/seed-1/features/state.safetensors',
  ],
  distill: ['features/log.jsonl', 'all/state.safetensors'],
  pretrain: ['state.safetensors'],
};
const commands = Object.keys(SIGNS) as (keyof typeof LEFTOVERS)[];

test.each(commands)('the folder of %s is refused by the other commands alone', (owner) => {
  for (const sign of SIGNS[owner]) {
    make(sign);
    expect(() => checkOwn(folder, LEFTOVERS[owner])).not.toThrow();
    for (const other of commands.filter((each) => each !== owner)) {
      expect(() => checkOwn(folder, LEFTOVERS[other]), other).toThrow(
        `${folder} holds a run of another command (${sign}); give another --out`,
      );
    }
    rmSync(folder, { recursive: true });
  }
});

test("anyone's files are no run", () => {
  make(
    'log.jsonl',
    'train.json',
    'features/notes.txt',
    'src/placement/stage.json',
    ...model('model'),
    ...model('hybrid'),
  );
  for (const command of commands) {
    expect(() => checkOwn(folder, LEFTOVERS[command])).not.toThrow();
    expect(() => checkOwn(join(folder, 'log.jsonl'), LEFTOVERS[command])).not.toThrow();
    expect(() => checkOwn(join(folder, 'missing'), LEFTOVERS[command])).not.toThrow();
  }
});
