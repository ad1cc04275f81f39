/** The element of this id, which the page has. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as T;
}

/** Tells people who listen to the page. */
export function announce(text: string): void {
  byId('status').textContent = text;
}
