import { themeVariables } from './theme.ts';

/** A chart of a report as a file by itself, which follows light and dark. */
export function standalone(svg: string): string {
  const style =
    `svg{${themeVariables('light')}background:var(--paper);color:var(--ink);font-family:system-ui,sans-serif}` +
    `@media (prefers-color-scheme:dark){svg{${themeVariables('dark')}}}text{white-space:pre}`;
  return `${svg
    .replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg"')
    .replace(/ style="max-width:[^"]*"/, '')
    .replace('>', `><style>${style}</style>`)}\n`;
}
