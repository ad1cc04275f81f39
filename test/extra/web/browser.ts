import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

export type Library = typeof import('../../../src/web.ts');

/** What web/test/library.ts gives. */
declare global {
  interface Window {
    postnas: Library;
    inWorker(task: { source: string; data: unknown }): Promise<unknown>;
  }
}

/** Debian's Chromium without a display. What it would look up on the network by itself is switched off. */
export function launch(args: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...args,
    ],
  });
}

/** WebGPU without a GPU: by SwiftShader, which comes with Chromium. */
export const WEBGPU = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--ignore-gpu-blocklist',
];

/** A page whose uncaught errors are kept. */
export async function open(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Page & { failures: string[] }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const failures: string[] = [];
  page.on('pageerror', (error) => failures.push(error.message));
  await page.goto(url);
  return Object.assign(page, { failures });
}

/** The model is there. */
export async function ready(page: Page): Promise<void> {
  await page.locator('#card').waitFor({ timeout: 60_000 });
}

/** What is said of a text once it is written. */
export async function verdict(page: Page): Promise<string> {
  await page.waitForFunction(() => document.querySelector('#verdict')?.textContent !== '', null, {
    timeout: 60_000,
  });
  return (await page.locator('#verdict').textContent())!;
}
