//! Figures, collected and printed.

use anyhow::{Context as _, Result};
use serde_json::Value;

/// One measured number.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

/// All figures of a bench, in the order they were measured.
#[derive(Debug)]
pub(crate) struct Figures {
    is_json: bool,
    all: Vec<Figure>,
}

impl Figures {
    pub(crate) fn new(is_json: bool) -> Self {
        Self { is_json, all: Vec::new() }
    }

    /// Tells a person what is being done; silent with `--json`.
    pub(crate) fn say(&self, text: &str) {
        if !self.is_json {
            println!("{text}");
        }
    }

    pub(crate) fn add(&mut self, name: &str, value: f64, unit: &str) {
        let figure = Figure { name: name.to_owned(), value, unit: unit.to_owned() };
        if self.is_json {
            println!("{}", serde_json::json!({ "figure": name, "value": value, "unit": unit }));
        } else {
            println!("  {:<32} {:>14} {}", figure.name, number(value), figure.unit);
        }
        self.all.push(figure);
    }

    /// Takes over what a program printed as JSON lines.
    pub(crate) fn take(&mut self, output: &str) -> Result<()> {
        for figure in parse(output)? {
            self.add(&figure.name, figure.value, &figure.unit);
        }
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.all.iter().rev().find(|figure| figure.name == name).map(|figure| figure.value)
    }
}

/// The figures that a program printed as JSON lines.
pub(crate) fn parse(output: &str) -> Result<Vec<Figure>> {
    let lines = output.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| {
            let figure: Value = serde_json::from_str(line).context("a figure is not JSON")?;
            let text = |name: &str| figure.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let value = figure.get("value").and_then(Value::as_f64).context("a figure has no value")?;
            Ok(Figure { name: text("figure"), value, unit: text("unit") })
        })
        .collect()
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}
