//! Numbers as people see them: tables and bars in the terminal, pictures in files.

use tessera_match::{CalibrationBin, Evaluation, Expression, Form, Quality, Rule};

use crate::output::count;

/// The longest bar, in signs.
const BAR: usize = 30;

/// A rule in words: `surname + first 4 of postcode`.
pub(super) fn rule(rule: &Rule) -> String {
    rule.0.iter().map(expression).collect::<Vec<_>>().join(" + ")
}

fn expression(expression: &Expression) -> String {
    let column = match &expression.with {
        Some(with) => format!("{} and {with} in either order", expression.column),
        None => expression.column.clone(),
    };
    match expression.form {
        Form::Whole => column,
        Form::Prefix(most) => format!("first {most} of {column}"),
        Form::Suffix(most) => format!("last {most} of {column}"),
        Form::Substring(start, length) => format!("{length} of {column} from {start} on"),
        Form::Phonetic => format!("sound of {column}"),
        Form::Year => format!("year of {column}"),
        Form::MonthDay => format!("month and day of {column}"),
        Form::LocalPart => format!("{column} before @"),
        Form::SortedWords => format!("words of {column} in any order"),
        Form::EachItem => format!("any item of {column}"),
        Form::EachWord => format!("any word of {column}"),
    }
}

/// A small share as a count: .0001 is one in 10,000.
pub(super) fn one_in(share: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded for people, and positive"
    )]
    let whole = (1.0 / share.max(1e-18)).round() as u64;
    count(whole)
}

/// What was found against the truth.
pub(super) fn evaluation(told: &Evaluation, exact: &Quality, link: f64) -> Vec<String> {
    let mut lines = vec![
        format!("pairs that are one person        {:>14}", count(told.true_pairs)),
        format!("pairs compared                   {:>14}", count(told.compared_pairs)),
        format!("of the true ones compared        {:>14.4}", told.reachable),
        String::new(),
        format!("{:<30} {:>9} {:>9} {:>9}", "pairs from probability", "precision", "recall", "F1"),
    ];
    let row = |name: String, quality: &Quality| {
        format!("{name:<30} {:>9.4} {:>9.4} {:>9.4}", quality.precision, quality.recall, quality.f1)
    };
    lines.extend(told.at.iter().map(|(threshold, quality)| row(format!("  {threshold}"), quality)));
    lines.push(row(format!("  {:.4} (the best)", told.best_threshold), &told.best));
    lines.push(row(format!("clusters, from {link}"), &told.clusters));
    lines.push(row("exact rules alone".to_owned(), exact));
    lines.push(String::new());
    lines.push("of the pairs with this probability so many are one person:".to_owned());
    for bin in told.calibration.iter().filter(|bin| bin.pairs > 0) {
        lines.push(format!(
            "  {:>6.2} to {:<6.2} {:>10}  said {:.3}  is {:.3}  {}",
            bin.from,
            bin.to,
            count(bin.pairs),
            bin.said,
            bin.is,
            bar(bin.is, 1.0)
        ));
    }
    lines
}

/// A bar for `value` of `whole`.
pub(super) fn bar(value: f64, whole: f64) -> String {
    let share = if whole > 0.0 { (value.abs() / whole).clamp(0.0, 1.0) } else { 0.0 };
    let filled = (0..BAR).filter(|at| usize_as_f64(*at) + 0.5 < share * usize_as_f64(BAR)).count();
    "█".repeat(filled)
}

fn usize_as_f64(number: usize) -> f64 {
    u32::try_from(number).map_or(0.0, f64::from)
}

/// What was said and what is true, as a picture: on the diagonal they agree.
pub(super) fn calibration_svg(bins: &[CalibrationBin]) -> String {
    const SIZE: f64 = 400.0;
    let at = |said: f64, is: f64| (40.0 + said * SIZE, 20.0 + (1.0 - is) * SIZE);
    let mut out = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 470 480\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect x=\"40\" y=\"20\" width=\"400\" height=\"400\" fill=\"none\" stroke=\"#999\"/>\n\
         <path d=\"M40 420 L440 20\" stroke=\"#bbb\" stroke-dasharray=\"4\"/>\n\
         <text x=\"240\" y=\"455\" text-anchor=\"middle\">probability said</text>\n\
         <text x=\"14\" y=\"220\" text-anchor=\"middle\" transform=\"rotate(-90 14 220)\">share that is one person</text>\n",
    );
    for (text, x) in [("0", 40), ("1", 440)] {
        out.push_str(&format!("<text x=\"{x}\" y=\"436\" text-anchor=\"middle\">{text}</text>\n"));
    }
    let most = bins.iter().map(|bin| bin.pairs).max().unwrap_or(1).max(1);
    for bin in bins.iter().filter(|bin| bin.pairs > 0) {
        let (x, y) = at(bin.said, bin.is);
        #[expect(clippy::cast_precision_loss, reason = "a radius needs no more")]
        let radius = 3.0 + 9.0 * ((bin.pairs as f64).ln_1p() / (most as f64).ln_1p());
        out.push_str(&format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" fill=\"#2a6f97\" fill-opacity=\".7\"><title>{} pairs: said {:.3}, is {:.3}</title></circle>\n",
            bin.pairs, bin.said, bin.is
        ));
    }
    out.push_str("</svg>\n");
    out
}
