//! Sending to a server that is busy, refuses, or goes away, and the course of batches.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Cursor, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use super::assemble::Assembler;
use super::journal::{Journal, Key, Progress};
use super::rows::{CsvRows, Mapper, Mapping, Reader};
use super::run::write_key;
use super::send::{Batch, RejectedRow, Sender, Sent};
use crate::client::Client;

/// A server that gives these answers, one a request, and then is gone. What it was sent can be received.
fn server(answers: Vec<(u16, &'static str)>) -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (give, taken) = channel();
    std::thread::spawn(move || {
        for (status, answer) in answers {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let (mut first, mut length) = (String::new(), 0);
            stream.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            give.send((first.trim().to_owned(), serde_json::from_slice(&body).unwrap())).unwrap();
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                answer.len()
            );
            stream.get_mut().write_all(format!("{head}{answer}").as_bytes()).unwrap();
        }
    });
    (url, taken)
}

struct Sending {
    result: anyhow::Result<Sent>,
    pauses: Vec<u64>,
    saved_rows: u64,
    requests: Vec<(String, Value)>,
}

fn send(answers: Vec<(u16, &'static str)>, batches: Vec<Batch>) -> Sending {
    let folder = tempfile::tempdir().unwrap();
    let (url, taken) = server(answers);
    let client = Client::new(folder.path(), Some(url), Some("token".to_owned())).unwrap();
    let mut journal = Journal::open(folder.path(), &Key::new(), Progress::default()).unwrap();
    let pauses = RefCell::new(Vec::new());
    let sender = Sender {
        client: &client,
        write_key: "key",
        source: "crm",
        pause: &|pause| pauses.borrow_mut().push(pause.as_secs()),
        on_wait: &|_| {},
        on_rows: &|_| {},
    };
    let result = sender.run(batches.into_iter(), &mut journal);
    let saved = Journal::open(folder.path(), &Key::new(), Progress::default()).unwrap();
    let requests = taken.try_iter().collect();
    Sending { result, pauses: pauses.into_inner(), saved_rows: saved.progress.rows, requests }
}

fn batch(rows: u64) -> Batch {
    Batch { body: b"{\"batch\":[{\"n\":1},{\"n\":2}".to_vec(), events: 2, rows, ..Batch::default() }
}

const YES: (u16, &str) = (200, "{\"success\":true}");

#[test]
fn a_busy_server_is_waited_for_ever_longer_and_nothing_is_left_out() {
    let sending = send(vec![(429, "{}"), (503, ""), (500, ""), YES, YES], vec![batch(2), batch(4)]);
    let sent = sending.result.unwrap();
    assert_eq!((sent.accepted, sent.rejected), (4, 0));
    assert_eq!(sending.pauses, [1, 2, 4]);
    assert_eq!(sending.saved_rows, 4);
    assert_eq!(sending.requests.len(), 5);
    let (first, body) = &sending.requests[4];
    assert_eq!((first.as_str(), body), ("POST /v1/import HTTP/1.1", &json!({"batch": [{"n": 1}, {"n": 2}]})));
}

#[test]
fn a_server_that_stays_away_ends_the_import_behind_what_it_acknowledged() {
    let sending = send(vec![YES], vec![batch(2), batch(4)]);
    let error = sending.result.unwrap_err();
    assert!(error.to_string().starts_with("TES-M010: the server has taken nothing for 6"), "{error}");
    assert_eq!(sending.saved_rows, 2);
    assert!(sending.pauses.starts_with(&[1, 2, 4, 8, 16, 30, 30]), "{:?}", sending.pauses);
}

#[test]
fn a_refusal_ends_the_import_at_once() {
    let refusal = (401, r#"{"code":"TES-H001","message":"no source has this write key","hint":"h"}"#);
    let sending = send(vec![refusal], vec![batch(2)]);
    let error = format!("{:#}", sending.result.unwrap_err());
    assert_eq!(error, "TES-M010: the server refused a batch: TES-H001: no source has this write key");
    assert_eq!((sending.saved_rows, sending.pauses.len()), (0, 0));
}

#[test]
fn rejected_events_are_counted_and_rejected_rows_are_kept_with_their_lines() {
    let answer = (200, r#"{"success":true,"accepted":1,"rejected":[{"index":0,"code":"TES-I006"}]}"#);
    let row = RejectedRow { reason: "why".to_owned(), payload: "a,b".to_owned(), line: 7 };
    let with_reject = Batch { rejects: vec![row], ..batch(3) };
    let sending = send(vec![answer, (429, "{}"), (200, "{\"stored\":1}")], vec![with_reject]);
    let sent = sending.result.unwrap();
    assert_eq!((sent.accepted, sent.rejected), (1, 1));
    assert_eq!(sending.pauses, [1]);
    let (first, body) = &sending.requests[2];
    assert_eq!(first, "POST /api/v1/rejects HTTP/1.1");
    assert_eq!(body, &json!({"source": "crm", "rows": [{"reason": "why", "payload": "a,b", "line": 7}]}));
}

const MAPPING: &str = "kind: Mapping\ncall: identify\nidentifiers: {user_id: id, card: card}\n";

/// The batches of `text`, rows up to `skip` left out.
fn assemble(text: &str, skip: u64, limit: Option<u64>) -> (Vec<Batch>, Assembler) {
    let mapping = Mapping::parse("m", MAPPING).unwrap();
    let rows = CsvRows::new(Box::new(Cursor::new(text.as_bytes().to_vec())), None).unwrap();
    let mut reader = Reader::Csv(Box::new(rows));
    let mapper = Mapper::new(&mapping, reader.columns()).unwrap();
    let mut assembler = Assembler::new(mapper, "crm", limit);
    assembler.skip = skip;
    let mut batches = Vec::new();
    assembler
        .run(&mut reader, |batch| {
            batches.push(batch);
            true
        })
        .unwrap();
    (batches, assembler)
}

/// The message ids of all batches.
fn ids(batches: &[Batch]) -> Vec<String> {
    let bodies = batches.iter().filter(|batch| batch.events > 0);
    let values =
        bodies.map(|batch| serde_json::from_slice::<Value>(&[&batch.body[..], b"]}"].concat()).unwrap());
    let events = values.flat_map(|body| body["batch"].as_array().unwrap().clone());
    events.map(|event| event["messageId"].as_str().unwrap().to_owned()).collect()
}

fn table(rows: impl Iterator<Item = u64>) -> String {
    let rows: String = rows.map(|i| format!("u{},c{i}\n", i % 700)).collect();
    format!("id,card\n{rows}")
}

#[test]
fn an_import_that_goes_on_gives_the_rest_the_ids_it_would_have_had() {
    let text = "id,card\nu1,\nu2,\nu1,\n,\nu1,\nu2,\n";
    let (whole, _) = assemble(text, 0, None);
    let all = ids(&whole);
    assert_eq!(all.len(), 5);
    for skip in 0..=6 {
        let (rest, assembler) = assemble(text, skip, None);
        let events_before = [0, 1, 2, 3, 3, 4, 5][usize::try_from(skip).unwrap()];
        assert_eq!(ids(&rest), all[events_before..], "after row {skip}");
        assert_eq!(assembler.tally.skipped, skip);
        assert_eq!(assembler.tally.rejected, u64::from(skip < 4));
    }
}

#[test]
fn rows_keep_their_ids_in_another_order_and_equal_rows_have_ids_of_their_own() {
    let sorted = |batches: &[Batch]| {
        let mut ids = ids(batches);
        ids.sort();
        ids
    };
    let forth = sorted(&assemble(&table(0..2_000), 0, None).0);
    let back = sorted(&assemble(&table((0..2_000).rev()), 0, None).0);
    assert_eq!(forth, back);
    let mut distinct = forth.clone();
    distinct.dedup();
    assert_eq!(distinct.len(), 2_000);
}

#[test]
fn batches_stay_within_the_server_s_limits_and_count_every_row() {
    let (batches, assembler) = assemble(&table(0..1_234), 0, None);
    assert_eq!(batches.iter().map(|batch| batch.events).collect::<Vec<_>>(), [500, 500, 234]);
    assert_eq!(batches.last().unwrap().rows, 1_234);
    assert!(assembler.tally.is_whole);
    let long: String = (0..100).map(|i| format!("u{i},{}\n", "x".repeat(30_000))).collect();
    let (batches, _) = assemble(&format!("id,card\n{long}"), 0, None);
    assert!(batches.iter().all(|batch| batch.body.len() + 2 <= 500 * 1024));
    assert_eq!(batches.iter().map(|batch| batch.events).sum::<usize>(), 100);
    let (batches, assembler) = assemble(&table(0..10), 0, Some(7));
    assert_eq!((batches[0].events, assembler.tally.is_whole), (7, false));
    let (batches, assembler) = assemble("id,card\nu,".to_owned().as_str(), 0, None);
    assert_eq!((batches.len(), assembler.tally.rows), (1, 1));
    let too_large = format!("id,card\nu,{}\nu,c\n", "x".repeat(40_000));
    let (batches, _) = assemble(&too_large, 0, None);
    assert_eq!((batches[0].events, batches[0].rejects[0].line), (1, 2));
}

#[test]
fn a_mapping_that_fits_no_row_is_given_up_after_a_thousand() {
    let rows = ",\n".repeat(5_000);
    let (batches, assembler) = assemble(&format!("id,card\n{rows}"), 0, None);
    assert!(assembler.tally.is_hopeless);
    assert_eq!(assembler.tally.rows, 1_000);
    assert_eq!(batches.iter().map(|batch| batch.rejects.len()).sum::<usize>(), 1_000);
}

#[test]
fn sources_and_namespaces_that_the_workspace_lacks_are_told() {
    let mapping = Mapping::parse("m", MAPPING).unwrap();
    let source = |name: &str| tessera_model::SourceName::parse(name).unwrap();
    let workspace = json!({"documents": [
        {"kind": "Source", "name": "crm", "write_key": "k1"},
        {"kind": "Namespace", "name": "card"},
    ]});
    assert_eq!(write_key(&workspace, &source("crm"), &mapping).unwrap(), "k1");
    let error = write_key(&workspace, &source("till"), &mapping).unwrap_err();
    assert_eq!(error.to_string(), "TES-M009: source `till` is not in the workspace");
    let error = write_key(&json!({"documents": []}), &source("crm"), &mapping).unwrap_err();
    assert_eq!(error.to_string(), "TES-M003: namespace `card` of the mapping is not in the workspace");
    let hashed = |namespace: &str| {
        let mapping = format!("kind: Mapping\ncall: identify\nidentifiers: {{{namespace}_sha256: hash}}\n");
        write_key(&workspace, &source("crm"), &Mapping::parse("m", &mapping).unwrap()).is_ok()
    };
    assert!(hashed("email") && hashed("phone") && !hashed("card"), "nobody hashes cards");
}
