import { join, relative, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, expectTypeOf, test } from 'vitest';

/** The library as a page gets it. What ONNX Runtime adds is its own affair. */

const root = resolve(import.meta.dirname, '../..');
const LIMIT = 135_000;

async function bundled(entry: string) {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(root, entry)],
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: 'esm',
    // What is loaded when it is needed is a file of its own.
    splitting: true,
    outdir: 'page',
    // Modules of Node.js are not found on this platform: one import of them fails the build.
    platform: 'browser',
    target: 'es2022',
    external: ['onnxruntime-web/*'],
    logLevel: 'silent',
  });
  // What a page loads to begin with: the entry and what it imports at once.
  const begins = new Set<string>();
  const add = (path: string) => {
    if (begins.has(path)) return;
    begins.add(path);
    for (const { kind, external, path: next } of metafile.outputs[path]!.imports) {
      if (kind === 'import-statement' && !external) add(next);
    }
  };
  add(Object.keys(metafile.outputs).find((path) => metafile.outputs[path]!.entryPoint)!);
  const files = outputFiles.filter(({ path }) => begins.has(relative(process.cwd(), path)));
  expect(files.length).toBe(begins.size);
  const bytes = files.reduce((sum, { contents }) => sum + gzipSync(contents).length, 0);
  return { bytes, inputs: Object.keys(metafile.inputs), metafile };
}

test('the library in a browser is small and has nothing of Node.js', async () => {
  const { bytes, inputs, metafile } = await bundled('src/web.ts');
  expect(bytes).toBeLessThan(LIMIT);
  const external = Object.values(metafile.inputs).flatMap(({ imports }) =>
    imports.filter(({ external, path }) => external && path !== '<runtime>').map(({ path }) => path),
  );
  expect(new Set(external)).toEqual(new Set(['onnxruntime-web/webgpu', 'onnxruntime-web/wasm']));
  expect(inputs).toContain('src/graph/onnxruntime.browser.ts');
  expect(inputs).toContain('src/model/open-model.browser.ts');
  expect(inputs).not.toContain('src/graph/onnxruntime.ts');
});

test('the library of Node.js cannot be bundled so: the check can fail', async () => {
  await expect(bundled('src/model/checkpoint.ts')).rejects.toThrow(/node:fs/);
});

test('what stands in for a module in a browser offers what the module does: the compiler looks', () => {
  expectTypeOf<typeof import('../../src/graph/onnxruntime.browser.ts')>().toExtend<
    typeof import('../../src/graph/onnxruntime.ts')
  >();
  expectTypeOf<typeof import('../../src/model/open-model.browser.ts')>().toExtend<
    typeof import('../../src/model/open-model.ts')
  >();
});
