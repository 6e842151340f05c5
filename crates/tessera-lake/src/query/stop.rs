//! Ends the planning of a query that nobody waits for any more.
//!
//! Running ends wherever the engine waits; planning never waits. Invariant: between any two rules of the planner it is asked whether to
//! go on, so what is left of a query that was ended is one rule.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::SessionState;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

/// Whether a query is over, told to its planner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Nobody waits any more.
    pub(crate) fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn asked<T>(&self, goes_on: T) -> Result<T> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(DataFusionError::Execution("the query was ended".to_owned())),
            false => Ok(goes_on),
        }
    }

    /// `state`, whose planner asks before each rule.
    pub(crate) fn heeded_by(&self, state: SessionState) -> SessionState {
        let analyzing = between(&state.analyzer().rules, || Arc::new(self.clone()) as _);
        let optimizing = between(state.optimizers(), || Arc::new(self.clone()) as _);
        let physical = between(state.physical_optimizers(), || Arc::new(self.clone()) as _);
        SessionStateBuilder::new_from_existing(state)
            .with_analyzer_rules(analyzing)
            .with_optimizer_rules(optimizing)
            .with_physical_optimizer_rules(physical)
            .build()
    }
}

fn between<T: Clone>(rules: &[T], ask: impl Fn() -> T) -> Vec<T> {
    rules.iter().flat_map(|rule| [ask(), rule.clone()]).collect()
}

const NAME: &str = "asks whether to go on";

impl AnalyzerRule for Stop {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        self.asked(plan)
    }

    fn name(&self) -> &str {
        NAME
    }
}

impl OptimizerRule for Stop {
    fn name(&self) -> &str {
        NAME
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        self.asked(Transformed::no(plan))
    }
}

impl PhysicalOptimizerRule for Stop {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        self.asked(plan)
    }

    fn name(&self) -> &str {
        NAME
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;

    #[test]
    fn a_query_that_was_ended_is_planned_no_further() {
        let stop = Stop::default();
        let context = SessionContext::new_with_state(stop.heeded_by(SessionContext::new().state()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let plan = || {
            runtime.block_on(async {
                let plan = context.state().create_logical_plan("SELECT 1 + 1 AS a").await?;
                context.execute_logical_plan(plan).await?.create_physical_plan().await
            })
        };
        assert!(plan().is_ok());
        let (logical, physical) =
            (context.state().optimizers().len(), context.state().physical_optimizers().len());
        assert!(logical > 2 * 10 && physical > 2 * 5, "each rule has its question: {logical}, {physical}");
        stop.stop();
        assert!(plan().unwrap_err().to_string().contains("ended"));
    }
}
