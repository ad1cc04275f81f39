import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Plugin } from 'vite';

const dist = resolve(import.meta.dirname, '../node_modules/onnxruntime-web/dist');

/** What is imported, and the WebAssembly that it finds beside itself. */
const FILES: Record<string, string[]> = {
  'onnxruntime-web/wasm': ['ort.wasm.bundle.min.mjs', 'ort-wasm-simd-threaded.wasm'],
  'onnxruntime-web/webgpu': ['ort.webgpu.bundle.min.mjs', 'ort-wasm-simd-threaded.asyncify.wasm'],
};

/**
 * ONNX Runtime as it is, beside the scripts that are built. Its threads load its script again; joined with others, as
 * bundlers do, it would bring them along, and a thread ends at the first `document` in them.
 */
export function onnxRuntime(): Plugin {
  return {
    name: 'onnxruntime',
    apply: 'build',
    enforce: 'pre',
    resolveId: (id) => (FILES[id] ? { id: `./${FILES[id][0]}`, external: 'absolute' } : null),
    generateBundle() {
      for (const name of Object.values(FILES).flat()) {
        this.emitFile({
          type: 'asset',
          fileName: `assets/${name}`,
          source: readFileSync(resolve(dist, name)),
        });
      }
    },
  };
}
