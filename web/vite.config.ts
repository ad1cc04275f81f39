import { resolve } from 'node:path';
import { defineConfig } from 'vite';

const root = resolve(import.meta.dirname, '..');

/** Cross-origin isolation: without it a page gets no shared memory, and WebAssembly no threads. */
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export default defineConfig({
  base: './',
  // The embedded models, as they lie in the repository.
  publicDir: resolve(root, 'models'),
  // One page: an address that is not known is no page either.
  appType: 'mpa',
  resolve: { alias: { postnas: resolve(root, 'src/web.ts') } },
  worker: { format: 'es' },
  build: { target: 'es2022', assetsInlineLimit: 0, chunkSizeWarningLimit: 1000 },
  // It finds its WebAssembly beside itself.
  optimizeDeps: { exclude: ['onnxruntime-web'] },
  server: { headers, fs: { allow: [root] } },
  preview: { headers },
});
