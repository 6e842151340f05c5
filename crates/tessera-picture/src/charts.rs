//! Pictures within a page. Colours come from the page's style, so that light and dark are the browser's.

use maud::{Markup, html};

use crate::as_f64;

/// What a share is worth, as a class of the style.
#[must_use]
pub fn grade(share: Option<f64>) -> &'static str {
    match share {
        None => "none",
        Some(share) if share >= 0.95 => "good",
        Some(share) if share >= 0.8 => "fine",
        Some(share) if share >= 0.5 => "weak",
        Some(_) => "bad",
    }
}

/// A share as people read it: not 100 % as long as anything is missing.
#[must_use]
pub fn percent(share: Option<f64>) -> String {
    match share {
        None => "-".to_owned(),
        Some(share) if share < 1.0 && share > 0.99 => "> 99 %".to_owned(),
        Some(share) => format!("{:.0} %", share * 100.0),
    }
}

/// A score of 100 as a ring.
#[must_use]
pub fn ring(score: Option<f64>) -> Markup {
    let share = score.map(|score| (score / 100.0).clamp(0.0, 1.0));
    let round = 2.0 * std::f64::consts::PI * 50.0;
    let drawn = format!("{:.1} {:.1}", round * share.unwrap_or_default(), round);
    let text = score.map_or_else(|| "-".to_owned(), |score| format!("{score:.0}"));
    html! {
        svg viewBox="0 0 130 130" width="130" height="130" role="img" aria-label={ "score " (text) " of 100" } {
            circle.ring.ring-track cx="65" cy="65" r="50" {}
            circle class={ "ring s-" (grade(share)) } cx="65" cy="65" r="50" stroke-dasharray=(drawn)
                stroke-linecap="round" transform="rotate(-90 65 65)" {}
            text.big x="65" y="72" text-anchor="middle" { (text) }
            text.small x="65" y="90" text-anchor="middle" { "of 100" }
        }
    }
}

/// One share as a bar.
#[must_use]
pub fn bar(share: Option<f64>) -> Markup {
    let width = format!("{:.1}", 100.0 * share.unwrap_or_default().clamp(0.0, 1.0));
    html! {
        svg viewBox="0 0 100 8" width="100%" height="8" preserveAspectRatio="none" role="img" aria-label=(percent(share)) {
            rect.track x="0" y="0" width="100" height="8" rx="2" {}
            rect class={ "f-" (grade(share)) } x="0" y="0" width=(width) height="8" rx="2" {}
        }
    }
}

/// Counts beside each other.
#[must_use]
pub fn columns(counts: &[(String, u64)]) -> Markup {
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or_default().max(1);
    let columns = counts.iter().zip(0_u32..).map(|((name, count), place)| {
        let height = 60.0 * as_f64(*count) / as_f64(most);
        (name, count, f64::from(place) * 44.0, height)
    });
    let width = 44 * counts.len();
    html! {
        svg viewBox={ "0 0 " (width) " 92" } width=(width) height="92" role="img" aria-label="counts by age" {
            @for (name, count, x, height) in columns {
                rect.accent x=(format!("{:.1}", x + 8.0)) y=(format!("{:.1}", 70.0 - height)) width="28"
                    height=(format!("{height:.1}")) rx="2" { title { (name) ": " (count) } }
                text.small x=(format!("{:.1}", x + 22.0)) y="85" text-anchor="middle" { (name) }
            }
        }
    }
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 150.0;

/// A score of 100 at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// When, in milliseconds.
    pub at: i64,
    /// The day, as people read it.
    pub day: String,
    /// The score.
    pub score: f64,
}

/// Scores through time, oldest first.
#[must_use]
pub fn line(scores: &[Point]) -> Markup {
    let (Some(first), Some(last)) = (scores.first(), scores.last()) else { return html! {} };
    let since_first =
        |point: &Point| as_f64(u64::try_from(point.at.saturating_sub(first.at)).unwrap_or_default());
    let span = since_first(last).max(1.0);
    let points: Vec<(f64, f64)> = scores
        .iter()
        .map(|point| {
            (
                34.0 + (WIDTH - 44.0) * since_first(point) / span,
                10.0 + (HEIGHT - 40.0) * (1.0 - point.score.clamp(0.0, 100.0) / 100.0),
            )
        })
        .collect();
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let floor = HEIGHT - 30.0;
    let ends = (points.first().map_or(0.0, |one| one.0), points.last().map_or(0.0, |one| one.0));
    let area = format!("{:.1},{floor} {} {:.1},{floor}", ends.0, path.join(" "), ends.1);
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width="100%" role="img" aria-label="score through time" {
            @for level in [0_u32, 50, 100] {
                @let y = format!("{:.1}", 10.0 + (HEIGHT - 40.0) * (1.0 - f64::from(level) / 100.0));
                line.grid x1="34" x2=(WIDTH - 10.0) y1=(y) y2=(y) {}
                text.small x="28" y=(y) dy="4" text-anchor="end" { (level) }
            }
            polygon.area points=(area) {}
            polyline.line points=(path.join(" ")) {}
            @for (point, (x, y)) in scores.iter().zip(&points) {
                circle.accent cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="3" { title { (point.day) ": " (point.score) } }
            }
            text.small x="34" y=(HEIGHT - 8.0) { (first.day) }
            @if scores.len() > 1 {
                text.small x=(WIDTH - 10.0) y=(HEIGHT - 8.0) text-anchor="end" { (last.day) }
            }
        }
    }
}
