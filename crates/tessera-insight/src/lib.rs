//! Questions that ship: funnel, retention, RFM, new against returning, top paths. Each is a text of SQL over the lake's events,
//! and a way to show its answer. Pure.
//!
//! Not an engine, and no way around the gate: the SQL is asked like any other query, for a purpose. Invariants: the same
//! options and moment give the same text; what a picture or table shows is counts of people, and names of events.
//! `docs/guide/insights.md` says what each counts; the fields' own words are those of Amplitude, Mixpanel and ClickHouse's
//! `windowFunnel`.

mod answer;
mod calendar;
mod funnel;
mod insight;
mod names;
mod new_returning;
mod options;
mod paths;
mod problem;
mod retention;
mod rfm;
mod sql;

pub use answer::{Answer, Rows};
pub use insight::{Insight, Kind};
pub use names::{nearest, seen_sql};
pub use options::{Options, Range};
pub use problem::Problem;
