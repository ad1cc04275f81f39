/**
 * How the blocks of the documentation are tried, beside the pages so that nothing of it stands in them. A block of shell
 * commands that is not named here is run as it is written.
 */
export interface How {
  /** How the block starts; one block of the page must. */
  starts: string;
  /** The block is written to this file. */
  file?: string;
  /** It is run with these replacements, [what, by what]: a small model for a large one, fewer steps. */
  instead?: readonly (readonly [string, string])[];
  /** It is not run here: where it is, or why it cannot be. */
  elsewhere?: string;
}

export const plan: Record<string, readonly How[]> = {
  'README.md': [
    {
      starts: 'npm ci && npm start',
      elsewhere:
        ".ci/run runs npm test and the page's tests; the stages of npm start are run with fewer steps in docs/guides/search.md",
    },
    {
      starts: 'npx postnas pull',
      elsewhere: 'it downloads; src/model/hub.test.ts pulls from a hub of its own',
    },
    {
      starts: 'npx postnas convert HuggingFaceTB/SmolLM2-135M-Instruct',
      instead: [
        // A copy: a folder gets the placement.
        [
          'npx postnas convert',
          'cp -rL models/base own && cat docs/*.md > novels.txt && npx postnas convert',
        ],
        ['HuggingFaceTB/SmolLM2-135M-Instruct', './own'],
        ['--context 8K', '--context 128 --full-heads 2 --windows 16 --no-timing --no-compare'],
        ['"The old man"', '"The old man" --max-tokens 8'],
      ],
    },
    {
      starts: 'npx postnas search HuggingFaceTB/SmolLM2-135M-Instruct',
      instead: [
        [
          'npx postnas search',
          'cat docs/*.md > novels.txt && cat docs/guides/*.md > more-novels.txt && npx postnas search',
        ],
        ['HuggingFaceTB/SmolLM2-135M-Instruct', 'models/base'],
        [
          '--budget 4',
          '--budget 1 --task held-out-loss:loss:2 --align-steps 1 --supernet-steps 1 --rows 1 --length 64 --random 0',
        ],
        [
          '--out runs/distilled',
          '--task held-out-loss:loss:2 --feature-steps 1 --logit-steps 1 --all-steps 1 --rows 1 --length 64 --out runs/distilled',
        ],
        [
          'npx postnas compare',
          'npx postnas compare --context 128 --rows 1 --recall-texts 1 --answers 1 --no-speed',
        ],
        ['"The old man"', '"The old man" --max-tokens 8'],
      ],
    },
    { starts: "import { Model } from 'postnas';" },
    {
      starts: "import { distill, search } from 'postnas/search';",
      elsewhere:
        'test/search-example.test.ts runs examples/search.mjs, which does this on the embedded model',
    },
    {
      starts: 'npx postnas serve models/hybrid',
      instead: [
        [':8000', ':8018'],
        ['--port 8000', '--port 8018'],
      ],
    },
  ],
  'docs/guides/browser.md': [
    { starts: 'npm run demo', elsewhere: 'npm run test:web builds this page and uses it in Chromium' },
    {
      starts: 'npm install postnas onnxruntime-web',
      elsewhere: 'npm run test:web bundles the library with Vite and runs it in Chromium',
    },
    {
      starts: "import { Model } from 'postnas';",
      elsewhere: 'npm run test:web runs this in a worker in Chromium',
    },
  ],
  'docs/guides/budget.md': [
    { starts: '{', file: 'shape.json' },
    {
      starts: 'npx postnas init --out ./one-of-four --config shape.json',
      instead: [['--contexts 1K,4K,16K', '--contexts 1K,2K --decode-rounds 1 --decode-tokens 4']],
    },
    {
      starts: 'npx postnas search models/base --budget 4 --exhaustive \\',
      instead: [
        [
          '--budget 4 --exhaustive',
          '--budget 1 --exhaustive --rows 2 --length 64 --align-steps 2 --supernet-steps 2',
        ],
        ['recall:accuracy needle:accuracy', 'recall:accuracy:4 needle:accuracy:4'],
      ],
    },
  ],
  'docs/eval.md': [
    {
      starts: 'npx postnas eval --list-tasks',
      elsewhere:
        'it downloads; src/search/evaluate.test.ts and src/tasks/datasets/hub-files.test.ts do the same here',
    },
  ],
  'docs/guides/compare.md': [
    {
      starts: 'npx postnas compare models/base models/hybrid --no-card',
      instead: [['--no-card', '--no-card --context 128 --rows 1 --recall-texts 1 --answers 1 --no-speed']],
    },
    {
      starts: 'npx postnas compare ./parent ./hybrid',
      elsewhere:
        'it needs models and texts of the reader; test/cli/compare.test.ts compares the embedded ones',
    },
  ],
  'docs/guides/convert.md': [
    {
      starts: 'npx postnas convert ./smollm2',
      elsewhere:
        "it needs a model and texts of the reader; the README's are run, and test/cli/convert.test.ts",
    },
    {
      starts:
        'npx postnas convert ./smollm2 --data novels.txt --context 8K --full-heads 6 --hours 2 --estimate',
      elsewhere: 'it takes hours; test/cli/convert.test.ts trains the embedded model for seconds',
    },
  ],
  'docs/guides/export.md': [
    {
      starts: "import { env, pipeline } from '@huggingface/transformers';",
      elsewhere:
        "npm run test:export installs transformers.js and compares its tokens with the engine's, in Node.js and in Chromium",
    },
    {
      starts: 'npx postnas export runs/qwen2-hybrid --jet',
      elsewhere:
        'it needs a hybrid over a Qwen2 parent, which src/export/jet.test.ts makes and writes in npm test',
    },
  ],
  'docs/guides/mixer.md': [
    {
      starts:
        "// HGRN2 (Qin et al. 2024, arXiv:2404.07904) as a mixer of one's own: a gated linear recurrence whose keys are what",
      file: 'hgrn2.mjs',
    },
    {
      starts: 'export NODE_OPTIONS="--import $PWD/hgrn2.mjs"',
      instead: [
        [
          '--align-steps 80 --train-steps 160',
          '--align-steps 1 --train-steps 1 --rows 2 --length 64 --examples 4',
        ],
        [
          '--align-steps 100 --supernet-steps 250',
          '--align-steps 1 --supernet-steps 1 --rows 2 --length 64 --examples 4 --random 0',
        ],
      ],
    },
    {
      starts: 'npx vitest run test/mixers/example.test.ts',
      elsewhere: 'part of npm test, which needs the source and not the package',
    },
  ],
  'docs/guides/placements.md': [
    {
      starts: 'npx postnas info ./SmolLM2-135M --context 64K',
      elsewhere: 'it needs a model with placements; test/cli/placement.test.ts runs these commands with one',
    },
    {
      starts: 'npx postnas compare ./SmolLM2-135M',
      elsewhere: 'it needs such a model, too; src/search/compare/compare.test.ts compares placements',
    },
    { starts: '{', file: 'near.json' },
  ],
  'docs/guides/search.md': [
    {
      starts: 'npx postnas pull HuggingFaceTB/SmolLM2-135M',
      elsewhere:
        'it downloads; src/model/hub.test.ts pulls from a hub of its own, npm run test:smollm2 imports the GGUF',
    },
    { starts: 'npx postnas info ./my-model --context 4096', instead: [['./my-model', 'models/base']] },
    {
      starts: 'cat texts/*.txt > train.txt',
      instead: [
        ['other-texts/*.txt', 'docs/guides/*.md'],
        [' texts/*.txt', ' docs/*.md'],
      ],
    },
    {
      starts: 'npx postnas search ./my-model --budget 2 \\',
      instead: [
        ['./my-model', 'models/base'],
        ['--rows 4 --length 512', '--rows 2 --length 64'],
        ['--align-steps 300 --supernet-steps 600', '--align-steps 2 --supernet-steps 2'],
        [
          'held-out-loss:loss vocabulary-recall:accuracy',
          'held-out-loss:loss:4 vocabulary-recall:accuracy:4',
        ],
      ],
    },
    { starts: '{', file: 'my-model.json' },
    {
      starts: 'npx postnas distill models/base runs/my-model/final/seed-1/hybrid --data train.txt \\',
      instead: [
        [
          '--feature-steps 0 --logit-steps 1000 --all-steps 4000',
          '--feature-steps 0 --logit-steps 1 --all-steps 1 --rows 1 --length 64',
        ],
      ],
    },
  ],
  'docs/guides/serve.md': [
    { starts: 'npx postnas serve models/hybrid --port 8000 &', instead: [['--port 8000', '--port 8017']] },
    {
      starts:
        'curl --silent --fail --retry 30 --retry-all-errors --retry-delay 1 http://127.0.0.1:8000/health',
      instead: [[':8000', ':8017']],
    },
    {
      starts: 'curl --silent --fail --no-buffer http://127.0.0.1:8000/v1/completions \\',
      instead: [[':8000', ':8017']],
    },
    {
      starts: "import OpenAI from 'openai';",
      elsewhere:
        'the clients of OpenAI and Vercel are run against the server by src/server/*.test.ts, in npm test',
    },
    {
      starts: 'POSTNAS_API_KEY=$(cat key.txt) npx postnas serve models/hybrid --host 0.0.0.0 --port 8000',
      elsewhere:
        'it opens a port to the network; the refusal without a key is tested in src/server, in npm test',
    },
  ],
  'docs/postnas.md': [
    {
      starts: 'npm ci && npm start',
      elsewhere: 'npm start takes minutes; the same stages are run with fewer steps in guides/search.md',
    },
  ],
};
