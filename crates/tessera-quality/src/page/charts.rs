//! Pictures as inline SVG. Colours come from the page's style, so that light and dark are the browser's.

use maud::{Markup, html};

use crate::Audit;
use crate::report::as_f64;

/// What a share is worth, as a class of the style.
pub(super) fn grade(share: Option<f64>) -> &'static str {
    match share {
        None => "none",
        Some(share) if share >= 0.95 => "good",
        Some(share) if share >= 0.8 => "fine",
        Some(share) if share >= 0.5 => "weak",
        Some(_) => "bad",
    }
}

/// A share as people read it: not 100 % as long as anything is missing.
pub(super) fn percent(share: Option<f64>) -> String {
    match share {
        None => "-".to_owned(),
        Some(share) if share < 1.0 && share > 0.99 => "> 99 %".to_owned(),
        Some(share) => format!("{:.0} %", share * 100.0),
    }
}

/// A score of 100 as a ring.
pub(super) fn ring(score: Option<f64>) -> Markup {
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
pub(super) fn bar(share: Option<f64>) -> Markup {
    let width = format!("{:.1}", 100.0 * share.unwrap_or_default().clamp(0.0, 1.0));
    html! {
        svg viewBox="0 0 100 8" width="100%" height="8" preserveAspectRatio="none" role="img" aria-label=(percent(share)) {
            rect.track x="0" y="0" width="100" height="8" rx="2" {}
            rect class={ "f-" (grade(share)) } x="0" y="0" width=(width) height="8" rx="2" {}
        }
    }
}

/// Counts beside each other.
pub(super) fn columns(counts: &[(String, u64)]) -> Markup {
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

/// Scores through time.
pub(super) fn line(audits: &[Audit]) -> Markup {
    let scored: Vec<(&Audit, f64)> = audits.iter().filter_map(|audit| Some((audit, audit.score?))).collect();
    let (Some((first, _)), Some((last, _))) = (scored.first(), scored.last()) else { return html! {} };
    let span = as_f64(u64::try_from(last.at.millis_since(first.at)).unwrap_or_default()).max(1.0);
    let points: Vec<(f64, f64)> = scored
        .iter()
        .map(|(audit, score)| {
            let since = as_f64(u64::try_from(audit.at.millis_since(first.at)).unwrap_or_default());
            (
                34.0 + (WIDTH - 44.0) * since / span,
                10.0 + (HEIGHT - 40.0) * (1.0 - score.clamp(0.0, 100.0) / 100.0),
            )
        })
        .collect();
    let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let floor = HEIGHT - 30.0;
    let ends = (points.first().map_or(0.0, |one| one.0), points.last().map_or(0.0, |one| one.0));
    let area = format!("{:.1},{floor} {} {:.1},{floor}", ends.0, path.join(" "), ends.1);
    let day = |audit: &Audit| audit.at.to_string().chars().take(10).collect::<String>();
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width="100%" role="img" aria-label="score through time" {
            @for level in [0_u32, 50, 100] {
                @let y = format!("{:.1}", 10.0 + (HEIGHT - 40.0) * (1.0 - f64::from(level) / 100.0));
                line.grid x1="34" x2=(WIDTH - 10.0) y1=(y) y2=(y) {}
                text.small x="28" y=(y) dy="4" text-anchor="end" { (level) }
            }
            polygon.area points=(area) {}
            polyline.line points=(path.join(" ")) {}
            @for ((audit, score), (x, y)) in scored.iter().zip(&points) {
                circle.accent cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="3" { title { (day(audit)) ": " (score) } }
            }
            text.small x="34" y=(HEIGHT - 8.0) { (day(first)) }
            @if scored.len() > 1 {
                text.small x=(WIDTH - 10.0) y=(HEIGHT - 8.0) text-anchor="end" { (day(last)) }
            }
        }
    }
}
