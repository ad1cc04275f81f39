import { showCard } from './card.ts';
import { announce, byId } from './dom.ts';
import { onFolder } from './folder.ts';
import { bytes } from './format.ts';
import type { Device, Loaded, Source } from './protocol.ts';
import { type Session, Stopped } from './session.ts';

/** Choosing and loading a model. The address of the page says which one it is, so that a reload finds it again. */

const EMBEDDED = ['hybrid', 'base'];

export class Loader {
  private readonly device = byId<HTMLSelectElement>('device');
  private busy = false;

  constructor(
    private readonly session: Session,
    private readonly on: { start: () => void; loaded: (model: Loaded) => void },
  ) {
    const embedded = byId<HTMLSelectElement>('embedded');
    const repo = byId<HTMLInputElement>('repo');
    byId('embedded-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.place(embedded.value);
    });
    byId('hub-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.place(repo.value.trim());
    });
    byId('cancel').addEventListener('click', () => session.stop());
    onFolder((name, files) => void this.load({ kind: 'files', name, files }, name));

    void offerWebGpu();

    const { model = 'hybrid', device = 'auto' } = Object.fromEntries(new URLSearchParams(location.search));
    this.device.value = device;
    if (EMBEDDED.includes(model)) embedded.value = model;
    else repo.value = model;
    void this.place(model);
  }

  /** An embedded model, or one of the Hub: of that which the page's address names, if it does. */
  private async place(name: string): Promise<void> {
    const query = new URLSearchParams(location.search);
    if (name === 'hybrid' && !query.has('model')) query.delete('model');
    else query.set('model', name);
    history.replaceState(null, '', query.size > 0 ? `?${query}` : location.pathname);
    const isEmbedded = EMBEDDED.includes(name);
    const place = isEmbedded ? new URL(`./${name}/`, location.href).href : name;
    await this.load({ kind: 'place', place, hubUrl: query.get('hub') ?? undefined }, name, isEmbedded);
  }

  private async load(source: Source, name: string, isEmbedded = false): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.on.start();
    byId('error').hidden = true;
    byId('card').hidden = true;
    byId('loading').hidden = false;
    this.progress(`Loading ${name}`, null);
    announce(`Loading ${name}`);
    try {
      const device = this.device.value as Device | 'auto';
      const asked = { source, device, isSmall: isEmbedded };
      const model = await this.session.load(asked, ({ stage, done, total, unit }) => {
        const amount = unit === 'bytes' ? `${bytes(done)} of ${bytes(total)}` : `${done} of ${total} ${unit}`;
        this.progress(`${stage.replace(/^./, (first) => first.toUpperCase())}: ${amount}`, done / total);
      });
      const shown = { ...model, name };
      showCard(shown);
      byId<HTMLDetailsElement>('other').open = false;
      announce(`${name} is ready. ${byId('card-facts').textContent}`);
      this.on.loaded(shown);
    } catch (error) {
      if (error instanceof Stopped) announce('Loading was cancelled.');
      else {
        byId('error').textContent = `${name} could not be loaded: ${(error as Error).message}`;
        byId('error').hidden = false;
      }
      byId<HTMLDetailsElement>('other').open = true;
    } finally {
      byId('loading').hidden = true;
      this.busy = false;
    }
  }

  private progress(text: string, part: number | null): void {
    byId('loading-label').textContent = text;
    const bar = byId<HTMLProgressElement>('loading-bar');
    if (part === null) bar.removeAttribute('value');
    else bar.value = part;
  }
}

/** WebGPU can be chosen where there is a device for it. */
async function offerWebGpu(): Promise<void> {
  if (await navigator.gpu?.requestAdapter().catch(() => null)) return;
  const option = document.querySelector<HTMLOptionElement>('#device [value=webgpu]')!;
  option.disabled = true;
  option.textContent += ' (not in this browser)';
}
