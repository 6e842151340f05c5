//! What every destination that speaks HTTP is tested with: a receiver that answers as told, and the cases.
//!
//! Not for production: the receiver reads just enough HTTP for our own client. Invariant: nothing here waits for
//! time to pass; the only wait is the destination's own timeout.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tessera_policy::Permitted;

use crate::{Delivery, Destination, Exit, Forget, Outcome};

/// How the receiver answers one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With a status, headers and a body.
    Status(u16, Vec<(String, String)>, String),
    /// Not at all, until the client gives up.
    Silence,
    /// Half a status line, then a reset.
    ResetMidAnswer,
    /// A status and half the body that it promises.
    HalfBody(u16),
    /// A status and then a body that never ends, until the client hangs up.
    EndlessBody(u16),
    /// Bytes that are not HTTP.
    Garbage,
}

impl Answer {
    /// A status alone.
    #[must_use]
    pub fn status(code: u16) -> Self {
        Self::Status(code, Vec::new(), String::new())
    }

    /// A status and one header.
    #[must_use]
    pub fn with_header(code: u16, name: &str, value: &str) -> Self {
        Self::Status(code, vec![(name.to_owned(), value.to_owned())], String::new())
    }
}

/// What the receiver was sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Method, path and version, as sent.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl Request {
    /// The value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Shared {
    script: Mutex<std::collections::VecDeque<Answer>>,
    requests: Mutex<Vec<Request>>,
    is_stopped: AtomicBool,
}

/// An HTTP server on a free loopback port. Answers by script, then 200 for ever; one request per connection.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Receiver").field(&self.address).finish()
    }
}

impl Receiver {
    /// Starts one.
    ///
    /// # Errors
    /// No port could be had.
    pub fn start(script: impl IntoIterator<Item = Answer>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        lock(&shared.script).extend(script);
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if for_thread.is_stopped.load(Ordering::SeqCst) {
                    break;
                }
                // A client that hangs up is one of the cases.
                serve(&stream, &for_thread).ok();
            }
        });
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook?token=t0ken", self.address)
    }

    /// Adds answers to the script.
    pub fn answer(&self, script: impl IntoIterator<Item = Answer>) {
        lock(&self.shared.script).extend(script);
    }

    /// What it was sent so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the thread, which waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = read_head(&mut reader)?;
    let answer = lock(&shared.script).pop_front().unwrap_or_else(|| Answer::status(200));
    if answer == Answer::ResetMidAnswer {
        // Closing a socket that holds unread bytes resets the connection. The body's last byte is left unread.
        lock(&shared.requests).push(request);
        return stream.write_all(b"HTTP/1.1 20");
    }
    let len = request.header("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
    request.body = vec![0; len];
    reader.read_exact(&mut request.body)?;
    lock(&shared.requests).push(request);
    match answer {
        Answer::Status(code, headers, body) => {
            let headers: String =
                headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let len = body.len();
            write!(
                stream,
                "HTTP/1.1 {code} X\r\nconnection: close\r\ncontent-length: {len}\r\n{headers}\r\n{body}"
            )
        }
        Answer::Silence => io::copy(&mut reader, &mut io::sink()).map(drop),
        Answer::HalfBody(code) => write!(stream, "HTTP/1.1 {code} X\r\ncontent-length: 100\r\n\r\nhalf"),
        Answer::EndlessBody(code) => {
            write!(stream, "HTTP/1.1 {code} X\r\nconnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 4096])?;
            }
        }
        Answer::Garbage | Answer::ResetMidAnswer => stream.write_all(b"\x16\x03\x01 not http at all\r\n\r\n"),
    }
}

fn read_head(reader: &mut BufReader<&TcpStream>) -> io::Result<Request> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut request = Request { line: line.trim_end().to_owned(), headers: Vec::new(), body: Vec::new() };
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            None => return Ok(request),
        }
    }
}

/// The cases that every destination over HTTP must pass. `open` opens one that sends to the URL it is given, with
/// the shortest timeout that its settings allow; `batch` is not empty.
///
/// # Errors
/// The receiver could not be started.
///
/// # Panics
/// The destination failed a case.
pub fn check_http(
    mut open: impl FnMut(&str) -> Box<dyn Destination>,
    batch: &[Permitted<Delivery>],
) -> io::Result<()> {
    check_answers(&mut open, |destination| destination.deliver(batch))?;
    let receiver = Receiver::start([])?;
    let mut destination = open(&receiver.url());
    assert_eq!(destination.deliver(&[]), Outcome::Delivered, "an empty batch");
    assert_eq!(receiver.requests().len(), 0, "an empty batch is not sent");
    drop(receiver);
    assert_eq!(tell(destination.deliver(batch)).0, "retry", "nobody listens");
    Ok(())
}

/// The cases for a destination that passes notices on, as [`check_http`] for deliveries.
///
/// # Errors
/// The receiver could not be started.
///
/// # Panics
/// The destination failed a case.
pub fn check_http_forget(
    mut open: impl FnMut(&str) -> Box<dyn Destination>,
    notice: &Forget,
) -> io::Result<()> {
    check_notice(&mut open, |destination| destination.forget(notice))
}

/// The cases for a destination that is told who left an audience, as [`check_http`] for deliveries.
///
/// # Errors
/// The receiver could not be started.
///
/// # Panics
/// The destination failed a case.
pub fn check_http_leave(mut open: impl FnMut(&str) -> Box<dyn Destination>, exit: &Exit) -> io::Result<()> {
    check_notice(&mut open, |destination| destination.leave(exit))
}

/// The answers; that a repeat is known by its key, and that nobody who listens is no answer.
fn check_notice(
    open: &mut dyn FnMut(&str) -> Box<dyn Destination>,
    send: impl Fn(&mut dyn Destination) -> Outcome,
) -> io::Result<()> {
    check_answers(open, &send)?;
    let receiver = Receiver::start([])?;
    let mut destination = open(&receiver.url());
    for _ in 0..2 {
        assert_eq!(send(destination.as_mut()), Outcome::Delivered);
    }
    let requests = receiver.requests();
    let keys = requests.iter().map(|request| request.header("idempotency-key").map(str::to_owned));
    let keys: Vec<_> = keys.collect();
    assert!(matches!(&keys[..], [Some(one), Some(two)] if one == two), "a repeat can be told by its key");
    drop(receiver);
    assert_eq!(tell(send(destination.as_mut())).0, "retry", "nobody listens");
    Ok(())
}

/// What each answer means, and that the same can be sent again after it.
fn check_answers(
    open: &mut dyn FnMut(&str) -> Box<dyn Destination>,
    send: impl Fn(&mut dyn Destination) -> Outcome,
) -> io::Result<()> {
    let wait = |seconds: &str| Answer::with_header(429, "Retry-After", seconds);
    let leaky = Answer::Status(500, Vec::new(), "you sent ada@example.com".to_owned());
    let moved = Answer::with_header(302, "Location", "/elsewhere");
    let cases: [(&str, Answer, &str); 12] = [
        ("ok", Answer::status(200), "delivered"),
        ("too many", wait("7"), "retry after 7000"),
        ("too many, no time given", Answer::status(429), "retry"),
        ("down", leaky, "retry"),
        ("timeout", Answer::Silence, "retry"),
        ("reset in the middle of the answer", Answer::ResetMidAnswer, "retry"),
        ("garbage", Answer::Garbage, "retry"),
        ("half a body after a yes", Answer::HalfBody(200), "delivered"),
        ("an endless body after a yes", Answer::EndlessBody(200), "delivered"),
        ("an endless body after a failure", Answer::EndlessBody(503), "retry"),
        ("bad request", Answer::status(400), "refused"),
        ("redirect", moved, "refused"),
    ];
    for (name, answer, expected) in cases {
        let receiver = Receiver::start([answer])?;
        let mut destination = open(&receiver.url());
        let (found, reason) = tell(send(&mut *destination));
        assert_eq!(found, expected, "{name}: {reason}");
        assert_eq!(receiver.requests().len(), 1, "{name}: one request and no redirect followed");
        for secret in ["ada@example.com", "t0ken"] {
            assert!(!reason.contains(secret), "{name}: {reason}");
        }
        let (found, reason) = tell(send(&mut *destination));
        assert_eq!(found, "delivered", "the same again after {name}: {reason}");
    }
    Ok(())
}

fn tell(outcome: Outcome) -> (String, String) {
    match outcome {
        Outcome::Delivered => ("delivered".to_owned(), String::new()),
        Outcome::Retry { after_millis: None, reason } => ("retry".to_owned(), reason),
        Outcome::Retry { after_millis: Some(millis), reason } => (format!("retry after {millis}"), reason),
        Outcome::Refused { reason } => ("refused".to_owned(), reason),
    }
}
