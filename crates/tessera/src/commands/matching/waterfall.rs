//! Why two are held to be one, drawn step by step: from what any two are to what these two are.

use serde_json::Value;

use crate::commands::{list, text};

/// The width of the picture in the terminal, in signs.
const WIDTH: usize = 40;

/// One step, and where it leads.
struct Drawn {
    what: String,
    how: String,
    weight: f64,
    before: f64,
    after: f64,
}

fn real(value: &Value, name: &str) -> f64 {
    value.get(name).and_then(Value::as_f64).unwrap_or_default()
}

/// The steps of an answer: weights add up, from 0.
fn steps(answer: &Value) -> Vec<Drawn> {
    let waterfall = answer.get("waterfall").unwrap_or(&Value::Null);
    let mut drawn: Vec<Drawn> = Vec::new();
    let mut sum = 0.0;
    let mut add = |what: String, how: String, weight: f64| {
        drawn.push(Drawn { what, how, weight, before: sum, after: sum + weight });
        sum += weight;
    };
    add("any two".to_owned(), "before anything is compared".to_owned(), real(waterfall, "prior_weight"));
    let agree: Vec<&str> = list(waterfall, "agree").iter().filter_map(Value::as_str).collect();
    if !agree.is_empty() {
        add("together".to_owned(), format!("{} agree", agree.join(", ")), real(waterfall, "together_weight"));
    }
    for step in list(waterfall, "steps") {
        add(text(step, "column").to_owned(), text(step, "level").to_owned(), real(step, "weight"));
    }
    drawn
}

fn range(steps: &[Drawn]) -> (f64, f64) {
    let ends = || steps.iter().flat_map(|step| [step.before, step.after]);
    (ends().fold(0.0, f64::min), ends().fold(0.0, f64::max))
}

fn percent(probability: f64) -> String {
    let percent = probability * 100.0;
    // What is not certain is not called so.
    match percent {
        most if most > 99.99 && most < 100.0 => "more than 99.99 %".to_owned(),
        least if least > 0.0 && least < 0.01 => "less than 0.01 %".to_owned(),
        other => format!("{other:.2} %"),
    }
}

pub(super) fn verdict(answer: &Value) -> String {
    let (probability, link, review) =
        (real(answer, "probability"), real(answer, "link"), real(answer, "review"));
    let what = match probability {
        likely if likely >= link => "one person",
        likely if likely >= review => "to be looked at by a person",
        _ => "two people",
    };
    format!(
        "{} likely one person: {what} (one from {}, looked at from {})",
        percent(probability),
        percent(link),
        percent(review)
    )
}

/// The picture in the terminal.
pub(super) fn lines(answer: &Value) -> Vec<String> {
    let names: Vec<&str> = list(answer, "profiles").iter().filter_map(Value::as_str).collect();
    let mut lines = vec![names.join("  and  "), verdict(answer), String::new()];
    for value in list(answer, "values") {
        let side = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
        lines.push(format!("  {:<16} {:<34} {}", text(value, "column"), side("a"), side("b")));
    }
    lines.push(String::new());
    let drawn = steps(answer);
    let (least, most) = range(&drawn);
    let place = |at: f64| scaled((at - least) / (most - least).max(1e-9));
    for step in &drawn {
        let (from, to) = (place(step.before.min(step.after)), place(step.before.max(step.after)));
        let sign = if step.weight < 0.0 { "░" } else { "█" };
        let bar = format!("{}{}", " ".repeat(from), sign.repeat(to - from));
        lines.push(format!("  {:<16} {:>+7.2}  {bar:<WIDTH$}  {}", step.what, step.weight, step.how));
    }
    let sum = drawn.last().map_or(0.0, |step| step.after);
    lines.push(format!("  {:<16} {sum:>+7.2}  in all: the logarithm to base 2 of the odds", ""));
    lines
}

/// A share of the width, in whole signs.
fn scaled(share: f64) -> usize {
    let steps = u32::try_from(WIDTH).map_or(0.0, f64::from);
    (0..WIDTH).filter(|at| u32::try_from(*at).map_or(0.0, f64::from) + 0.5 < share * steps).count()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The picture as a page of its own, without anything from elsewhere.
pub(super) fn page(answer: &Value) -> String {
    let names: Vec<String> = list(answer, "profiles").iter().filter_map(Value::as_str).map(escaped).collect();
    let mut rows = String::new();
    for value in list(answer, "values") {
        let side = |name: &str| escaped(value.get(name).and_then(Value::as_str).unwrap_or("-"));
        rows.push_str(&format!(
            "<tr><th>{}</th><td>{}</td><td>{}</td></tr>\n",
            escaped(text(value, "column")),
            side("a"),
            side("b")
        ));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Why these two match</title>\n\
         <style>body{{font:15px/1.5 sans-serif;margin:2rem;max-width:60rem}}td,th{{text-align:left;padding:.1rem 1rem .1rem 0}}</style></head>\n\
         <body><h1>{}</h1><p>{}</p>\n<table>\n{rows}</table>\n{}</body></html>\n",
        names.join(" and "),
        escaped(&verdict(answer)),
        svg(answer)
    )
}

fn svg(answer: &Value) -> String {
    const LEFT: f64 = 150.0;
    const SPAN: f64 = 380.0;
    const ROW: f64 = 26.0;
    let drawn = steps(answer);
    let (least, most) = range(&drawn);
    let place = |at: f64| LEFT + SPAN * (at - least) / (most - least).max(1e-9);
    let mut out = String::new();
    let mut top = 10.0;
    for step in &drawn {
        let (from, to) = (place(step.before.min(step.after)), place(step.before.max(step.after)));
        let colour = if step.weight < 0.0 { "#b5485d" } else { "#2a6f97" };
        out.push_str(&format!(
            "<text x=\"0\" y=\"{:.0}\">{}</text><rect x=\"{from:.1}\" y=\"{top:.0}\" width=\"{:.1}\" height=\"18\" fill=\"{colour}\"/>\
             <text x=\"{:.0}\" y=\"{:.0}\">{:+.2} {}</text>\n",
            top + 14.0,
            escaped(&step.what),
            (to - from).max(1.0),
            LEFT + SPAN + 10.0,
            top + 14.0,
            step.weight,
            escaped(&step.how)
        ));
        top += ROW;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 960 {:.0}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <path d=\"M{zero:.1} 0 V{:.0}\" stroke=\"#999\" stroke-dasharray=\"3\"/>\n{out}</svg>\n",
        top + 10.0,
        top,
        zero = place(0.0)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        json!({
            "profiles": ["17", "<42>"], "probability": 0.9412, "link": 0.99, "review": 0.5,
            "values": [{"column": "name", "a": "ada", "b": null}],
            "waterfall": {
                "prior_weight": -8.0, "together_weight": 2.0, "agree": ["dob"],
                "steps": [
                    {"column": "name", "level": "no value", "weight": 0.0},
                    {"column": "dob", "level": "equal", "weight": 11.0},
                    {"column": "city", "level": "different", "weight": -1.0},
                ],
            },
        })
    }

    #[test]
    fn the_waterfall_starts_where_any_two_are_and_ends_at_the_sum() {
        insta::assert_snapshot!(lines(&answer()).join("\n"), @"
        17  and  <42>
        94.12 % likely one person: to be looked at by a person (one from 99.00 %, looked at from 50.00 %)

          name             ada                                -

          any two            -8.00  ░░░░░░░░░░░░░░░░░░░░░░░░░                 before anything is compared
          together           +2.00  ██████                                    dob agree
          name               +0.00                                            no value
          dob               +11.00        ██████████████████████████████████  equal
          city               -1.00                                       ░░░  different
                             +4.00  in all: the logarithm to base 2 of the odds
        ");
    }

    #[test]
    fn the_page_quotes_what_could_be_markup() {
        let page = page(&answer());
        assert!(page.contains("&lt;42&gt;") && !page.contains("<42>"), "{page}");
    }
}
