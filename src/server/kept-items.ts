import type { ChatMessage } from '../model/tokenizer.ts';

/** Items of answers that are kept, in memory alone. */
const KEPT = 1000;

/** What clients of Responses refer to by id instead of sending it again: the latest items of answers. */
export class KeptItems {
  private readonly items = new Map<string, ChatMessage>();

  set(id: string, message: ChatMessage): void {
    this.items.set(id, message);
    if (this.items.size > KEPT) this.items.delete(this.items.keys().next().value!);
  }

  get(id: string): ChatMessage | undefined {
    return this.items.get(id);
  }
}
