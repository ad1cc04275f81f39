import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomWeights, tinyConfig } from '../../test/support/random-model.ts';
import { openCheckpoint, saveCheckpoint } from './checkpoint.ts';
import { Folder } from './folder.ts';
import { copyPlacements, openPlaced, writePlacement } from './placed-folder.ts';
import { applyPlacement, type Placement, placementOf } from './placement.ts';
import { findPlacement, placementNames } from './placement-files.ts';
import { weightsHash } from './weights-hash.ts';

let root: string;
let dir: string;
let placement: Placement;
const config = tinyConfig([{ kind: 'attention' }, { kind: 'attention' }, { kind: 'attention' }]);
const layers = [
  { kind: 'sliding_window', window: 8, sinks: 2 },
  { kind: 'attention' },
  { kind: 'sliding_window', window: 4, sinks: 2 },
] as const;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'postnas-placements-'));
  dir = join(root, 'model');
  await saveCheckpoint(dir, config, randomWeights(config), { dtype: 'F32' });
  const weights = await weightsHash(openCheckpoint(dir));
  placement = placementOf(config, { ...config, layers: [...layers] }, { name: 'near', weights });
  writePlacement(dir, placement);
  writePlacement(dir, { ...placement, name: 'far', window: 64 });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

test('by name and by path', async () => {
  expect(placementNames(new Folder(dir))).toEqual(['far', 'near']);
  expect(await findPlacement(new Folder(dir), 'near')).toEqual(placement);
  const path = join(root, 'elsewhere.json');
  writeFileSync(path, JSON.stringify(placement));
  expect(await findPlacement(new Folder(dir), path)).toEqual(placement);
  for (const each of ['near', path]) {
    const { folder, checkpoint } = await openPlaced(dir, { placement: each });
    expect(folder).toBe(dir);
    expect(checkpoint.config).toEqual(applyPlacement(openCheckpoint(dir).config, placement));
    expect(checkpoint.config.layers).toEqual(layers);
  }
  expect((await openPlaced(dir)).checkpoint.config.layers).toEqual(config.layers);
});

test('one that is not there: those that are', async () => {
  await expect(findPlacement(new Folder(dir), '128K')).rejects.toThrow(
    /model has no placement '128K' \(placements\/128K\.json\); it has far, near; expected a name or the path of a file/,
  );
  const bare = join(root, 'bare');
  mkdirSync(bare);
  expect(placementNames(new Folder(bare))).toEqual([]);
  await expect(findPlacement(new Folder(bare), 'near')).rejects.toThrow(
    /bare has no placement 'near' \(placements\/near\.json\); expected/,
  );
  await expect(findPlacement(new Folder(dir), join(root, 'no.json'))).rejects.toThrow(
    /cannot read .*no\.json/,
  );
});

test('other weights are refused, with both hashes', async () => {
  const other = join(root, 'other');
  await saveCheckpoint(other, config, randomWeights(config, 2), { dtype: 'F32' });
  copyPlacements(dir, other);
  const hash = await weightsHash(openCheckpoint(other));
  await expect(openPlaced(other, { placement: 'near' })).rejects.toThrow(
    `placement near is for the weights ${placement.weights}, those of ${other} are ${hash}`,
  );
});

test('a copy in fewer bits has the placements, and they hold', async () => {
  const copy = join(root, 'q8');
  const { weights } = openCheckpoint(dir);
  await saveCheckpoint(copy, config, weights, { dtype: 'q8', roundedFrom: placement.weights });
  expect(copyPlacements(dir, copy)).toEqual(['far', 'near']);
  expect((await openPlaced(copy, { placement: 'near' })).checkpoint.config.layers).toEqual(layers);
});

test('a folder that has become what a placement says takes no other one', async () => {
  const baked = join(root, 'baked');
  const { checkpoint } = await openPlaced(dir, { placement: 'near' });
  await saveCheckpoint(baked, checkpoint.config, checkpoint.weights, { dtype: 'F32' });
  copyPlacements(dir, baked);
  await expect(openPlaced(baked, { placement: 'far' })).rejects.toThrow(
    'placement far is for a model with full attention in layer 0, where this one has sliding_window',
  );
});
