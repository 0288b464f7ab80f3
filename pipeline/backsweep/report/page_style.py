"""The style sheet of report.html: light and dark as the reader's system is, and plain on paper."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root { color-scheme: light dark; --paper:#fbfbfa; --card:#fff; --ink:#1a1f27; --quiet:#5c6572; --rule:#dfe3e8;
  --faint:#f1f3f5; --procedure:#0b63b5; --winner:#c24a00; --yardstick:#6d7681; --shade:#e9e4f3; --mark:#eef4fb; }
@media (prefers-color-scheme: dark) { :root { --paper:#12151a; --card:#191d24; --ink:#e6e9ee; --quiet:#9aa4b1;
  --rule:#2d333d; --faint:#20252d; --procedure:#63b0ff; --winner:#ff9a57; --yardstick:#9ba4b0; --shade:#2b2740;
  --mark:#1b2836; } }
* { box-sizing: border-box; }
body { margin:0; background:var(--paper); color:var(--ink); font:16px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width:1200px; margin:0 auto; padding:2.5rem 1.5rem 4rem; }
h1 { font-size:2rem; line-height:1.2; margin:0 0 .3rem; overflow-wrap:anywhere; letter-spacing:-.01em; }
h2 { font-size:1.25rem; margin:0 0 .8rem; letter-spacing:-.005em; }
p { margin:.5rem 0; max-width:75ch; } ul { margin:.4rem 0; padding-left:1.2rem; max-width:80ch; }
section { margin-top:2.8rem; } .quiet, figcaption { color:var(--quiet); }
code, pre { font-family:ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size:.86em; }
.eyebrow { color:var(--quiet); font-size:.82rem; letter-spacing:.06em; text-transform:uppercase; margin:0 0 .4rem; }
.worth { background:var(--card); border:1px solid var(--rule); border-left:5px solid var(--procedure);
  border-radius:8px; padding:1.3rem 1.5rem; margin-top:1.6rem; }
.worth h2 { margin-bottom:.4rem; } .worth p { font-size:1.08rem; max-width:80ch; }
.worth .concluded { font-weight:600; margin-bottom:0; }
.tiles { display:grid; grid-template-columns:repeat(auto-fit, minmax(9.5rem, 1fr)); gap:.8rem; margin:1rem 0 0; }
.tile { background:var(--card); border:1px solid var(--rule); border-radius:8px; padding:.8rem 1rem; }
.tile dt { color:var(--quiet); font-size:.82rem; line-height:1.3; }
.tile dd { margin:.15rem 0 0; font-size:1.6rem; font-weight:600; font-variant-numeric:tabular-nums; line-height:1.2; }
.tile small { display:block; font-size:.78rem; font-weight:400; color:var(--quiet); line-height:1.35; }
.found { margin:1.2rem 0 0; display:grid; grid-template-columns:7.5rem 1fr; gap:.55rem 1rem; }
.found dt { font-weight:600; } .found dd { margin:0; max-width:80ch; }
.legend { display:flex; flex-wrap:wrap; gap:.2rem 1.4rem; list-style:none; padding:0; margin:.2rem 0 .6rem;
  max-width:none; }
.legend svg { width:2rem; height:.7rem; margin-right:.45rem; vertical-align:middle; }
.legend b { font-variant-numeric:tabular-nums; }
figure { margin:0 0 1.6rem; } figcaption { font-size:.9rem; margin-bottom:.5rem; }
.chart { background:var(--card); border:1px solid var(--rule); border-radius:8px; padding:1rem 1rem 2.1rem 3.6rem; }
.plot { position:relative; height:22rem; } .low .plot { height:10rem; }
.plot svg { position:absolute; inset:0; width:100%; height:100%; overflow:visible; }
.plot span { position:absolute; font-size:.78rem; color:var(--quiet); font-variant-numeric:tabular-nums;
  white-space:nowrap; }
.plot .y { right:100%; transform:translateY(-50%); padding-right:.5rem; }
.plot .x { top:100%; transform:translateX(-50%); padding-top:.35rem; }
.plot .shade-label { top:.3rem; right:.5rem; }
path { fill:none; vector-effect:non-scaling-stroke; }
.grid { stroke:var(--rule); stroke-width:1; } .shade { fill:var(--shade); }
.line { stroke-width:1.6; stroke-linejoin:round; } .procedure { stroke:var(--procedure); stroke-width:2.2; }
.winner { stroke:var(--winner); } .yardstick { stroke:var(--yardstick); } .legend .yardstick { stroke-width:2; }
.low .line { stroke-width:1.1; }
.wide { overflow-x:auto; max-width:100%; border:1px solid var(--rule); border-radius:8px; background:var(--card); }
table { border-collapse:collapse; font-size:.88rem; font-variant-numeric:tabular-nums; width:100%; }
caption { text-align:left; padding:.6rem .8rem 0; color:var(--quiet); }
th, td { padding:.38rem .8rem; text-align:left; white-space:nowrap; border-bottom:1px solid var(--rule);
  vertical-align:baseline; font-weight:400; }
thead th { color:var(--quiet); font-weight:600; vertical-align:bottom; line-height:1.25; background:var(--faint); }
th small { display:block; font-weight:400; font-size:.76rem; min-height:1.25em; color:var(--quiet); }
tbody tr:last-child > * { border-bottom:0; } tbody tr:hover > * { background:var(--faint); }
.n { text-align:right; } .prose { white-space:normal; min-width:20rem; }
.objective { font-weight:600; background:var(--mark); } thead .objective { color:var(--ink); }
.leaders th, .leaders td { padding-left:.55rem; padding-right:.55rem; }
.leaders th:first-child { position:sticky; left:0; background:var(--faint); }
.leaders tbody tr:first-child > * { font-weight:600; }
.compare tbody th small { display:inline; margin-left:.5rem; }
.range { width:40%; min-width:12rem; }
.bar { display:block; position:relative; height:.8rem; }
.bar i { position:absolute; top:.2rem; height:.4rem; min-width:2px; border-radius:.2rem; background:var(--procedure);
  opacity:.45; }
.bar b { position:absolute; top:0; width:3px; margin-left:-1.5px; height:.8rem; border-radius:1px;
  background:var(--procedure); }
.spread tbody tr > * { border-bottom:0; padding-top:.2rem; padding-bottom:.2rem; }
.spread tbody tr > .first { border-top:1px solid var(--rule); padding-top:.5rem; } .spread tbody th { font-weight:600; }
.digest { white-space:normal; overflow-wrap:anywhere; min-width:15rem; max-width:22rem; line-height:1.35; }
abbr { text-decoration:none; cursor:help; }
.beside { display:flex; flex-wrap:wrap; gap:1rem; margin-top:1rem; align-items:flex-start; }
.beside .wide { flex:1 1 20rem; }
.picture { display:block; width:100%; height:auto; border:1px solid var(--rule); border-radius:8px; background:#fff; }
@media screen and (prefers-color-scheme: dark) { .picture { filter:invert(.9) hue-rotate(180deg); border-color:#ccc; } }
details { margin-top:.8rem; } summary { cursor:pointer; color:var(--quiet); margin-bottom:.5rem; }
pre { background:var(--card); border:1px solid var(--rule); border-radius:8px; padding:.9rem 1.1rem; overflow-x:auto;
  line-height:1.5; margin:.6rem 0; }
.digests { display:grid; grid-template-columns:max-content 1fr; gap:.2rem 1rem; margin:.8rem 0; }
.digests dt { color:var(--quiet); } .digests dd { margin:0; overflow-wrap:anywhere; }
footer { margin-top:3.5rem; padding-top:1rem; border-top:1px solid var(--rule); color:var(--quiet); font-size:.88rem; }
@media (max-width: 640px) { main { padding:1.4rem 1rem 3rem; } h1 { font-size:1.55rem; }
  .found { grid-template-columns:1fr; gap:0; } .found dd { margin-bottom:.8rem; }
  .worth { padding:1rem 1.1rem; } .worth p { font-size:1rem; } .plot { height:16rem; } .low .plot { height:8rem; }
  .chart { padding:.8rem .7rem 2rem 2.9rem; } .tiles { grid-template-columns:1fr 1fr; }
  .digests { grid-template-columns:1fr; } .digests dd { margin-bottom:.4rem; } }
@page { margin:12mm; } @page wide { size:landscape; }
@media print { * { print-color-adjust:exact; }
  :root { color-scheme:light; --paper:#fff; --card:#fff; --ink:#000; --quiet:#444; --rule:#bbb;
  --faint:#f4f4f4; --procedure:#0b63b5; --winner:#c24a00; --yardstick:#6d7681; --shade:#eee; --mark:#f4f4f4; }
  body { font-size:10pt; } main { max-width:none; padding:0; } .wide { overflow:visible; border:0; }
  table { font-size:8pt; } th, td { padding:.15rem .3rem; } code { overflow-wrap:anywhere; }
  #leaders { page:wide; } .leaders { font-size:6.5pt; } .leaders td { padding:.1rem .2rem; }
  section { margin-top:1.4rem; } figure, .tile, tr, pre { break-inside:avoid; } h2 { break-after:avoid; }
  .plot { height:14rem; } .low .plot { height:7rem; } .digest { min-width:0; } }
"""
