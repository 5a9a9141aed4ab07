"""How every page looks: light, dark, narrow and printed, from one style sheet inside the page."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --panel: #f6f7f9; --ink: #1c2126; --muted: #5b6570; --line: #dfe3e8;
  --band: #cfd6de; --accent: #0072b2; --alert: #b23c0a; --alert-panel: #fdf3ec; --good: #1b6e3c;
  --group-1: #0072b2; --group-2: #d55e00; --group-3: #009e73; --group-4: #b8588f;
  --group-5: #b07a00; --group-6: #3f8fc4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181d; --panel: #1c2229; --ink: #e9ecef; --muted: #a3adb8; --line: #303842;
    --band: #3f4954; --accent: #56b4e9; --alert: #f0894a; --alert-panel: #2b211b; --good: #4fc27d;
    --group-1: #56b4e9; --group-2: #f0894a; --group-3: #2fc49a; --group-4: #e09cc4;
    --group-5: #e6b422; --group-6: #9fb8ff;
  }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff; --panel: #ffffff; --ink: #000000; --muted: #444444; --line: #bbbbbb;
    --band: #cfd6de; --accent: #0072b2; --alert: #b23c0a; --alert-panel: #ffffff; --good: #1b6e3c;
    --group-1: #0072b2; --group-2: #d55e00; --group-3: #009e73; --group-4: #b8588f;
    --group-5: #b07a00; --group-6: #3f8fc4;
  }
  nav { display: none; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: break-word; -webkit-text-size-adjust: 100%;
}
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.15; letter-spacing: -.02em; margin: 0 0 .35rem; }
h2 { font-size: 1.35rem; line-height: 1.25; letter-spacing: -.01em; margin: 3rem 0 1rem; }
h3, .verdict h2 { font-size: 1rem; margin: 0 0 .4rem; }
p { margin: 0 0 .8rem; max-width: 44rem; }
.facts { color: var(--muted); margin-bottom: 2rem; }
.summary { font-size: 1.2rem; line-height: 1.5; max-width: 46rem; margin-bottom: 1.5rem; }
.verdict {
  border-left: 4px solid var(--accent); background: var(--panel); border-radius: 0 8px 8px 0;
  padding: 1rem 1.25rem; margin: 0 0 1rem;
}
.verdict p { margin: 0; max-width: 50rem; }
.verdict.evidence { border-color: var(--alert); background: var(--alert-panel); }
.verdict.unknown { border-color: var(--line); }
.badge { font-size: .875rem; font-weight: 600; color: var(--accent); margin-left: .5rem; }
.evidence .badge { color: var(--alert); }
.unknown .badge { color: var(--muted); }
.overview { width: 100%; min-width: calc(9rem + var(--columns) * 8.5rem); table-layout: fixed; }
.overview th, .overview td { padding-right: 1rem; vertical-align: top; }
.overview thead th { white-space: normal; vertical-align: bottom; }
.overview tbody th { font-weight: 600; overflow-wrap: anywhere; }
.overview .group { display: block; height: 22px; line-height: 22px; font-weight: 400; font-size: .85rem;
  white-space: nowrap; overflow: hidden; text-overflow: ellipsis; color: var(--ink); }
.overview .size { color: var(--muted); font-style: normal; font-size: .75rem; }
.overview td { white-space: normal; padding-top: 1.95rem; color: var(--muted); }
.overview td strong { display: block; font-size: .85rem; }
.overview svg { display: block; width: 100%; max-width: 13rem; overflow: visible; }
.overview line { stroke: currentColor; stroke-width: 3; opacity: .45; }
.overview circle { fill: currentColor; }
.overview .evidence { color: var(--alert); }
.overview .equal { color: var(--good); }
.overview .column, .overview .names, .overview td .axis { display: none; }
.axis { display: flex; justify-content: space-between; max-width: 13rem; font-weight: 400;
  font-size: .75rem; color: var(--muted); margin: 0; padding: 0 4%; }
.verdict.equal, .verdict.gain { border-color: var(--good); }
.equal .badge, .gain .badge { color: var(--good); }
.verdict.undecided, .verdict.undefined { border-color: var(--band); }
.undecided .badge, .undefined .badge { color: var(--muted); }
details { border-top: 1px solid var(--line); }
summary { font-size: 1.05rem; font-weight: 600; padding: .6rem 0; cursor: pointer; }
details[open] summary { margin-bottom: .8rem; }
.warnings { margin: 0; padding: 0 0 0 1.2rem; max-width: 50rem; }
.warnings li { margin: 0 0 .6rem; padding-left: .2rem; }
.warnings li::marker { color: var(--alert); }
.figures { display: grid; gap: 1.25rem; align-items: start; }
@media (min-width: 50rem), print {
  .figures { columns: 2; column-gap: 1.25rem; display: block; }
  .figures > * { break-inside: avoid; margin-bottom: 1.25rem; }
}
figure {
  margin: 0; border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1rem .5rem;
  max-width: 32rem; width: 100%;
}
figcaption { font-weight: 600; margin-bottom: .6rem; }
figure svg { display: block; width: 100%; height: auto; }
figure svg text { font-family: inherit; }
.scroll { overflow-x: auto; margin: 0 0 1.75rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0 0 .5rem; min-width: 16rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem 1.1rem .45rem 0; }
thead th, thead td { border-bottom: 2px solid var(--line); white-space: nowrap; }
tbody th { font-weight: 500; min-width: 9.5rem; }
tbody tr + tr > * { border-top: 1px solid var(--line); }
td { white-space: nowrap; }
small { display: block; color: var(--muted); font-size: .8rem; font-weight: 400; }
.excerpt { margin: 0 0 1.5rem; break-inside: avoid; }
.excerpt dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .75rem; margin: 0; }
.excerpt dl > div { background: var(--panel); border-radius: 8px; padding: .75rem 1rem; min-width: 0; }
.excerpt dt { color: var(--muted); font-size: .8rem; }
.excerpt dd { margin: .2rem 0 0; white-space: pre-wrap; font-size: .95rem; }
.pictures { display: flex; flex-wrap: wrap; gap: 6px; margin: 0 0 .75rem; }
.pictures img { display: block; max-width: 100%; border-radius: 3px; }
.facts b { color: var(--ink); font-weight: 600; }
.method p { color: var(--muted); font-size: .95rem; }
@media screen and (max-width: 48rem) {
  .overview, .overview tbody, .overview tr, .overview td { display: block; min-width: 0; }
  .overview thead, .overview tbody th .group { display: none; }
  .overview tbody th { display: block; font-size: 1.1rem; padding-bottom: 0; }
  .overview td { padding: .5rem 0 .75rem; border-top: 0 !important; }
  .overview .column { display: block; margin: 0; color: var(--ink); font-weight: 600; font-size: .9rem; }
  .overview .groups { display: grid; grid-template-columns: minmax(0, 8.5rem) 1fr; gap: .5rem; }
  .overview .names { display: block; }
  .overview svg { max-width: none; }
  .overview td .axis { display: flex; max-width: none; padding-left: 9rem; }
}
nav ol { margin: 0; padding-left: 1.4rem; columns: 2; }
nav a { color: var(--accent); }
.verdict ul { margin: 0; padding-left: 1.1rem; max-width: 50rem; }
.verdict li { margin: 0 0 .3rem; }
@media screen and (max-width: 30rem) {
  nav ol { columns: 1; }
  main { padding: 1.5rem 1rem 3rem; }
  h1 { font-size: 1.6rem; }
  .summary { font-size: 1.08rem; }
  figure { padding: .75rem .5rem .25rem; }
  tbody th { position: sticky; left: 0; background: var(--paper); padding-right: .8rem;
    min-width: 7.5rem; max-width: 9rem; }
}
@page { size: A4; margin: 11mm; }
@media print {
  html { font-size: 8.5px; }
  body { font-size: 8.5pt; line-height: 1.3; }
  main { max-width: none; padding: 0; }
  p, .summary, .warnings, .verdict p, .verdict ul { max-width: none; }
  p, .warnings li { margin-bottom: .3rem; }
  .summary { font-size: 10.5pt; margin-bottom: .6rem; }
  .verdict { padding: .4rem .8rem; margin-bottom: .5rem; }
  h1 { font-size: 17pt; }
  h2 { font-size: 12pt; margin: 1.2rem 0 .4rem; }
  .verdict h2, h3 { font-size: 8.5pt; margin: 0 0 .2rem; }
  summary { font-size: 11pt; padding: .3rem 0; list-style: none; }
  details[open] summary { margin-bottom: .3rem; }
  figure, .verdict, tr, .excerpt { break-inside: avoid; }
  h2, h3, summary, caption { break-after: avoid; }
  .scroll { overflow: visible; margin: 0 0 .8rem; }
  table { font-size: 6.6pt; line-height: 1.2; }
  caption { font-size: 7.5pt; padding-bottom: .2rem; }
  th, td { padding: .12rem .8rem .12rem 0; }
  thead th { white-space: normal; border-bottom-width: 1px; }
  tbody th { min-width: 0; }
  thead { break-inside: avoid; break-after: avoid; }
  .tables td:last-child { white-space: normal; }
  table:not(.overview) small { display: inline; font-size: 1em; margin-left: .5em; }
  .tables { columns: 2; column-gap: 6mm; }
  .tables .wide { column-span: all; }
  .figures { columns: 3; column-gap: 4mm; }
  .figures > * { margin-bottom: 3mm; }
  figure { border: 0; padding: 0; }
  figcaption { font-size: 7.5pt; margin-bottom: .2rem; }
}
"""
