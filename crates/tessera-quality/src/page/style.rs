//! How the page looks: light and dark, on screen and on paper. Colours and pictures are `tessera_picture`'s.

pub(super) const STYLE: &str = "
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
.finding{display:grid;grid-template-columns:.45rem 1fr auto;gap:.1rem .9rem;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.7rem 1rem .7rem .7rem;margin:.5rem 0}
.finding i{grid-row:1/4;border-radius:4px}.high i{background:var(--bad)}.medium i{background:var(--weak)}.low i{background:var(--none)}
.finding p{grid-column:2/4}.finding .count{font-variant-numeric:tabular-nums;font-weight:600}
code{font:13px ui-monospace,monospace;background:var(--ground);border:1px solid var(--line);border-radius:5px;padding:.05rem .35rem;overflow-wrap:anywhere}
details{margin-top:.6rem}summary{cursor:pointer;color:var(--accent)}
.top svg{display:block;margin:.5rem auto 0}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
@media print{body{background:#fff}.card,.finding{break-inside:avoid}details{display:block}}
";
