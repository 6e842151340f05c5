//! Bodies refused before they could be read: kept as rejects without their payload, within a rate.

use std::sync::Arc;

use axum::http::StatusCode;
use tessera_model::{Operation, Reject, RejectCode, SourceRules};
use tessera_store::{Log, Store};

use crate::error::ApiError;
use crate::shared::App;

/// A sender that is refused again and again must not fill the log: further refusals are only counted.
const RECORDED_PER_SECOND_MAX: u32 = 10;
const SECOND_NANOS: u64 = 1_000_000_000;

pub(crate) fn larger_than(bytes_max: usize) -> Reject {
    without_payload(RejectCode::BodyTooLarge, format!("the body is larger than {bytes_max} bytes"))
}

/// The payload is too large to keep, or is no text.
pub(crate) fn without_payload(code: RejectCode, reason: impl Into<String>) -> Reject {
    Reject { code, reason: reason.into(), payload: String::new(), is_cut: true }
}

/// What the sender is told.
pub(crate) fn answer(reject: Reject) -> ApiError {
    let is_too_large = reject.code == RejectCode::BodyTooLarge;
    let status = if is_too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
    ApiError::Rejected { status, code: reject.code, reason: reject.reason }
}

pub(crate) async fn too_large<L: Log, S: Store>(
    app: &App<L, S>,
    source: &Arc<SourceRules>,
    bytes_max: usize,
) -> ApiError {
    refuse(app, source, larger_than(bytes_max)).await
}

/// Keeps the reject, then says what the sender is told.
pub(crate) async fn refuse<L: Log, S: Store>(
    app: &App<L, S>,
    source: &Arc<SourceRules>,
    reject: Reject,
) -> ApiError {
    if !may_record(app) {
        app.count_unrecorded();
        return answer(reject);
    }
    let operation = Operation::Reject {
        source: source.name.clone(),
        code: reject.code,
        reason: reject.reason.clone(),
        payload: String::new(),
        is_cut: true,
        line: None,
    };
    match app.order(operation).await {
        Ok(_) => answer(reject),
        // The sender tries again, and the refusal is recorded then.
        Err(error) => error,
    }
}

fn may_record<L: Log, S: Store>(app: &App<L, S>) -> bool {
    let second = app.parts.clock.monotonic_nanos() / SECOND_NANOS;
    let mut recorded = app.refusals.lock();
    if recorded.0 != second {
        *recorded = (second, 0);
    }
    recorded.1 += 1;
    recorded.1 <= RECORDED_PER_SECOND_MAX
}
