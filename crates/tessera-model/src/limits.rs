//! The limits of every entrance. A limit on everything: what has none grows until the machine stops.

/// Longest event, in bytes of JSON (Segment's own limit).
pub const EVENT_BYTES_MAX: usize = 32 * 1024;
/// Longest batch body, in bytes after decompression (Segment's own limit is 500 KB).
pub const BATCH_BYTES_MAX: usize = 500 * 1024;
/// Most events in one batch (Segment's own limit): a batch of nothing but commas must not become as many rejects.
pub const BATCH_EVENTS_MAX: usize = 2_500;
/// Longest `messageId`, in characters.
pub const MESSAGE_ID_CHARS_MAX: usize = 100;
/// Longest identifier value after normalisation, in bytes.
pub const IDENTIFIER_BYTES_MAX: usize = 255;
/// Longest name of an event, trait, purpose or source, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// Deepest nesting of arrays and objects in an event.
pub const JSON_DEPTH_MAX: usize = 64;
/// Most traits in one call.
pub const TRAITS_MAX: usize = 500;
/// Most identifiers that one event may carry.
pub const EVENT_IDENTIFIERS_MAX: usize = 20;
/// How far ahead of its reception an event may claim to lie, in milliseconds; a later one is taken as of its
/// reception, or a wrong clock would win over every later write.
pub const FUTURE_MILLIS_MAX: i64 = 24 * 60 * 60 * 1000;
/// Most bytes of a payload that a reject keeps.
pub const REJECT_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
