import { type Content, type Html, html } from '../html.ts';
import type { Stages } from '../stages.ts';
import { downloadLink } from '../table.ts';

/** How it was made, and the files it can be repeated and read from. */
export function settings({ result, seeds }: Stages): Html {
  const { command, created, machine, recipe } = result;
  const facts: [string, Content][] = [
    ...(machine
      ? ([
          ['Processor', machine.processor],
          ['Cores', machine.cores],
          ['Node.js', machine.node],
          ['ONNX Runtime', machine.onnxruntime],
        ] satisfies [string, Content][])
      : []),
    ['Seeds', seeds.join(', ')],
    ['Made', html`<time datetime="${created}">${created.replace('T', ' ').slice(0, 19)}</time>`],
  ];
  return html`${command !== undefined && html`<p>Repeat it with</p><pre tabindex="0"><code>${command}</code></pre>`}
<dl class="facts">${facts.map(([term, fact]) => html`<div><dt>${term}</dt><dd>${fact}</dd></div>`)}</dl>
${recipe && recipeDetails(recipe)}
<p>${downloadLink('result.json', 'application/json', `${JSON.stringify(result, null, 2)}\n`, 'Download the result (JSON)')}</p>`;
}

function recipeDetails(recipe: NonNullable<Stages['result']['recipe']>): Html {
  const json = `${JSON.stringify(recipe, null, 2)}\n`;
  return html`<details class="data"><summary>The recipe, defaults filled in</summary>
<pre tabindex="0"><code>${json}</code></pre>
<p>${downloadLink('recipe.json', 'application/json', json)}</p></details>`;
}
