//! Matchers on the profiles of the store: [`Matchers`] is their thread, [`Matching`] how others see it.

mod explain;
mod handle;
mod live;
mod record;
#[cfg(test)]
mod tests;
mod touched;
mod worker;

pub use explain::{ComparedPair, ExplainError, MatchQuestion};
pub use handle::{MatcherStatus, Matching, RunGoesOn, RunProgress, RunReport};
pub use live::model_problem;
pub(crate) use touched::Compared;
pub use touched::Touched;
pub use worker::{Matchers, Order};
