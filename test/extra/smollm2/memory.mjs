/**
 * What a loaded model adds to a process of its own, in bytes: `node memory.mjs FOLDER` prints JSON. Apart from the
 * test that reads it, because a test runner's own memory comes and goes.
 */
import { Model } from '../../../dist/index.js';

const settled = async () => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((done) => setTimeout(done, 100));
  }
  return { rss: process.memoryUsage.rss(), arrayBuffers: process.memoryUsage().arrayBuffers };
};

const before = await settled();
const model = await Model.fromPretrained(process.argv[2]);
for await (const _ of model.generate('Once', { maxNewTokens: 2 }));
const after = await settled();
console.log(JSON.stringify({ rss: after.rss - before.rss, arrayBuffers: after.arrayBuffers }));
await model.dispose();
