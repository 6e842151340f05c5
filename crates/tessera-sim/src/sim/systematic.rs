//! Crashes at every step of one short day: at every operation of the log's disk, before and after every checkpoint
//! became durable, and between any two steps.
//!
//! Not random but for what a torn write leaves. Invariant: the day is the same each time up to the crash.

use tessera_store_embedded::CheckpointFault;
use tessera_store_embedded::log::sim_disk::Fault;

use super::run::{Action, Run};
use super::{Bug, Checked, Violation};

/// What the crashes came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// How many days were simulated.
    pub(crate) days: u64,
    /// Steps of them all.
    pub(crate) steps: u64,
    /// Crashes of them all.
    pub(crate) crashes: u64,
}

const DAY: u64 = 2;

/// The day: requests, checkpoints, retention.
fn day() -> Vec<Action> {
    let mut actions = Vec::new();
    for part in 0..8 {
        actions.extend([Action::Make, Action::Make, Action::Deliver, Action::Process, Action::Deliver]);
        if part % 2 == 1 {
            actions.extend([Action::Process, Action::Checkpoint]);
        }
        actions.push(Action::Wait);
        if part % 3 == 2 {
            actions.push(Action::Cut);
        }
    }
    actions
}

/// Runs every day that there is.
///
/// # Errors
/// The first violation, and which day it was.
pub(crate) fn sweep(bug: Option<Bug>) -> Checked<Swept> {
    let mut swept = Swept::default();
    let days = day();
    for at in 0..days.len() {
        let which = format!("crash after step {at}");
        simulate(&mut swept, at as u64, bug, None, &which, |run| {
            for (n, action) in days.iter().enumerate() {
                run.act(*action)?;
                if n == at {
                    run.act(Action::Crash)?;
                }
            }
            Ok(())
        })?;
        if days.get(at) == Some(&Action::Checkpoint) {
            for fault in [CheckpointFault::BeforeDurable, CheckpointFault::AfterDurable] {
                let which = format!("{fault:?} at step {at}");
                simulate(&mut swept, at as u64, bug, None, &which, |run| {
                    for (n, action) in days.iter().enumerate() {
                        run.act(if n == at { Action::BreakCheckpoint(fault) } else { *action })?;
                        if n == at {
                            run.act(Action::Crash)?;
                        }
                    }
                    Ok(())
                })?;
            }
        }
    }
    for operation in 0.. {
        let after_bytes = usize::try_from(operation * 331 % 1_500).unwrap_or(0);
        let fault = (operation, Fault::Stop { after_bytes });
        let which = format!("crash at operation {operation} of the disk");
        let mut is_past = false;
        simulate(&mut swept, operation, bug, Some(fault), &which, |run| {
            days.iter().try_for_each(|action| run.act(*action))?;
            is_past = run.crashes() == 0;
            Ok(())
        })?;
        if is_past {
            break;
        }
    }
    Ok(swept)
}

fn simulate(
    swept: &mut Swept,
    chance: u64,
    bug: Option<Bug>,
    fault: Option<(u64, Fault)>,
    which: &str,
    act: impl FnOnce(&mut Run) -> Checked,
) -> Checked {
    let named = |Violation(what)| Violation(format!("{which}: {what}"));
    let mut run = Run::new(DAY, chance, bug, fault).map_err(named)?;
    act(&mut run).map_err(named)?;
    run.settle().map_err(named)?;
    swept.days += 1;
    swept.steps += run.steps;
    swept.crashes += run.crashes();
    Ok(())
}
