import { themeVariables } from './theme.ts';

/** The style sheet of a report: light and dark, wide and narrow, screen and paper. */
export function style(): string {
  return `:root{color-scheme:light dark;${themeVariables('light')}}
@media screen and (prefers-color-scheme:dark){:root{${themeVariables('dark')}}}
${RULES}`;
}

const RULES = `
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;counter-reset:figure}
header,main,footer{max-width:1040px;margin:0 auto;padding:0 24px}
header{padding-top:48px}
h1,h2,h3,h4,p,figure,dl{margin:0}
h1{font-size:clamp(1.75rem,1.2rem + 2.4vw,2.75rem);line-height:1.12;letter-spacing:-.02em;font-weight:750;margin-bottom:16px;text-wrap:balance}
h2{font-size:1.05rem;font-weight:650;color:var(--muted);border-top:1px solid var(--line);padding-top:20px;margin:36px 0 18px}
h3{font-size:1.35rem;line-height:1.25;letter-spacing:-.01em;font-weight:700;text-wrap:balance}
h4{font-size:.95rem;font-weight:650;margin-bottom:4px}
h4 small{font-weight:400;color:var(--muted)}
a{color:var(--link);text-underline-offset:.15em}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:2px}
code{font:.92em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
pre{margin:6px 0 20px;padding:12px 14px;background:var(--panel);border-radius:8px;white-space:pre-wrap;font-size:.9rem}
small{font-size:.85em}
.skip{position:absolute;left:-999px}
.skip:focus{left:8px;top:8px;background:var(--paper);padding:8px}
.eyebrow{color:var(--muted);font-size:.9rem;margin-bottom:10px;overflow-wrap:anywhere}
.lead{max-width:46em;color:var(--ink);margin-bottom:24px}
.architecture{display:inline-flex;gap:1px;vertical-align:middle}
.architecture .block{width:8px;height:14px;border-radius:2px}
.architecture.many .block{width:5px}
.architecture.large{display:flex;gap:4px;margin-bottom:10px;max-width:760px}
.architecture.large .block{flex:1 1 0;max-width:72px;min-width:0;height:auto;aspect-ratio:1/1.1;min-height:34px;border-radius:6px;display:flex;flex-direction:column;align-items:center;justify-content:center;line-height:1.1}
.architecture.large b{font-size:clamp(.7rem,1.4vw,1.15rem)}
.architecture.large i{font-style:normal;font-size:.7rem}
.block{display:inline-block}
.block.full{background:var(--full);color:var(--full-text)}
.block.linear{background:var(--linear);color:var(--linear-text)}
.block.window{background:var(--window);color:var(--window-text)}
.block.other{background:var(--other);color:var(--other-text)}
.key{font-size:.9rem;color:var(--muted);margin-bottom:24px}
.key .block{width:12px;height:12px;border-radius:3px;vertical-align:-1px;margin-left:14px}
.key .entry{white-space:nowrap;margin-right:14px}
.key .block:first-child{margin-left:0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-bottom:28px}
.card{background:var(--panel);border-radius:10px;padding:14px 16px}
.card b{display:block;font-size:clamp(1.2rem,1rem + 1.2vw,1.5rem);line-height:1.2;letter-spacing:-.02em;font-variant-numeric:tabular-nums;white-space:nowrap}
.card span{font-size:.85rem;line-height:1.35;display:block;color:var(--muted);margin-top:4px}
nav{margin-top:24px}
nav ol{list-style:none;display:flex;flex-wrap:wrap;gap:4px 20px;padding:0;margin:0;font-size:.92rem}
figure{margin:40px 0;counter-increment:figure}
.reading{color:var(--muted);font-size:.95rem;margin:6px 0 14px;max-width:52em}
figcaption{margin-top:12px;max-width:52em}
h2+figure{margin-top:0}
figcaption ul{margin:4px 0 8px;padding-left:1.2em}
figcaption::before{content:"Figure " counter(figure) ". ";font-weight:700}
.note{font-size:.9rem;color:var(--muted);margin:10px 0 20px;max-width:52em}
.claims{margin:14px 0 20px;padding:12px 16px;background:var(--panel);border-radius:10px}
figure+.claims{margin-top:-20px}
.claims div+div{margin-top:10px}
.claims dt{font-size:.95rem;font-weight:650;color:var(--ink)}
.claims dd{font-size:.92rem;max-width:60em}
.verdict{font-weight:650;white-space:nowrap;margin-right:4px}
.verdict.yes{color:var(--exhaustive)}
.verdict.no{color:var(--full)}
.verdict.open{color:var(--muted)}
.points{margin:0 0 24px;padding-left:1.2em;max-width:52em}
.points li{margin-bottom:6px}
.written{white-space:pre-wrap;overflow-wrap:anywhere}
.mark{color:var(--full);font-weight:650}
svg{display:block;width:100%;height:auto;overflow:visible;font-family:inherit}
svg text{white-space:pre}
.icon svg{width:auto;display:inline-block;vertical-align:-1px}
.narrow{display:none}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 20px;padding:0;margin:0 0 10px;font-size:.9rem}
.legend .icon{margin-right:6px}
.ramp{display:flex;flex-wrap:wrap;align-items:center;gap:4px 8px;font-size:.85rem;color:var(--muted);margin-bottom:12px}
.panels{display:grid;gap:24px 32px;grid-template-columns:repeat(3,1fr)}
.columns-2{grid-template-columns:repeat(2,1fr)}
.panel{min-width:0;display:flex;flex-direction:column;justify-content:end}
.caption{font-weight:650;font-size:.95rem;margin-top:12px}
.scroll{overflow-x:auto;margin:2px 0 4px;background:linear-gradient(90deg,var(--paper) 30%,transparent) 0 0/40px 100% no-repeat local,linear-gradient(270deg,var(--paper) 30%,transparent) 100% 0/40px 100% no-repeat local,linear-gradient(90deg,var(--line),transparent) 0 0/14px 100% no-repeat scroll,linear-gradient(270deg,var(--line),transparent) 100% 0/14px 100% no-repeat scroll}
table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums;width:100%}
th,td{text-align:left;padding:7px 12px 7px 0;border-bottom:1px solid var(--line);vertical-align:top}
thead th{font-weight:600;color:var(--muted);vertical-align:bottom;font-size:.85em}
tbody th{font-weight:600;min-width:8.5em}
th.number,.placement,tbody .reference th{min-width:0}
.number{text-align:right;white-space:nowrap}
th.number{white-space:normal}
.number+td:not(.number),.number+th:not(.number){padding-left:16px}
th:last-child,td:last-child{padding-right:0}
.reference th,.reference td{color:var(--muted);font-weight:400}
.none{color:var(--muted)}
.placement{display:block;white-space:nowrap}
.placement+.placement{margin-top:4px}
.placement small{display:block;color:var(--muted)}
details.data{margin:10px 0 0;font-size:.95rem}
details.data+p{margin-top:12px}
summary{cursor:pointer;color:var(--link);font-size:.9rem;width:fit-content}
dl.facts,dl.terms{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,150px),1fr));gap:12px 24px;margin-bottom:20px}
dl.terms{grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr))}
dt{font-size:.85rem;color:var(--muted)}
dl.terms dt{font-size:.95rem;font-weight:650;color:var(--ink)}
dd{margin:0;overflow-wrap:anywhere}
dl.terms dd{font-size:.92rem;color:var(--muted)}
footer{margin-top:40px;padding-bottom:40px;font-size:.85rem;color:var(--muted)}
footer p{border-top:1px solid var(--line);padding-top:14px}
@media screen and (max-width:720px){
.panels{grid-template-columns:1fr}
.panel{max-width:480px}
header,main,footer{padding-left:16px;padding-right:16px}
header{padding-top:28px}
.wide{display:none}
.stacked thead{display:none}
.stacked tr{display:block;padding:7px 0;border-bottom:1px solid var(--line)}
.stacked th,.stacked td{display:block;padding:0;border:0}
.architecture.large.many{flex-wrap:wrap}
.architecture.large.many .block{flex:0 0 27px}
.narrow{display:block}
.narrow svg{margin:0 auto}
}
@media print{
body{font-size:10.5pt}
header,main,footer{max-width:none;padding:0}
nav,.skip,.download,details.data{display:none}
h2{margin-top:28px;break-after:avoid}
h3,.caption{break-after:avoid}
.note{break-inside:avoid}
figure,.cards,tr{break-inside:avoid}
.card{border:1px solid var(--line)}
.scroll{overflow:visible;background:none}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
}
`;
