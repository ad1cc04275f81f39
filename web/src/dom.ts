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

/**
 * The colour that a CSS variable has at an element, as a canvas takes it. The text of a variable will not do: it may be
 * `light-dark(...)`, which only a property is resolved for.
 */
export function colourOf(place: HTMLElement, variable: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${variable})`;
  place.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
