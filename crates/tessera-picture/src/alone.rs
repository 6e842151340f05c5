//! Pictures that stand alone in a file: bars, grids, stacked columns. Each has a title and a description for those who do
//! not see it, and every number that it shows stands in it as text.

use maud::{Markup, PreEscaped, html};

use crate::as_f64;
use crate::style::{PALETTE, SHAPES};

const WIDTH: f64 = 760.0;
pub(crate) const LEFT: f64 = 24.0;
/// Where what a picture shows begins, below its title.
pub(crate) const TOP: f64 = 72.0;
/// About how wide a letter is.
const LETTER: f64 = 6.6;

const STYLE: &str = ".ground{fill:var(--ground)}svg .title{font-size:18px;font-weight:600}svg .cell{font-size:12px;text-anchor:middle}
svg .end{text-anchor:end}.heat{fill:var(--accent)}.edge{stroke:var(--line);fill:none}.hatch{stroke:var(--accent);stroke-width:2}
.hatched{fill:url(#hatch);stroke:var(--accent)}";

/// What a picture is called and says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// What it is.
    pub title: String,
    /// What it is about: the second line.
    pub about: String,
    /// All of it in words, for those who do not see it.
    pub description: String,
}

/// One bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bar {
    /// What it stands for.
    pub name: String,
    /// How long it is.
    pub value: u64,
    /// What stands at its end.
    pub text: String,
}

/// One cell of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// How strong its colour is, from 0 to 1.
    pub strength: f64,
    /// What stands in it.
    pub text: String,
    /// What is told of it besides.
    pub hint: String,
}

/// One column of two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What it stands for.
    pub name: String,
    /// The lower part, drawn solid.
    pub lower: u64,
    /// The upper part, drawn hatched.
    pub upper: u64,
}

/// A picture around its `content`.
pub(crate) fn frame(heading: &Heading, (width, height): (f64, f64), content: &Markup) -> String {
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (round(width)) " " (round(height)) } width=(round(width))
            height=(round(height)) role="img" aria-labelledby="title description" {
            title id="title" { (heading.title) }
            desc id="description" { (heading.description) }
            style { (PreEscaped(PALETTE)) (PreEscaped(SHAPES)) (PreEscaped(STYLE)) }
            defs {
                pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    line class="hatch" x1="0" y1="0" x2="0" y2="6" {}
                }
            }
            rect class="ground" width=(round(width)) height=(round(height)) {}
            text class="title" x=(round(LEFT)) y="32" { (heading.title) }
            text class="small" x=(round(LEFT)) y="52" { (heading.about) }
            (content)
        }
    };
    let mut text = picture.into_string();
    text.push('\n');
    text
}

pub(crate) fn round(number: f64) -> String {
    format!("{number:.1}")
}

pub(crate) fn count(number: usize) -> f64 {
    as_f64(u64::try_from(number).unwrap_or(u64::MAX))
}

/// At most so many letters.
pub(crate) fn short(text: &str, letters_max: usize) -> String {
    if text.chars().count() <= letters_max {
        return text.to_owned();
    }
    text.chars().take(letters_max.saturating_sub(1)).chain(['…']).collect()
}

/// Bars below each other, as long as their values.
#[must_use]
pub fn bars(heading: &Heading, bars: &[Bar]) -> String {
    const ROW: f64 = 44.0;
    let longest = bars.iter().map(|bar| bar.value).max().unwrap_or_default().max(1);
    let room = bars.iter().map(|bar| bar.text.chars().count()).max().unwrap_or_default();
    let whole = (WIDTH - 2.0 * LEFT - 12.0 - LETTER * count(room)).max(100.0);
    let rows = bars.iter().enumerate().map(|(at, bar)| {
        let width = whole * as_f64(bar.value) / as_f64(longest);
        (bar, TOP + ROW * count(at), width)
    });
    let content = html! {
        @for (bar, y, width) in rows {
            text x=(round(LEFT)) y=(round(y + 12.0)) { (short(&bar.name, 110)) }
            rect class="track" x=(round(LEFT)) y=(round(y + 18.0)) width=(round(whole)) height="14" rx="3" {}
            rect class="accent" x=(round(LEFT)) y=(round(y + 18.0)) width=(round(width)) height="14" rx="3" {
                title { (bar.name) ": " (bar.text) }
            }
            text.small x=(round(LEFT + whole + 8.0)) y=(round(y + 29.0)) { (bar.text) }
        }
    };
    frame(heading, (WIDTH, TOP + ROW * count(bars.len()) + 16.0), &content)
}

/// Cells in rows and columns, each with its text; `None`: there is none.
#[must_use]
pub fn grid(heading: &Heading, columns: &[String], rows: &[(String, Vec<Option<Cell>>)]) -> String {
    const CELL: (f64, f64) = (58.0, 28.0);
    let widest = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let from = LEFT + LETTER * count(widest) + 14.0;
    let x = |at: usize| from + CELL.0 * count(at);
    let y = |at: usize| TOP + 20.0 + CELL.1 * count(at);
    let content = html! {
        @for (at, name) in columns.iter().enumerate() {
            text.small.cell x=(round(x(at) + CELL.0 / 2.0)) y=(round(TOP + 12.0)) { (short(name, 9)) }
        }
        @for (line, (name, cells)) in rows.iter().enumerate() {
            text.small x=(round(LEFT)) y=(round(y(line) + 18.0)) { (name) }
            @for (at, cell) in cells.iter().enumerate() {
                @if let Some(cell) = cell {
                    rect class="edge" x=(round(x(at) + 1.0)) y=(round(y(line) + 1.0)) width=(round(CELL.0 - 2.0))
                        height=(round(CELL.1 - 2.0)) rx="3" {}
                    // Weak enough for the text in it to be read.
                    rect class="heat" x=(round(x(at) + 1.0)) y=(round(y(line) + 1.0)) width=(round(CELL.0 - 2.0))
                        height=(round(CELL.1 - 2.0)) rx="3" fill-opacity=(format!("{:.2}", 0.5 * cell.strength.clamp(0.0, 1.0))) {
                        title { (cell.hint) }
                    }
                    text.cell x=(round(x(at) + CELL.0 / 2.0)) y=(round(y(line) + 18.0)) { (cell.text) }
                }
            }
        }
    };
    let width = WIDTH.max(from + CELL.0 * count(columns.len()) + LEFT);
    frame(heading, (width, y(rows.len()) + 16.0), &content)
}

/// Columns beside each other; `lower` and `upper` say what their parts are.
#[must_use]
pub fn stacked(heading: &Heading, (lower, upper): (&str, &str), columns: &[Column]) -> String {
    const HEIGHT: f64 = 200.0;
    let most = columns.iter().map(|column| column.lower + column.upper).max().unwrap_or_default().max(1);
    let step = ((WIDTH - 2.0 * LEFT) / count(columns.len().max(1))).clamp(30.0, 90.0);
    let floor = TOP + 48.0 + HEIGHT;
    // Names would run into each other: some are left out.
    let every =
        (columns.first().map_or(0.0, |one| LETTER * count(one.name.len()) + 8.0) / step).ceil().max(1.0);
    let is_named = |at: usize| count(at) % every < 0.5;
    let placed = columns.iter().enumerate().map(|(at, column)| {
        let height = |value: u64| HEIGHT * as_f64(value) / as_f64(most);
        (column, is_named(at), LEFT + step * count(at), height(column.lower), height(column.upper))
    });
    let width = round(step - 8.0);
    let content = html! {
        rect class="accent" x=(round(LEFT)) y=(round(TOP)) width="12" height="12" rx="2" {}
        text.small x=(round(LEFT + 18.0)) y=(round(TOP + 10.0)) { (lower) }
        rect class="hatched" x=(round(LEFT + 130.0)) y=(round(TOP)) width="12" height="12" rx="2" {}
        text.small x=(round(LEFT + 148.0)) y=(round(TOP + 10.0)) { (upper) }
        @for (column, is_named, x, low, high) in placed {
            rect class="accent" x=(round(x)) y=(round(floor - low)) width=(width) height=(round(low)) {
                title { (column.name) ": " (column.lower) " " (lower) }
            }
            rect class="hatched" x=(round(x)) y=(round(floor - low - high)) width=(width) height=(round(high)) {
                title { (column.name) ": " (column.upper) " " (upper) }
            }
            text.small.cell x=(round(x + step / 2.0 - 4.0)) y=(round(floor - low - high - 5.0)) { (column.lower + column.upper) }
            @if is_named { text.small x=(round(x)) y=(round(floor + 16.0)) { (column.name) } }
        }
        line class="grid" x1=(round(LEFT)) x2=(round(LEFT + step * count(columns.len()))) y1=(round(floor)) y2=(round(floor)) {}
    };
    frame(heading, (WIDTH.max(2.0 * LEFT + step * count(columns.len())), floor + 36.0), &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heading() -> Heading {
        let text = |text: &str| text.to_owned();
        Heading { title: text("A < B & C"), about: text("all of it"), description: text("in words") }
    }

    #[test]
    fn a_picture_has_a_title_a_description_and_its_numbers_and_escapes_what_it_is_given() {
        let bar = Bar { name: "<script>".to_owned(), value: 3, text: "3 of 7".to_owned() };
        let cell = Cell { strength: 0.5, text: "43 %".to_owned(), hint: "3 of 7".to_owned() };
        let column = Column { name: "one".to_owned(), lower: 30, upper: 13 };
        let pictures = [
            bars(&heading(), &[bar]),
            grid(&heading(), &["1".to_owned()], &[("one".to_owned(), vec![Some(cell), None])]),
            stacked(&heading(), ("new", "returning"), &[column]),
        ];
        for (picture, shown) in pictures.iter().zip(["3 of 7", "43 %", ">43<"]) {
            for part in
                ["<title id=\"title\">A &lt; B &amp; C</title>", "in words</desc>", "role=\"img\"", shown]
            {
                assert!(picture.contains(part), "`{part}` is not in {picture}");
            }
            assert!(!picture.contains("<script"), "{picture}");
            assert_eq!(picture.matches('<').count(), picture.matches('>').count(), "{picture}");
        }
    }

    #[test]
    fn nothing_to_show_is_a_picture_all_the_same() {
        for picture in
            [bars(&heading(), &[]), grid(&heading(), &[], &[]), stacked(&heading(), ("a", "b"), &[])]
        {
            assert!(picture.ends_with("</svg>\n") && !picture.contains("NaN") && !picture.contains("inf"));
        }
    }
}
