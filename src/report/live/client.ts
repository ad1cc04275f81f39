/**
 * What keeps the page of a run up to date in a browser: parts that have changed are replaced where they stand, so that
 * nothing flickers, scrolls away or closes. The connection is made again when a run is resumed.
 */
export const CLIENT = `
const byId = (id) => document.getElementById(id);
function replace(element, markup) {
  const open = new Set([...element.querySelectorAll('details[open]')].map((each) => keyOf(each, element)));
  const focus = element.contains(document.activeElement) ? document.activeElement.id : '';
  element.innerHTML = markup;
  for (const each of element.querySelectorAll('details')) each.open = open.has(keyOf(each, element));
  if (focus) byId(focus)?.focus();
}
function keyOf(details, element) {
  return [...element.querySelectorAll('details')].indexOf(details);
}
function update({ title, changed, sections }) {
  document.title = title;
  const main = byId('main');
  for (const [id, markup] of Object.entries(changed)) {
    let element = byId(id);
    if (!element) {
      element = document.createElement('section');
      element.id = id;
      element.setAttribute('aria-labelledby', id + '-heading');
      main.append(element);
    }
    replace(element, markup);
  }
  for (const each of [...main.children]) if (!sections.includes(each.id)) each.remove();
  sections.forEach((id, i) => {
    if (main.children[i]?.id !== id) main.insertBefore(byId(id), main.children[i] ?? null);
  });
  const stage = document.querySelector('.stages [aria-current]')?.textContent ?? '';
  if (stage && byId('announcement').dataset.stage !== stage.replace(/\\d+ of.*/, '')) {
    byId('announcement').dataset.stage = stage.replace(/\\d+ of.*/, '');
    byId('announcement').textContent = stage;
  }
}
function follow() {
  const source = new EventSource('events');
  source.addEventListener('page', (event) => {
    update(JSON.parse(event.data));
    delete document.body.dataset.lost;
  });
  source.addEventListener('finished', () => source.close());
  source.addEventListener('error', () => {
    document.body.dataset.lost = 'true';
    source.close();
    setTimeout(follow, 2000);
  });
}
follow();
`;

export const STYLE = `
.live{background:var(--panel);border-radius:10px;padding:16px 18px;margin-bottom:32px}
.live .now{display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 12px;margin-bottom:10px}
.live .now b{font-size:1.15rem}
.live .left{color:var(--muted);margin-left:auto;font-variant-numeric:tabular-nums}
.badge{font-size:.8rem;font-weight:700;border-radius:5px;padding:1px 8px;background:var(--full);color:var(--full-text)}
.badge.finished{background:var(--exhaustive);color:var(--paper)}
.badge.stopped{background:var(--linear);color:var(--linear-text)}
.live progress{width:100%;height:10px;accent-color:var(--full);display:block;margin-bottom:12px}
.stages{list-style:none;display:flex;flex-wrap:wrap;gap:4px 20px;padding:0;margin:0 0 12px;font-size:.92rem;color:var(--muted)}
.stages .under-way{color:var(--full);font-weight:650}
.stages .done{color:var(--ink)}
.running{list-style:none;padding:0;margin:0;font-size:.92rem;font-variant-numeric:tabular-nums}
.running li{padding:5px 0;border-top:1px solid var(--line);color:var(--muted)}
.running b{color:var(--ink);margin-right:8px}
.live .note{margin:10px 0 0}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
[data-lost] .badge.running{background:var(--linear);color:var(--linear-text)}
[data-lost] .badge.running::after{content:": no connection, trying again"}
@media screen and (max-width:720px){
.live .left{margin-left:0;flex-basis:100%}
.stages{flex-direction:column}
}
@media print{.live{border:1px solid var(--line)}}
`;
