/**
 * One rule divides everything that is generated into training and evaluation: the hash of its content. Generators
 * draw until the content lies on the side they need, so the two are disjoint by construction, whatever the seeds.
 */

/** True for one content in eight (FNV-1a, 32 bits, finished with a multiplication so that the low bits are mixed). */
export function isHeldOut(content: string): boolean {
  let hash = 0x811c9dc5;
  for (let i = 0; i < content.length; i++) hash = Math.imul(hash ^ content.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 12)) & 7) === 0;
}

/** Draws that are tried before it is said that there is nothing new left. */
const MOST_DRAWS = 300;

/** Draws until the content is on the wanted side: `heldOut` for evaluation, otherwise for training. */
export function drawSide<T>(heldOut: boolean, draw: () => T, content: (drawn: T) => string): T {
  for (;;) {
    const drawn = draw();
    if (isHeldOut(content(drawn)) === heldOut) return drawn;
  }
}

/** The same, and until it is none of what was asked before; undefined when there seems to be nothing else. */
export function drawFresh<T>(
  heldOut: boolean,
  draw: () => T,
  content: (drawn: T) => string,
  fresh: (drawn: T) => boolean,
): T | undefined {
  for (let tries = 0; tries < MOST_DRAWS; tries++) {
    const drawn = drawSide(heldOut, draw, content);
    if (fresh(drawn)) return drawn;
  }
  return undefined;
}
