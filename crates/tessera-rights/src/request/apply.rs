//! The state machine of a request.
//!
//! ```text
//! received ──► identity_check ──► in_progress ──► completed
//!     └──────────────┼────────────────►┘  └─────► denied, cancelled
//!                    └──► expired, denied, cancelled
//! ```

use tessera_model::Timestamp;

use super::{Action, Request, RequestError, Status, Step};
use crate::clock::{Calendar, clock, deadlines};

/// Takes `step` about `request`. Pure: the request that comes back has the step at the end of its history.
///
/// The calendar says whether an extension comes in time: the person must hear of it before the first deadline
/// (GDPR Art. 12(3), California Civil Code 1798.130(a)(2)(A)).
///
/// # Errors
/// [`RequestError`]; `request` is untouched.
pub fn apply(request: &Request, step: Step, calendar: &Calendar) -> Result<Request, RequestError> {
    let next = request.clone().stepped(step.clone())?;
    if matches!(step.action, Action::Extend { .. }) && clock(request, calendar, step.at).is_overdue {
        return Err(RequestError::Extension { why: "the first deadline has passed" });
    }
    Ok(next)
}

impl Request {
    /// The step taken, without asking a calendar: what was stored was in time when it was applied.
    pub(super) fn stepped(mut self, step: Step) -> Result<Self, RequestError> {
        let last = self.history.last().map_or(self.opening.received_at, |last| last.at);
        if step.at < last {
            return Err(RequestError::Order { at: step.at, last });
        }
        self.status = self.next(&step.action, step.at)?;
        self.history.push(step);
        Ok(self)
    }

    fn next(&self, action: &Action, at: Timestamp) -> Result<Status, RequestError> {
        let fits = match action {
            Action::TellRecipient { .. } => matches!(self.status, Status::InProgress | Status::Completed),
            Action::Expire => self.status == Status::IdentityCheck,
            Action::Start => self.status == Status::Received,
            Action::AskIdentity { .. } => matches!(self.status, Status::Received | Status::InProgress),
            Action::Complete { .. } => self.status == Status::InProgress,
            Action::Acknowledge
            | Action::ConfirmIdentity { .. }
            | Action::Extend { .. }
            | Action::Deny { .. }
            | Action::Cancel { .. } => !self.status.is_closed(),
        };
        if !fits {
            return Err(RequestError::Status { action: action.name(), status: self.status.as_str() });
        }
        self.guard(action, at)?;
        Ok(match action {
            Action::AskIdentity { .. } => Status::IdentityCheck,
            Action::ConfirmIdentity { .. } | Action::Start => Status::InProgress,
            Action::Acknowledge | Action::Extend { .. } | Action::TellRecipient { .. } => self.status,
            Action::Complete { .. } | Action::Deny { .. } | Action::Cancel { .. } | Action::Expire => {
                action.closes().unwrap_or(self.status)
            }
        })
    }

    /// What the law asks of an action that fits the status.
    fn guard(&self, action: &Action, at: Timestamp) -> Result<(), RequestError> {
        let (regime, request_type) = (self.opening.regime, self.opening.request_type);
        match action {
            Action::Acknowledge => once(action, self.acknowledged_at()),
            Action::ConfirmIdentity { .. } => once(action, self.identity_confirmed_at()),
            Action::AskIdentity { .. } => {
                if !request_type.may_ask_identity(regime) {
                    return Err(RequestError::IdentityNotNeeded { regime, request_type });
                }
                once(action, self.identity_confirmed_at())
            }
            Action::Extend { why } => {
                if deadlines(regime, request_type).extended.is_none() {
                    return Err(RequestError::Extension { why: "the law gives no extension" });
                }
                worded(action, why)?;
                once(action, self.extended_at())
            }
            Action::Complete { except } => {
                if request_type.needs_identity() && self.identity_confirmed_at().is_none() {
                    return Err(RequestError::Identity { id: self.opening.id, request_type });
                }
                except.iter().try_for_each(|reason| self.known(*reason))
            }
            Action::Deny { reason, why } => {
                self.known(*reason)?;
                if reason.needs_words() { worded(action, why) } else { Ok(()) }
            }
            Action::Expire => match self.identity_answer_until() {
                Some(until) if at < until => Err(RequestError::NotExpired { until }),
                Some(_) | None => Ok(()),
            },
            Action::Start | Action::TellRecipient { .. } | Action::Cancel { .. } => Ok(()),
        }
    }

    fn known(&self, reason: super::DenialReason) -> Result<(), RequestError> {
        let (regime, request_type) = (self.opening.regime, self.opening.request_type);
        match reason.article(regime, request_type) {
            Some(_) => Ok(()),
            None => Err(RequestError::Reason { reason, regime, request_type }),
        }
    }

    /// Until when the person may answer the last question about who they are.
    fn identity_answer_until(&self) -> Option<Timestamp> {
        self.history.iter().rev().find_map(|step| match step.action {
            Action::AskIdentity { answer_until } => Some(answer_until),
            Action::Acknowledge
            | Action::ConfirmIdentity { .. }
            | Action::Start
            | Action::Extend { .. }
            | Action::TellRecipient { .. }
            | Action::Complete { .. }
            | Action::Deny { .. }
            | Action::Cancel { .. }
            | Action::Expire => None,
        })
    }
}

fn once(action: &Action, before: Option<Timestamp>) -> Result<(), RequestError> {
    before.map_or(Ok(()), |_| Err(RequestError::Twice { action: action.name() }))
}

fn worded(action: &Action, why: &str) -> Result<(), RequestError> {
    if why.trim().is_empty() { Err(RequestError::NoWords { action: action.name() }) } else { Ok(()) }
}
