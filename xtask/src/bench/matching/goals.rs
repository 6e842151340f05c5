//! What each figure should be, and the table that sets the goal beside it.

use crate::bench::figures::Figures;

/// A figure's goal.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(goal) => value >= goal,
            Self::AtMost(goal) => value <= goal,
        }
    }

    fn words(self) -> String {
        match self {
            Self::AtLeast(goal) => format!(">= {goal}"),
            Self::AtMost(goal) => format!("<= {goal}"),
        }
    }
}

/// What the project wants of matching, on two cores.
const GOALS: &[(&str, Goal)] = &[
    ("febrl3_best_f1", Goal::AtLeast(0.9957)),
    ("febrl4_best_f1", Goal::AtLeast(0.9996)),
    ("fake_1000_best_f1", Goal::AtLeast(0.856)),
    ("historical_best_f1", Goal::AtLeast(0.8255)),
    ("people_100k_best_f1", Goal::AtLeast(0.933)),
    ("febrl3_cluster_f1", Goal::AtLeast(0.9938)),
    ("febrl4_cluster_f1", Goal::AtLeast(0.9971)),
    ("historical_cluster_f1", Goal::AtLeast(0.845)),
    ("people_100k_cluster_f1", Goal::AtLeast(0.954)),
    ("people_1m_cluster_f1", Goal::AtLeast(0.955)),
    ("febrl3_precision_at_95", Goal::AtLeast(0.95)),
    ("febrl4_precision_at_95", Goal::AtLeast(0.95)),
    ("fake_1000_precision_at_95", Goal::AtLeast(0.95)),
    ("historical_precision_at_95", Goal::AtLeast(0.95)),
    ("people_100k_precision_at_95", Goal::AtLeast(0.95)),
    ("people_1m_precision_at_95", Goal::AtLeast(0.95)),
    ("people_1m_seconds", Goal::AtMost(20.0)),
    ("people_1m_mib", Goal::AtMost(2048.0)),
    ("people_1m_speedup", Goal::AtLeast(4.0)),
    ("exact_1m_seconds", Goal::AtMost(1.0)),
    ("incremental_p99_ms", Goal::AtMost(20.0)),
    ("em_finds_known_parameters", Goal::AtLeast(1.0)),
    ("phones_per_s", Goal::AtLeast(500_000.0)),
    ("emails_per_s", Goal::AtLeast(1_000_000.0)),
    ("rules_cost_pct", Goal::AtMost(10.0)),
];

/// Goals beside what was measured, and beside what Splink reached in the same session.
pub(super) fn table(figures: &Figures) {
    figures.say(&format!("\n  {:<30} {:>12} {:>12} {:>12}  met", "figure", "goal", "measured", "Splink"));
    for (name, goal) in GOALS {
        let Some(value) = figures.get(name) else { continue };
        let splink = figures.get(&format!("splink_{name}")).map(short).unwrap_or_default();
        let met = if goal.is_met(value) { "yes" } else { "NO" };
        figures.say(&format!("  {name:<30} {:>12} {:>12} {splink:>12}  {met}", goal.words(), short(value)));
    }
}

fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.2}"),
        small if small >= 1e-3 || small == 0.0 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    }
}
