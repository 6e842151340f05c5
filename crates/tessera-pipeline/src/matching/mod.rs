//! Matchers on the profiles of the store: [`Matchers`] is their thread, [`Matching`] how others see it.

mod everybody;
mod explain;
mod find;
mod handle;
mod incoming;
mod kept;
mod live;
#[cfg(test)]
mod live_tests;
mod record;
#[cfg(test)]
mod tests;
mod touched;
mod whatif;
mod worker;

pub use explain::{ComparedPair, ExplainError, MatchQuestion};
pub use find::{Candidate, Description, FindError};
pub use handle::{MatcherStatus, Matching, MatchingLoad, RunGoesOn, RunProgress, RunReport};
pub(crate) use kept::model_key;
pub use live::model_problem;
pub(crate) use touched::Compared;
pub use touched::Touched;
pub use whatif::{MatcherEffect, PairFate, SamplePair};
pub(crate) use whatif::{MatcherWhatIf, changed};
pub use worker::{Matchers, Order};
