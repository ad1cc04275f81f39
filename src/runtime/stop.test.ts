import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StopStrings } from './stop.ts';

/** The text that comes out of pieces, and how many pieces were taken. */
function run(stops: string[], pieces: string[]): { text: string; taken: number } {
  const stop = new StopStrings(stops);
  let text = '';
  for (const [i, piece] of pieces.entries()) {
    const { text: certain, stopped } = stop.push(piece);
    text += certain;
    if (stopped) return { text, taken: i + 1 };
  }
  return { text: text + stop.flush(), taken: pieces.length };
}

test('a stop string across the borders of pieces', () => {
  expect(run(['</s>'], ['ab', '<', '/', 's>c', 'd'])).toEqual({ text: 'ab', taken: 4 });
});

test('what only began like one comes out once it is known', () => {
  const stop = new StopStrings(['END']);
  expect(stop.push('xE')).toEqual({ text: 'x', stopped: false });
  expect(stop.push('EN')).toEqual({ text: 'E', stopped: false });
  expect(stop.push('d')).toEqual({ text: 'ENd', stopped: false });
  expect(stop.flush()).toBe('');
});

test('what is held back at the end belongs to the text', () => {
  expect(run(['\n\n'], ['a', '\n'])).toEqual({ text: 'a\n', taken: 2 });
});

test('the first of several stops it', () => {
  expect(run(['b', 'abc'], ['xabcy']).text).toBe('x');
});

test('cut anywhere, the text is what comes before the first stop string', () => {
  const letters = (max: number) =>
    fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: max });
  fc.assert(
    fc.property(
      fc.array(letters(3), { maxLength: 12 }),
      fc.array(letters(3), { maxLength: 2 }),
      (pieces, stops) => {
        const all = pieces.join('');
        const ends = stops.map((stop) => all.indexOf(stop)).filter((at) => at >= 0);
        // Pieces come one by one: a longer stop string that begins earlier may end in a later piece.
        const { text, taken } = run(stops, pieces);
        const seen = pieces.slice(0, taken).join('');
        if (ends.length === 0) expect(text).toBe(all);
        else {
          const within = stops.map((stop) => seen.indexOf(stop)).filter((at) => at >= 0);
          expect(text).toBe(seen.slice(0, Math.min(...within)));
        }
      },
    ),
  );
});

/** Pieces in brackets are hidden. */
function runHidden(stops: string[], pieces: string[]) {
  const stop = new StopStrings(stops);
  let text = '';
  for (const piece of pieces) {
    const hidden = piece.startsWith('[');
    const { text: certain, stopped } = stop.push(hidden ? piece.slice(1, -1) : piece, hidden);
    text += certain;
    if (stopped) return { text, stopped };
  }
  return { text: text + stop.flush(), stopped: false };
}

test('special tokens that do not show stop a text too', () => {
  expect(runHidden(['<pad>'], ['ab', '[<pad>]', 'cd'])).toEqual({ text: 'ab', stopped: true });
  expect(runHidden(['x', '<pad>'], ['ab', '[<s>]', 'c', '[<pad>]'])).toEqual({ text: 'abc', stopped: true });
  // One that begins in what shows and ends in what does not, and the other way round.
  expect(runHidden(['b<pad>c'], ['ab', '[<pad>]', 'cd'])).toEqual({ text: 'a', stopped: true });
  expect(runHidden(['<pad>\n'], ['ab', '[<pad>]', '\n'])).toEqual({ text: 'ab', stopped: true });
  expect(runHidden(['b<pad>c'], ['ab', '[<pad>]', 'd'])).toEqual({ text: 'abd', stopped: false });
  // One that shows, with something hidden within.
  expect(runHidden(['bc'], ['ab', '[<s>]', 'cd'])).toEqual({ text: 'a', stopped: true });
  expect(runHidden([], ['a', '[<s>]', 'b'])).toEqual({ text: 'ab', stopped: false });
});

test('hidden or not, what comes out is what shows before the first stop string', () => {
  const piece = fc.tuple(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 3 }), fc.boolean());
  const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 }), {
    maxLength: 2,
  });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), stops, (pieces, strings) => {
      const stop = new StopStrings(strings);
      let given = '';
      let all = '';
      let visible = '';
      let stopped = false;
      for (const [text, hidden] of pieces) {
        all += text;
        if (!hidden) visible += text;
        const result = stop.push(text, hidden);
        given += result.text;
        expect(visible.startsWith(given)).toBe(true);
        stopped = strings.some((one) => all.includes(one) || visible.includes(one));
        expect(result.stopped).toBe(stopped);
        if (stopped) break;
      }
      if (!stopped) expect(given + stop.flush()).toBe(visible);
      else expect(strings.some((one) => given.includes(one))).toBe(false);
    }),
    { numRuns: 1000 },
  );
});
