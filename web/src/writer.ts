import type { Cost } from './cost.ts';
import { announce, byId } from './dom.ts';
import { EXAMPLES, type Example, WORLD_VOCABULARY } from './examples.ts';
import { rate } from './format.ts';
import type { Loaded, Prompt, Token } from './protocol.ts';
import { type Session, Stopped } from './session.ts';

/** Writing with the model: text to go on from, or a conversation where the model has a chat template. */

export class Writer {
  private readonly prompt = byId<HTMLTextAreaElement>('prompt');
  private readonly output = byId('output');
  private readonly go = byId<HTMLButtonElement>('go');
  private readonly tokens = byId<HTMLInputElement>('tokens');
  private readonly temperature = byId<HTMLInputElement>('temperature');
  private model: Loaded | null = null;
  private writing = false;
  private example: Example | null = null;
  private conversation: { role: string; content: string }[] = [];

  constructor(
    private readonly session: Session,
    private readonly cost: Cost,
  ) {
    // It scrolls, so that keys have to reach it.
    this.output.tabIndex = 0;
    byId('examples').replaceChildren(...EXAMPLES.map((example) => this.button(example)));
    byId('write-form').addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.writing) session.stop();
      else void this.write();
    });
    addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.writing) session.stop();
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && event.target === this.prompt) {
        event.preventDefault();
        if (!this.writing) void this.write();
      }
    });
    this.prompt.addEventListener('input', () => this.choose(null));
    byId('clear').addEventListener('click', () => {
      this.conversation = [];
      this.output.replaceChildren();
      byId('verdict').textContent = '';
      this.prompt.value = '';
      this.choose(null);
      this.prompt.focus();
    });
    for (const radio of document.querySelectorAll<HTMLInputElement>('[name=mode]')) {
      radio.addEventListener('change', () => this.label());
    }
  }

  /** No model for now. */
  wait(): void {
    this.model = null;
    this.go.disabled = true;
  }

  /** Write with this one. */
  use(model: Loaded): void {
    const knowsExamples = model.vocabSize === WORLD_VOCABULARY;
    this.model = model;
    this.conversation = [];
    this.output.replaceChildren();
    byId('verdict').textContent = '';
    byId('mode').hidden = !model.hasChatTemplate;
    document.querySelector<HTMLElement>('.examples')!.hidden = !knowsExamples;
    if (knowsExamples && this.prompt.value === '') this.fill(EXAMPLES[0]!);
    else if (!knowsExamples && this.example) {
      this.prompt.value = '';
      this.choose(null);
    }
    this.go.disabled = false;
    this.label();
  }

  private get chats(): boolean {
    const mode = document.querySelector<HTMLInputElement>('[name=mode]:checked')?.value;
    return this.model?.hasChatTemplate === true && mode === 'chat';
  }

  private button(example: Example): HTMLButtonElement {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = example.name;
    button.ariaPressed = 'false';
    button.addEventListener('click', () => {
      if (this.writing) return;
      this.fill(example);
      if (this.model) void this.write();
    });
    return button;
  }

  private fill(example: Example): void {
    this.prompt.value = example.prompt;
    const room = this.model?.contextLength ?? example.maxNewTokens;
    this.tokens.value = String(Math.min(example.maxNewTokens, room));
    this.temperature.value = String(example.temperature ?? 0);
    this.choose(example);
  }

  private choose(example: Example | null): void {
    this.example = example;
    for (const button of byId('examples').querySelectorAll('button')) {
      button.ariaPressed = String(button.textContent === example?.name);
    }
    const answer = example?.answer ? ` Right is “${example.answer.trim()}”.` : '';
    byId('about').textContent = example ? example.about + answer : '';
  }

  private label(): void {
    this.go.textContent = this.writing ? 'Stop' : this.chats ? 'Send' : 'Write';
    this.output.ariaBusy = String(this.writing);
  }

  private async write(): Promise<void> {
    const text = this.prompt.value;
    if (!this.model || text === '') {
      this.prompt.focus();
      return;
    }
    const { example, chats } = this;
    let prompt: Prompt = text;
    if (chats) {
      this.conversation.push({ role: 'user', content: text });
      prompt = this.conversation;
      this.prompt.value = '';
    } else this.output.replaceChildren();
    const place = this.paragraph(text, chats);
    byId('verdict').textContent = '';
    this.writing = true;
    this.label();
    this.cost.begin();
    announce('Writing');

    let written = '';
    let drawn = 0;
    const show = () => {
      drawn = 0;
      const atEnd = this.output.scrollHeight - this.output.scrollTop - this.output.clientHeight < 40;
      place.textContent = written;
      if (atEnd) this.output.scrollTop = this.output.scrollHeight;
    };
    let count = 0;
    const token = (next: Token) => {
      written += next.text;
      this.cost.add(next, count++ === 0);
      drawn ||= requestAnimationFrame(show);
    };
    const options = {
      maxNewTokens: Math.max(1, Math.round(this.tokens.valueAsNumber || 64)),
      temperature: this.temperature.valueAsNumber || 0,
      ...(example?.goesOn ? { eosTokenIds: [] } : {}),
    };
    try {
      const result = await this.session.write(prompt, options, { token, progress: () => {} });
      cancelAnimationFrame(drawn);
      show();
      if (chats) this.conversation.push({ role: 'assistant', content: written });
      this.conclude(example, written, result.finish, result.tokens);
    } catch (error) {
      cancelAnimationFrame(drawn);
      show();
      const message = error instanceof Stopped ? 'Stopped.' : (error as Error).message;
      byId('verdict').textContent = message;
      announce(message);
    } finally {
      this.writing = false;
      this.label();
    }
  }

  /** The place of a text that comes after another. */
  private paragraph(text: string, chats: boolean): HTMLElement {
    const given = document.createElement(chats ? 'p' : 'span');
    given.className = 'given';
    given.textContent = text;
    const made = document.createElement(chats ? 'p' : 'span');
    made.className = 'made';
    this.output.append(given, made);
    this.output.scrollTop = this.output.scrollHeight;
    return made;
  }

  private conclude(example: Example | null, written: string, finish: string, tokens: number): void {
    const speed = this.cost.speed;
    const how =
      finish === 'stopped' ? 'Stopped after' : finish === 'stop' ? 'The model ended the text after' : 'Wrote';
    const right =
      example?.answer === undefined || finish === 'stopped'
        ? ''
        : written.startsWith(example.answer)
          ? ` ✓ “${example.answer.trim()}” is right.`
          : ` ✗ “${example.answer.trim()}” would have been right.`;
    const text = `${how} ${tokens} token${tokens === 1 ? '' : 's'}${speed ? `, ${rate(speed)} a second` : ''}.${right}`;
    byId('verdict').textContent = text;
    announce(text);
  }
}
