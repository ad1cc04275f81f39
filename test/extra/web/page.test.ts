/** The page in Chromium. Its pictures are left in .cache/web-pictures to be looked at. Run by `npm run test:web`. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { EXAMPLES } from '../../../web/src/examples.ts';
import { launch, open, ready, verdict } from './browser.ts';
import { type Hub, ROOT, serveHub, serving } from './servers.ts';

const HYBRID = join(ROOT, 'models/hybrid');
const PICTURES = join(ROOT, '.cache/web-pictures');
const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };

let site: Awaited<ReturnType<typeof serving>>;
let hub: Hub;
let browser: Browser;
let work: string;
let page: Page & { failures: string[] };

beforeAll(async () => {
  mkdirSync(PICTURES, { recursive: true });
  work = mkdtempSync(join(tmpdir(), 'postnas-page-'));
  hub = await serveHub({ hybrid: HYBRID });
  site = await serving('npx', ['vite', 'preview', 'web', '--outDir', '../.cache/web', '--host', '127.0.0.1']);
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
  await hub?.close();
  if (work) rmSync(work, { recursive: true });
});
afterEach(async () => {
  expect(page.failures).toEqual([]);
  await page.context().close();
});

const text = async (selector: string) => (await page.locator(selector).textContent()) ?? '';
const press = (name: string) => page.getByRole('button', { name, exact: true }).click();

/** How many opaque pixels of a canvas have each colour, as '#rrggbb'. */
async function coloursOf(selector: string): Promise<Map<string, number>> {
  const counts = await page.locator(selector).evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    const found: Record<string, number> = {};
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] !== 255) continue;
      const colour = `#${[0, 1, 2].map((c) => data[i + c]!.toString(16).padStart(2, '0')).join('')}`;
      found[colour] = (found[colour] ?? 0) + 1;
    }
    return found;
  });
  return new Map(Object.entries(counts));
}

describe('the embedded hybrid', () => {
  test('answers every example, and says what it costs', async () => {
    page = await open(browser, site.url);
    await ready(page);
    expect(await text('#layers')).toBe('WJJJJAAW');
    expect(await text('#card-facts')).toMatch(
      /^1\.8 M parameters, context of 512 tokens\. On WebAssembly, \d thread/,
    );
    for (const { name, answer } of EXAMPLES) {
      if (answer === undefined) continue;
      await press(name);
      expect(await verdict(page), name).toMatch(/✓/);
      expect((await text('#output .made')).startsWith(answer)).toBe(true);
    }
    await press('Write to the end');
    expect(await verdict(page)).toMatch(/^Wrote 507 tokens, \d+ a second/);
    expect(await text('#context')).toBe('512');
    // Of 8 layers with 4 heads of 32 keys and values, at 4 bytes.
    expect(await text('#cache')).toBe('4.19 MB');
    expect(await text('#state')).toBe('1.19 MB');
    expect(await page.locator('#memory-chart canvas').count()).toBe(1);
    expect(await page.locator('#speed-chart').getAttribute('aria-label')).toMatch(/hybrid: from \d+ to \d+/);
  });

  test('its parent beside it: the same charts', async () => {
    page = await open(browser, `${site.url}?model=base`);
    await ready(page);
    expect(await text('#layers')).toBe('AAAAAAAA');
    expect(await text('#memory-text')).toMatch(/^This is the parent/);
    await press('Do sums');
    expect(await verdict(page)).toMatch(/✓/);
    await page.getByText('Load another model').click();
    await page.getByLabel('Embedded').selectOption('hybrid');
    await page.locator('#embedded-form button').click();
    await ready(page);
    await press('Do sums');
    expect(await verdict(page)).toMatch(/✓/);
    expect(await text('#speed-text')).toBe('base hybrid ');
  });

  test.each([
    // --model, --parent and --muted of the style sheet.
    ['light', ['#1f66b0', '#c2410c'], '#58616f'],
    ['dark', ['#74b3f6', '#ff9457'], '#a5aebb'],
  ] as const)('charts are drawn in the colours of the %s page', async (colorScheme, lines, axis) => {
    page = await open(browser, site.url, { colorScheme });
    await ready(page);
    await press('Do sums');
    expect(await verdict(page)).toMatch(/✓/);
    const pixels = await coloursOf('#memory-chart canvas');
    for (const colour of lines) expect(pixels.get(colour) ?? 0, colour).toBeGreaterThan(50);
    // Of letters few pixels are covered wholly.
    expect(pixels.get(axis) ?? 0, axis).toBeGreaterThan(5);
    expect(pixels.get('#000000') ?? 0).toBe(0);
    // A page that is open changes with the system.
    const other = colorScheme === 'dark' ? 'light' : 'dark';
    await page.emulateMedia({ colorScheme: other });
    await page.waitForTimeout(300);
    const changed = await coloursOf('#memory-chart canvas');
    for (const colour of lines) expect(changed.get(colour) ?? 0, colour).toBe(0);
  });

  test('stops when told, and writes again', async () => {
    page = await open(browser, site.url);
    await ready(page);
    await page.locator('#tokens').fill('100000');
    await page.locator('#prompt').fill('Sums: 1+1=');
    await press('Write');
    await page.waitForFunction(
      () => (document.querySelector('#output .made')?.textContent ?? '').length > 20,
    );
    await press('Stop');
    expect(await verdict(page)).toMatch(/^Stopped after \d+ tokens/);
    const tokens = Number(/\d+/.exec(await verdict(page))![0]);
    expect(tokens).toBeLessThan(500);
    await press('Do sums');
    expect(await verdict(page)).toMatch(/✓/);
  });

  test('works by keyboard alone', async () => {
    page = await open(browser, site.url);
    await ready(page);
    const focused = () =>
      page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent?.trim());
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Skip to writing');
    await page.keyboard.press('Enter');
    await page.keyboard.type('Sums: 68+52=');
    expect(await page.locator('#prompt').inputValue()).toContain('Sums: 68+52=');
    await page.keyboard.press('Control+A');
    await page.keyboard.type('Sums: 68+52=');
    await page.keyboard.press('Control+Enter');
    expect(await verdict(page)).toMatch(/^Wrote 24 tokens/);
    expect(await text('#output .made')).toMatch(/^120;/);
    // Backwards to the examples, and one of them.
    for (let i = 0; i < 20 && (await focused()) !== 'Write to the end'; i++)
      await page.keyboard.press('Shift+Tab');
    expect(await focused()).toBe('Write to the end');
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement!).outlineWidth);
    expect(outline).toBe('2px');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('#go')?.textContent === 'Stop');
    await page.keyboard.press('Escape');
    expect(await verdict(page)).toMatch(/^Stopped after|^Wrote/);
    expect(await focused()).toBe('Write to the end');
    // The other models.
    for (let i = 0; i < 20 && (await focused()) !== 'Load another model'; i++)
      await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('embedded');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('#layers')?.textContent === 'AAAAAAAA');
    expect(await text('#status')).toMatch(/^base is ready/);
  });
});

describe('other models', () => {
  test('one of the Hub survives a reload, and the Hub', async () => {
    page = await open(browser, `${site.url}?hub=${encodeURIComponent(hub.url)}&model=org/hybrid`);
    await ready(page);
    expect(await text('#card-name')).toBe('org/hybrid');
    const loads = () => hub.asked.filter((path) => path.endsWith('.safetensors')).length;
    expect(loads()).toBe(1);
    await page.reload();
    await ready(page);
    expect(loads()).toBe(1);
    await page.route(`${hub.url}/**`, (route) => route.abort());
    await page.reload();
    await ready(page);
    await press('Do sums');
    expect(await verdict(page)).toMatch(/✓/);
  });

  test('one that the Hub has not is an error, from which one can go on', async () => {
    page = await open(browser, `${site.url}?hub=${encodeURIComponent(hub.url)}`);
    await ready(page);
    await page.getByText('Load another model').click();
    await page.getByLabel('Hugging Face id').fill('org/missing');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    expect(await text('#error')).toMatch(
      /^org\/missing could not be loaded: .*gives no org\/missing \(main\): 404/,
    );
    expect(await page.locator('#go').isDisabled()).toBe(true);
    await page.locator('#embedded-form button').click();
    await ready(page);
    expect(await page.getByRole('alert').isVisible()).toBe(false);
  });

  test('a folder that is chosen', async () => {
    page = await open(browser, site.url);
    await ready(page);
    await page.locator('#folder').setInputFiles(HYBRID);
    await page.waitForFunction(() =>
      document.querySelector('#status')?.textContent?.startsWith('hybrid is ready'),
    );
    await press('Do sums');
    expect(await verdict(page)).toMatch(/✓/);
  });

  test('a folder that is dropped, broken ones with what is wrong', async () => {
    page = await open(browser, site.url);
    await ready(page);
    const drop = async (folder: string) => {
      const session = await page.context().newCDPSession(page);
      const data = { items: [], files: [folder], dragOperationsMask: 1 };
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
        await session.send('Input.dispatchDragEvent', { type, x: 300, y: 200, data });
      }
    };
    const broken = (name: string, spoil: (folder: string) => void) => {
      const folder = join(work, name);
      cpSync(HYBRID, folder, { recursive: true });
      spoil(folder);
      return folder;
    };
    const cases: [string, RegExp][] = [
      [
        broken('cut', (folder) => {
          const file = join(folder, 'model.safetensors');
          writeFileSync(file, readFileSync(file).subarray(0, 100_000));
        }),
        /^cut could not be loaded: cut\/model\.safetensors is truncated/,
      ],
      [
        broken('json', (folder) => writeFileSync(join(folder, 'config.json'), '{')),
        /^json could not be loaded: json\/config\.json is not JSON/,
      ],
      [
        broken('empty', (folder) => rmSync(join(folder, 'config.json'))),
        /^empty could not be loaded: empty is no model folder: it has no config\.json/,
      ],
    ];
    for (const [folder, message] of cases) {
      await drop(folder);
      await page.waitForFunction(
        (name) => document.querySelector('#error')?.textContent?.startsWith(name),
        folder.split('/').at(-1)!,
      );
      expect(await text('#error')).toMatch(message);
    }
    await drop(broken('whole', () => {}));
    await page.waitForFunction(() =>
      document.querySelector('#status')?.textContent?.startsWith('whole is ready'),
    );
    await press('Find a needle');
    expect(await verdict(page)).toMatch(/✓/);
  });

  test('one with a chat template holds a conversation', async () => {
    const folder = join(work, 'chat');
    cpSync(HYBRID, folder, { recursive: true });
    const template =
      "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{{ 'Sums: ' if add_generation_prompt }}";
    writeFileSync(join(folder, 'chat_template.jinja'), template);
    page = await open(browser, site.url);
    await ready(page);
    await page.locator('#folder').setInputFiles(folder);
    await page.waitForFunction(() =>
      document.querySelector('#status')?.textContent?.startsWith('chat is ready'),
    );
    await page.locator('#tokens').fill('8');
    for (const [turn, question] of ['What is 1+1?', 'And 2+2?'].entries()) {
      await page.locator('#prompt').fill(question);
      await press('Send');
      await page.waitForFunction(
        (count) => document.querySelectorAll('#output .made').length === count,
        turn + 1,
      );
      expect(await verdict(page)).toMatch(/8 tokens/);
    }
    expect(await page.locator('#output p.given').allTextContents()).toEqual(['What is 1+1?', 'And 2+2?']);
    await page.getByLabel('Go on with it').check();
    await page.getByRole('button', { name: 'Write', exact: true }).waitFor();
  });
});

describe('how it looks', () => {
  test.each([
    ['desktop-light', { colorScheme: 'light' }],
    ['desktop-dark', { colorScheme: 'dark' }],
    ['phone-light', { colorScheme: 'light', ...PHONE }],
    ['phone-dark', { colorScheme: 'dark', ...PHONE }],
  ] as const)('%s', async (name, options) => {
    page = await open(browser, site.url, options);
    await ready(page);
    await press('Find a needle');
    await verdict(page);
    await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
    await page.getByText('Load another model').click();
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    // Names, roles, contrast and more, by the rules of WCAG 2.2 AA.
    await page.evaluate(axe.source);
    const found = await page.evaluate(async () => {
      const { violations } = await (window as unknown as { axe: typeof import('axe-core') }).axe.run();
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
    });
    expect(found).toEqual([]);
  });

  test('loading, with its progress, can be cancelled', async () => {
    page = await open(browser, 'about:blank');
    let release = () => {};
    const held = new Promise<void>((done) => {
      release = done;
    });
    await page.route('**/model.safetensors', async (route) => {
      await held;
      await route.continue().catch(() => {});
    });
    await page.goto(site.url);
    await page.getByRole('progressbar').waitFor();
    await press('Cancel');
    await page.locator('#loading').waitFor({ state: 'hidden' });
    expect(await text('#status')).toBe('Loading was cancelled.');
    release();
    await page.unrouteAll({ behavior: 'ignoreErrors' });
    await page.locator('#embedded-form button').click();
    await ready(page);
  });
});

test('npm run demo', async () => {
  const demo = await serving('npm', ['run', 'demo', '--', '--host', '127.0.0.1', '--port', '4301']);
  try {
    page = await open(browser, demo.url);
    await ready(page);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await press('Do sums');
    expect(await verdict(page)).toMatch(/✓/);
  } finally {
    await demo.close();
  }
});
