//! Pictures as SVG: small ones within a page, and ones that stand alone in a file. Pure.
//!
//! Not a library for plotting: these are the few forms that reports and insights need. Invariants: every text reaches a picture
//! through `maud`, which escapes it; nothing is told by colour alone; nothing is loaded from elsewhere. Reference: SVG 2; WCAG
//! 2.2, 1.1.1 and 1.4.1.

mod alone;
mod charts;
mod layers;
mod style;

pub use alone::{Bar, Cell, Column, Heading, bars, grid, stacked};
pub use charts::{Point, bar, columns, grade, line, percent, ring};
pub use layers::{Edge, Layer, layers};
pub use style::{PALETTE, SHAPES};

/// Exact up to 2^53, which no count here comes near.
#[expect(clippy::cast_precision_loss, reason = "a picture needs no more")]
const fn as_f64(count: u64) -> f64 {
    count as f64
}
