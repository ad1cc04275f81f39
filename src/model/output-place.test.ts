import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimFile, claimFolder, refuseInputs } from './output-place.ts';

let dir: string;
let model: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'postnas-output-'));
  model = join(dir, 'model');
  mkdirSync(model);
  writeFileSync(join(model, 'config.json'), '{}');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('a new folder, an empty one, what a killed process has left', () => {
  claimFolder(join(dir, 'new/deep'), { inputs: [model] });
  mkdirSync(join(dir, 'empty/.saving'), { recursive: true });
  claimFolder(join(dir, 'empty'), { inputs: [model] });
});

test('a folder with something in it, by --overwrite alone', () => {
  const other = join(dir, 'other');
  mkdirSync(other);
  writeFileSync(join(other, 'config.json'), '{}');
  expect(() => claimFolder(other, { inputs: [model] })).toThrow(
    /other has config\.json in it: choose another folder, or --overwrite/,
  );
  claimFolder(other, { inputs: [model], overwrite: true });
  expect(() => claimFolder(join(model, 'config.json'), { inputs: [] })).toThrow(/is no folder/);
});

test('what is read is never written over: by another spelling, a link, from above', () => {
  symlinkSync(model, join(dir, 'link'));
  for (const place of [model, `${model}/`, join(dir, 'x/../model'), join(dir, 'link')]) {
    expect(() => claimFolder(place, { inputs: [model], overwrite: true }), place).toThrow(
      /is what is read: choose another folder/,
    );
  }
  expect(() => claimFolder(dir, { inputs: [model], overwrite: true })).toThrow(
    /holds .*model, which is read/,
  );
  claimFolder(join(model, 'onnx'), { inputs: [model] });
  refuseInputs(join(dir, 'model-2'), [model]);
  refuseInputs(join(dir, '..model'), [model]);
});

test('a file: not one of the model', () => {
  const path = join(dir, 'x.gguf');
  claimFile(path, { inputs: [model] });
  writeFileSync(path, '');
  expect(() => claimFile(path, { inputs: [model] })).toThrow(
    /is there already: choose another name, or --overwrite/,
  );
  claimFile(path, { inputs: [model], overwrite: true });
  expect(() => claimFile(join(model, 'config.json'), { inputs: [model], overwrite: true })).toThrow(
    /belongs to the model that is read/,
  );
  expect(() => claimFile(model, { inputs: [model], overwrite: true })).toThrow(
    /is a folder, expected a file/,
  );
});
