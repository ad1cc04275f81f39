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

/** Draws until the content is on the wanted side: `heldOut` for evaluation, otherwise for training. */
export function drawSide<T>(heldOut: boolean, draw: () => T, content: (drawn: T) => string): T {
  for (;;) {
    const drawn = draw();
    if (isHeldOut(content(drawn)) === heldOut) return drawn;
  }
}
