import type { SearchedRun } from '../../search/result.ts';
import { type Content, type Html, html } from '../html.ts';
import { downloadLink } from '../table.ts';

/** How the run was made, and the files it can be repeated and read from. */
export function runSettings(result: SearchedRun): Html {
  const { command, created, machine, recipe } = result;
  const json = `${JSON.stringify(recipe, null, 2)}\n`;
  const facts: [string, Content][] = [
    ['Processor', machine.processor],
    ['Cores', machine.cores],
    ['Node.js', machine.node],
    ['ONNX Runtime', machine.onnxruntime],
    ['Seeds', result.placement.runs.map(({ seed }) => seed).join(', ')],
    ['Made', html`<time datetime="${created}">${created.replace('T', ' ').slice(0, 19)}</time>`],
  ];
  return html`${command !== undefined && html`<p>Repeat it with</p><pre tabindex="0"><code>${command}</code></pre>`}
<dl class="facts">${facts.map(([term, fact]) => html`<div><dt>${term}</dt><dd>${fact}</dd></div>`)}</dl>
<details class="data"><summary>The recipe, defaults filled in</summary>
<pre tabindex="0"><code>${json}</code></pre>
<p>${downloadLink('recipe.json', 'application/json', json)}</p></details>
<p>${downloadLink('run-result.json', 'application/json', `${JSON.stringify(result)}\n`, 'Download the result of the run (JSON)')}</p>`;
}
