/** Through HTTP, each answer is the one that its request gets alone, whoever else asks meanwhile. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serveTiny, type TestServer } from '../../test/support/server.ts';
import { Random } from '../util/random.ts';

let server: TestServer;
beforeAll(async () => {
  server = await serveTiny({ maxBatch: 8 });
});
afterAll(() => server?.stop());

async function ask(body: object): Promise<string> {
  const answer = await fetch(`${server.url}/v1/completions`, { method: 'POST', body: JSON.stringify(body) });
  const text = await answer.text();
  // What differs by nature; a prompt that was asked before is not read again.
  return text.replaceAll(/"id":"[^"]*"|"created":\d+|"cached_tokens":\d+/g, '');
}

test('answers of 24 requests at once, streamed or not, with log-probabilities', async () => {
  const random = new Random(1);
  const requests = Array.from({ length: 24 }, (_, i) => ({
    ...{ prompt: Array.from({ length: 1 + random.below(300) }, () => 3 + random.below(256)), seed: i },
    ...{ max_tokens: 1 + random.below(40), temperature: i % 2, logprobs: i % 4, echo: i % 5 === 0 },
    ...{ stream: i % 3 === 0, n: 1 + (i % 2) },
  }));
  const alone: string[] = [];
  for (const request of requests) alone.push(await ask(request));
  const together = await Promise.all(requests.map(ask));
  for (const [i, request] of requests.entries()) {
    // Pieces of several streamed texts come as they are written, in any order.
    const sorted = (text: string) => (request.stream ? text.split('\n\n').sort().join('\n\n') : text);
    expect(sorted(together[i]!)).toBe(sorted(alone[i]!));
  }
});
