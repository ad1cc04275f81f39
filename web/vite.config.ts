import { resolve } from 'node:path';
import { defineConfig } from 'vite';
import { onnxRuntime } from './onnxruntime.ts';

const root = resolve(import.meta.dirname, '..');

/** Cross-origin isolation: without it a page gets no shared memory, and WebAssembly no threads. */
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** With `--mode test` there is a second page, which has nothing but the library. */
export default defineConfig(({ mode }) => ({
  base: './',
  // The embedded models, as they lie in the repository.
  publicDir: resolve(root, 'models'),
  // An address that is not known is no page.
  appType: 'mpa',
  resolve: { alias: { postnas: resolve(root, 'src/web.ts') } },
  plugins: [onnxRuntime()],
  worker: { format: 'es', plugins: () => [onnxRuntime()] },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
    rolldownOptions: {
      input: ['index.html', ...(mode === 'test' ? ['test/library.html'] : [])].map((page) =>
        resolve(import.meta.dirname, page),
      ),
    },
  },
  // It finds its WebAssembly beside itself.
  optimizeDeps: { exclude: ['onnxruntime-web'] },
  server: { headers, fs: { allow: [root] } },
  preview: { headers },
}));
