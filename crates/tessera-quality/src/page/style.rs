//! How the page looks: light and dark, on screen and on paper.

pub(super) const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1d2129;--soft:#5b6472;--line:#e2e5ea;--card:#fff;--ground:#f5f6f8;
--good:#1f8a5b;--fine:#7ba428;--weak:#d08a1d;--bad:#c9413c;--none:#c8ccd3;--accent:#3457c9;
--good-tint:#dcf1e6;--fine-tint:#edf4d9;--weak-tint:#fbecd0;--bad-tint:#f9dcda}
@media(prefers-color-scheme:dark){:root{--ink:#e7e9ee;--soft:#9aa3b2;--line:#2e343e;--card:#1b1f26;--ground:#12151a;
--good:#4cc38a;--fine:#a8cf4f;--weak:#eab14e;--bad:#ef7570;--none:#454c58;--accent:#8aa4ff;
--good-tint:#173528;--fine-tint:#2b3517;--weak-tint:#3d2f14;--bad-tint:#431f1e}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:72rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.7rem;margin:0}h2{font-size:1.25rem;margin:2.5rem 0 .75rem}h3{font-size:1rem;margin:0}
p{margin:.25rem 0}.soft{color:var(--soft)}.number{font-variant-numeric:tabular-nums;text-align:right;white-space:nowrap}
.cards{display:grid;gap:1rem;margin-top:1rem;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr))}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1rem 1.15rem}
.top{display:grid;gap:1rem;grid-template-columns:minmax(12rem,15rem) 1fr;margin-top:1.25rem}
@media(max-width:46rem){.top{grid-template-columns:1fr}}
table{border-collapse:collapse;width:100%}th,td{padding:.4rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{color:var(--soft);font-weight:500;font-size:.85rem}.wide{overflow-x:auto}
td.q{text-align:center;font-variant-numeric:tabular-nums}
.good{background:var(--good-tint)}.fine{background:var(--fine-tint)}.weak{background:var(--weak-tint)}.bad{background:var(--bad-tint)}
.none{color:var(--soft)}
.f-good{fill:var(--good)}.f-fine{fill:var(--fine)}.f-weak{fill:var(--weak)}.f-bad{fill:var(--bad)}.f-none{fill:var(--none)}
.s-good{stroke:var(--good)}.s-fine{stroke:var(--fine)}.s-weak{stroke:var(--weak)}.s-bad{stroke:var(--bad)}.s-none{stroke:var(--none)}
.track{fill:var(--line)}.top svg{display:block;margin:.5rem auto 0}.ring{fill:none;stroke-width:10}.ring-track{stroke:var(--line)}
.accent{fill:var(--accent)}.grid{stroke:var(--line)}.line{fill:none;stroke:var(--accent);stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}
.area{fill:var(--accent);opacity:.12}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .small{fill:var(--soft);font-size:11px}svg .big{font-size:26px;font-weight:600}
.finding{display:grid;grid-template-columns:.45rem 1fr auto;gap:.1rem .9rem;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.7rem 1rem .7rem .7rem;margin:.5rem 0}
.finding i{grid-row:1/4;border-radius:4px}.high i{background:var(--bad)}.medium i{background:var(--weak)}.low i{background:var(--none)}
.finding p{grid-column:2/4}.finding .count{font-variant-numeric:tabular-nums;font-weight:600}
code{font:13px ui-monospace,monospace;background:var(--ground);border:1px solid var(--line);border-radius:5px;padding:.05rem .35rem;overflow-wrap:anywhere}
details{margin-top:.6rem}summary{cursor:pointer;color:var(--accent)}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
@media print{body{background:#fff}.card,.finding{break-inside:avoid}details{display:block}}
";
