//! Bodies of 100 events of 700 bytes: a template whose few varying digits are patched in place, so that making load
//! costs next to nothing.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// Events in a batch.
pub(crate) const BATCH: usize = 100;
/// Bytes of one event.
pub(crate) const EVENT_BYTES: usize = 700;
const DIGITS: usize = 12;

/// What an event of the template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Track,
    Page,
    Identify,
    /// An identify that says yes to the ten purposes of the governance bench.
    Consenting,
}

/// Where the varying digits of one event stand.
struct Slots {
    user: usize,
    anonymous: usize,
    message: usize,
}

/// A reusable body.
pub(crate) struct Body {
    text: Vec<u8>,
    slots: Vec<Slots>,
}

impl Body {
    /// A batch of events; `kind_of` says what each is.
    pub(crate) fn batch(len: usize, kind_of: impl Fn(usize) -> Kind) -> Self {
        let mut text = b"{\"batch\":[".to_vec();
        let mut slots = Vec::with_capacity(len);
        for n in 0..len {
            if n > 0 {
                text.push(b',');
            }
            slots.push(event(&mut text, kind_of(n)));
        }
        text.extend(b"]}");
        Self { text, slots }
    }

    /// One event alone.
    pub(crate) fn single(kind: Kind) -> Self {
        let mut text = Vec::new();
        let slots = vec![event(&mut text, kind)];
        Self { text, slots }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Sets who event `n` is about, and its message id.
    pub(crate) fn set(&mut self, n: usize, user: u64, message: u64) {
        let Some(Slots { user: u, anonymous: a, message: m }) = self.slots.get(n) else { return };
        let (u, a, m) = (*u, *a, *m);
        self.put(u, user);
        self.put(a, user);
        self.put(m, message);
    }

    /// Random people, and message ids from `next` on.
    pub(crate) fn shuffle(&mut self, random: &mut ChaCha8Rng, profiles: u64, next: &mut u64) {
        for n in 0..self.len() {
            self.set(n, random.random_range(0..profiles), *next);
            *next += 1;
        }
    }

    fn put(&mut self, at: usize, mut number: u64) {
        for digit in (0..DIGITS).rev() {
            if let Some(byte) = self.text.get_mut(at + digit) {
                *byte = b'0' + u8::try_from(number % 10).unwrap_or_default();
            }
            number /= 10;
        }
    }
}

fn event(text: &mut Vec<u8>, kind: Kind) -> Slots {
    let start = text.len();
    let (call, rest) = match kind {
        Kind::Track => (
            "track",
            r#""event":"Product Viewed","properties":{"product_id":"622c6f5d5cf86a4c77358033","sku":"8472-998-0112","category":"Games","name":"Monopoly: 3rd Edition","brand":"Hasbro","price":18.99,"quantity":1}"#,
        ),
        Kind::Page => (
            "page",
            r#""name":"Product","properties":{"path":"/games/monopoly","referrer":"https://www.example.com/","search":"","title":"Monopoly","url":"https://shop.example.com/games/monopoly"}"#,
        ),
        Kind::Identify => (
            "identify",
            r#""traits":{"name":"Ada Lovelace","plan":"pro","city":"London","loyalty_tier":"gold","newsletter":true,"visits":42}"#,
        ),
        Kind::Consenting => (
            "identify",
            r#""traits":{"name":"Ada Lovelace","plan":"pro","city":"London","loyalty_tier":"gold","newsletter":true,"visits":42}"#,
        ),
    };
    let consent = match kind {
        Kind::Consenting => {
            let yes: Vec<String> = (1..=10).map(|n| format!(r#""consent-{n:02}":true"#)).collect();
            format!(r#""consent":{{"categoryPreferences":{{{}}}}},"#, yes.join(","))
        }
        Kind::Track | Kind::Page | Kind::Identify => String::new(),
    };
    let zeros = "0".repeat(DIGITS);
    text.extend(format!(r#"{{"type":"{call}","userId":"user-"#).as_bytes());
    let user = text.len();
    text.extend(format!(r#"{zeros}","anonymousId":"device-"#).as_bytes());
    let anonymous = text.len();
    text.extend(format!(r#"{zeros}","messageId":"0190b4f2-0c1e-7d33-9a5b-"#).as_bytes());
    let message = text.len();
    text.extend(format!(r#"{zeros}",{rest},"context":{{{consent}"library":{{"name":"analytics.js","version":"npm:next-1.84.3"}},"page":{{"path":"/games","title":"Games"}},"userAgent":"Mozilla/5.0 (X11; Linux x86_64)","locale":"en-GB","timezone":"Europe/London","pad":""#).as_bytes());
    let tail = b"\"},\"integrations\":{}}";
    let pad = EVENT_BYTES.saturating_sub(text.len() - start + tail.len());
    text.extend(std::iter::repeat_n(b'x', pad));
    text.extend(tail);
    Slots { user, anonymous, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_of_the_template_is_json_of_700_bytes() {
        for kind in [Kind::Track, Kind::Page, Kind::Identify] {
            let mut body = Body::single(kind);
            body.set(0, 123, 456);
            assert_eq!(body.bytes().len(), EVENT_BYTES);
            let event: serde_json::Value = serde_json::from_slice(body.bytes()).unwrap();
            assert_eq!(event["userId"], "user-000000000123");
            assert_eq!(event["messageId"], "0190b4f2-0c1e-7d33-9a5b-000000000456");
        }
    }
}
