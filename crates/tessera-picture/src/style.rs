//! How pictures look: light and dark are the browser's choice.

/// The colours, as properties of the root of a page or picture.
pub const PALETTE: &str = "
:root{color-scheme:light dark;--ink:#1d2129;--soft:#5b6472;--line:#e2e5ea;--card:#fff;--ground:#f5f6f8;
--good:#1f8a5b;--fine:#7ba428;--weak:#d08a1d;--bad:#c9413c;--none:#c8ccd3;--accent:#3457c9;
--good-tint:#dcf1e6;--fine-tint:#edf4d9;--weak-tint:#fbecd0;--bad-tint:#f9dcda}
@media(prefers-color-scheme:dark){:root{--ink:#e7e9ee;--soft:#9aa3b2;--line:#2e343e;--card:#1b1f26;--ground:#12151a;
--good:#4cc38a;--fine:#a8cf4f;--weak:#eab14e;--bad:#ef7570;--none:#454c58;--accent:#8aa4ff;
--good-tint:#173528;--fine-tint:#2b3517;--weak-tint:#3d2f14;--bad-tint:#431f1e}}
";

/// What the classes of pictures look like.
pub const SHAPES: &str = "
.f-good{fill:var(--good)}.f-fine{fill:var(--fine)}.f-weak{fill:var(--weak)}.f-bad{fill:var(--bad)}.f-none{fill:var(--none)}
.s-good{stroke:var(--good)}.s-fine{stroke:var(--fine)}.s-weak{stroke:var(--weak)}.s-bad{stroke:var(--bad)}.s-none{stroke:var(--none)}
.track{fill:var(--line)}.ring{fill:none;stroke-width:10}.ring-track{stroke:var(--line)}
.accent{fill:var(--accent)}.grid{stroke:var(--line)}.line{fill:none;stroke:var(--accent);stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}
.area{fill:var(--accent);opacity:.12}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .small{fill:var(--soft);font-size:11px}svg .big{font-size:26px;font-weight:600}
";
