import { describe, expect, test } from 'vitest';
import { escapeHtml, Html, html } from './html.ts';

describe('html', () => {
  test('escapes what is put in, in text and in attributes', () => {
    const name = `<b>"Tom" & 'Ann'</b>`;
    expect(html`<p title="${name}">${name}</p>`.markup).toBe(
      '<p title="&lt;b&gt;&quot;Tom&quot; &amp; &#39;Ann&#39;&lt;/b&gt;">' +
        '&lt;b&gt;&quot;Tom&quot; &amp; &#39;Ann&#39;&lt;/b&gt;</p>',
    );
  });

  test('keeps markup, joins lists, leaves nothing for undefined and false, but shows 0', () => {
    const items = ['a', '<'].map((item) => html`<li>${item}</li>`);
    expect(html`<ul>${items}</ul>${undefined}${false}${0}${new Html('<hr>')}`.markup).toBe(
      '<ul><li>a</li><li>&lt;</li></ul>0<hr>',
    );
  });

  test('an escaped text is not escaped twice by being nested', () => {
    expect(html`${html`${'&'}`}`.markup).toBe(escapeHtml('&'));
  });
});
