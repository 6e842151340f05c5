//! Boxes in columns with lines between them: who follows from whom, from left to right.

use maud::html;

use crate::alone::{Heading, LEFT, TOP, count, frame, round, short};

const BOX: (f64, f64) = (170.0, 26.0);
const STEP: (f64, f64) = (230.0, 40.0);
/// Most letters of a name that fit a box.
const LETTERS: usize = 24;

/// A column of boxes, each by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What they are.
    pub name: String,
    /// The boxes, from the top.
    pub boxes: Vec<String>,
}

/// A line from one box to another, each by the place of its layer and its place there.
pub type Edge = ((usize, usize), (usize, usize));

/// Boxes in columns with lines between them.
#[must_use]
pub fn layers(heading: &Heading, layers: &[Layer], edges: &[Edge]) -> String {
    let x = |layer: usize| LEFT + STEP.0 * count(layer);
    let y = |place: usize| TOP + 28.0 + STEP.1 * count(place);
    let path = |((layer, place), (to_layer, to_place)): &Edge| {
        let from = (x(*layer) + BOX.0, y(*place) + BOX.1 / 2.0);
        // Within a column the line goes round the right side.
        let is_within = layer == to_layer;
        let to = (x(*to_layer) + if is_within { BOX.0 } else { 0.0 }, y(*to_place) + BOX.1 / 2.0);
        let bend = if is_within { (from.0 + 40.0, to.0 + 40.0) } else { (from.0 + 30.0, to.0 - 30.0) };
        let [a, b, c, d, e, f, g, h] = [from.0, from.1, bend.0, from.1, bend.1, to.1, to.0, to.1].map(round);
        format!("M{a} {b}C{c} {d} {e} {f} {g} {h}")
    };
    let content = html! {
        @for edge in edges {
            path class="edge" d=(path(edge)) {}
        }
        @for (at, layer) in layers.iter().enumerate() {
            text.small x=(round(x(at))) y=(round(TOP + 14.0)) { (layer.name) }
            @for (place, name) in layer.boxes.iter().enumerate() {
                rect class="track" x=(round(x(at))) y=(round(y(place))) width=(round(BOX.0)) height=(round(BOX.1)) rx="4" {
                    title { (name) }
                }
                text x=(round(x(at) + 8.0)) y=(round(y(place) + 17.0)) { (short(name, LETTERS)) }
            }
        }
    };
    let longest = layers.iter().map(|layer| layer.boxes.len()).max().unwrap_or_default();
    frame(heading, (x(layers.len()).max(300.0), y(longest) + 16.0), &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_box_and_line_is_drawn_and_names_are_escaped() {
        let layer = |name: &str, boxes: &[&str]| Layer {
            name: name.to_owned(),
            boxes: boxes.iter().map(|one| (*one).to_owned()).collect(),
        };
        let text = |text: &str| text.to_owned();
        let heading = Heading { title: text("t"), about: text("a"), description: text("d") };
        let all = [layer("events", &["<A>", "B"]), layer("audiences", &["c", "d"])];
        let picture = layers(&heading, &all, &[((0, 0), (1, 0)), ((1, 0), (1, 1))]);
        assert_eq!((picture.matches("<path").count(), picture.matches("class=\"track\"").count()), (2, 4));
        assert!(picture.contains("&lt;A&gt;") && !picture.contains("<A>"));
        assert!(layers(&heading, &[], &[]).ends_with("</svg>\n"));
    }
}
