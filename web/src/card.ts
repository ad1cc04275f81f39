import { byId } from './dom.ts';
import { parameters } from './format.ts';
import type { Loaded } from './protocol.ts';

/** What the loaded model is. */

const NAMES: Record<string, string> = {
  attention: 'full attention',
  sliding_window: 'sliding window',
  head_attention: 'some heads full',
  window_linear: 'window + linear',
  gated_deltanet: 'Gated DeltaNet',
  jet_block: 'JetBlock',
  retnet: 'RetNet',
  gla: 'GLA',
  deltanet: 'DeltaNet',
  mamba2: 'Mamba2',
  kda: 'KDA',
  rwkv7: 'RWKV7',
};

const classOf = (kind: string) =>
  kind === 'attention' || kind === 'head_attention'
    ? 'full'
    : kind === 'sliding_window'
      ? 'window'
      : 'linear';

export function showCard(model: Loaded): void {
  const letters = [...model.architecture];
  byId('card-name').textContent = model.name;
  byId('layers').replaceChildren(
    ...model.kinds.map((kind, i) => {
      const item = document.createElement('li');
      item.className = classOf(kind);
      item.textContent = letters[i] ?? '';
      item.ariaLabel = `layer ${i}: ${NAMES[kind] ?? kind}`;
      return item;
    }),
  );
  const kinds = [...new Set(model.kinds)];
  byId('legend').replaceChildren(
    ...kinds.map((kind) => {
      const entry = document.createElement('span');
      const letter = document.createElement('b');
      letter.className = classOf(kind);
      letter.textContent = letters[model.kinds.indexOf(kind)] ?? '';
      const count = model.kinds.filter((other) => other === kind).length;
      entry.append(letter, ` ${count} × ${NAMES[kind] ?? kind}`);
      return entry;
    }),
  );
  const engine =
    model.device === 'webgpu'
      ? 'WebGPU'
      : `WebAssembly, ${model.threads} thread${model.threads === 1 ? '' : 's'}`;
  byId('card-facts').textContent =
    `${parameters(model.parameters)} parameters, context of ${model.contextLength.toLocaleString('en')} tokens. ` +
    `On ${engine}; ready in ${model.seconds.toFixed(1)} s.`;
  byId('card').hidden = false;
}
