//! Reading bodies: never more than the limit, never longer than the time, never more at once than the budget.

use std::io::Read;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http_body_util::BodyExt;

use crate::error::ApiError;
use crate::shared::Held;

/// How far, and how long, a body that is refused is still read, so that a client that sends first and reads then
/// gets to see the refusal instead of a broken connection.
const DRAIN_BYTES_MAX: usize = 8 * 1024 * 1024;
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// Gzip of bytes that cannot be compressed is a little larger than they are.
const GZIP_OVERHEAD_BYTES: usize = 1024;
/// What is set aside for a body before its first byte has come, whatever length it claims.
const RESERVE_BYTES_MAX: usize = 128 * 1024;

/// Why a body could not be had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Longer than the limit.
    TooLarge,
    /// Slower than the time-out.
    TimedOut,
    /// The sender went away, or the framing is wrong.
    Broken,
    /// Too many bodies at once.
    Overloaded,
}

/// What a body may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    pub(crate) bytes_max: usize,
    pub(crate) seconds_max: u64,
}

impl BodyLimits {
    pub(crate) const fn error(self, error: &BodyError) -> ApiError {
        match error {
            BodyError::TooLarge => ApiError::TooLarge { bytes_max: self.bytes_max },
            BodyError::TimedOut => ApiError::TimedOut { seconds: self.seconds_max },
            BodyError::Overloaded => ApiError::Overloaded,
            BodyError::Broken => ApiError::Broken,
        }
    }
}

/// Reads the whole body. `held` grows by what is read.
pub(crate) async fn read(
    mut body: Body,
    limits: BodyLimits,
    held: &mut Held<'_>,
) -> Result<Bytes, BodyError> {
    let bytes_max = limits.bytes_max.saturating_add(GZIP_OVERHEAD_BYTES);
    let claimed = body.size_hint().lower();
    let result = match claimed > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        true => Err(BodyError::TooLarge),
        false => {
            let wait = Duration::from_secs(limits.seconds_max);
            tokio::time::timeout(wait, collect(&mut body, bytes_max, held))
                .await
                .unwrap_or(Err(BodyError::TimedOut))
        }
    };
    if matches!(result, Err(BodyError::TooLarge | BodyError::Overloaded)) {
        drain(body).await;
    }
    result
}

async fn collect(body: &mut Body, bytes_max: usize, held: &mut Held<'_>) -> Result<Bytes, BodyError> {
    let mut first = Bytes::new();
    let mut rest: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if first.len() + rest.len() + frame.len() > bytes_max {
            return Err(BodyError::TooLarge);
        }
        if !held.more(frame.len()) {
            return Err(BodyError::Overloaded);
        }
        if first.is_empty() && rest.is_empty() {
            // Most bodies come in one piece and are never copied.
            first = frame;
            continue;
        }
        if rest.is_empty() {
            let claimed = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
            rest.reserve((first.len() + frame.len()).saturating_add(claimed).min(RESERVE_BYTES_MAX));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&frame);
    }
    Ok(if rest.is_empty() { first } else { rest.into() })
}

/// Reads on and forgets, within limits.
pub(crate) async fn drain(mut body: Body) {
    if body.size_hint().lower() > u64::try_from(DRAIN_BYTES_MAX).unwrap_or(u64::MAX) {
        return;
    }
    let mut bytes = 0;
    let forget = async {
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > DRAIN_BYTES_MAX {
                return;
            }
        }
    };
    // Whether the body ended or the patience did makes no difference.
    drop(tokio::time::timeout(DRAIN_MAX, forget).await);
}

/// Why a body could not be unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unpack {
    /// It unpacks to more than the limit; no more than that was unpacked.
    TooLarge,
    /// It is not what `Content-Encoding` says.
    Broken,
    /// `Content-Encoding` says something else than gzip or deflate.
    Unknown,
}

/// The body as it was before its `Content-Encoding`.
pub(crate) fn unpack(headers: &HeaderMap, body: Bytes, bytes_max: usize) -> Result<Bytes, Unpack> {
    let encoding =
        headers.get(header::CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?")).trim();
    let is = |name: &str| encoding.eq_ignore_ascii_case(name);
    let unpacked = if encoding.is_empty() || is("identity") {
        body
    } else if is("gzip") || is("x-gzip") {
        read_bounded(MultiGzDecoder::new(body.as_ref()), bytes_max)?
    } else if is("deflate") {
        read_bounded(ZlibDecoder::new(body.as_ref()), bytes_max)?
    } else {
        return Err(Unpack::Unknown);
    };
    if unpacked.len() > bytes_max { Err(Unpack::TooLarge) } else { Ok(unpacked) }
}

fn read_bounded(reader: impl Read, bytes_max: usize) -> Result<Bytes, Unpack> {
    let mut out = Vec::new();
    let bound = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(bound).read_to_end(&mut out).map_err(|_| Unpack::Broken)?;
    Ok(out.into())
}
