//! Against a name server of the test's own, asked over the wire.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::op::{Message, MessageType, OpCode};
use hickory_resolver::proto::rr::rdata::{A, MX};
use hickory_resolver::proto::rr::{Record, RecordType};
use tessera_contact::{CheckOptions, ContactKind, check};
use tokio::net::UdpSocket;

use super::*;

/// A name server that answers by what a domain is called, and counts what it was asked.
async fn name_server() -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut bytes = [0; 512];
        loop {
            let (len, from) = socket.recv_from(&mut bytes).await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            let question = Message::from_vec(&bytes[..len]).unwrap();
            if let Some(answer) = answer(&question) {
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        }
    });
    (at, asked)
}

fn answer(question: &Message) -> Option<Message> {
    let query = question.queries[0].clone();
    let (name, kind) = (query.name().clone(), query.query_type());
    let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_query(query);
    let mx = |exchange: &str| RData::MX(MX::new(10, Name::from_ascii(exchange).unwrap()));
    let label = name.to_ascii();
    let found = match (label.split('.').next().unwrap(), kind) {
        ("mail", RecordType::MX) => vec![mx("mx1.example."), mx("mx2.example.")],
        ("null", RecordType::MX) => vec![mx(".")],
        ("host", RecordType::A) => vec![RData::A(A::new(192, 0, 2, 1))],
        ("nobody", _) => {
            answer.metadata.response_code = ResponseCode::NXDomain;
            vec![]
        }
        ("broken", _) => {
            answer.metadata.response_code = ResponseCode::ServFail;
            vec![]
        }
        ("silent", _) => return None,
        _ => vec![],
    };
    for data in found {
        answer.add_answer(Record::from_rdata(name.clone(), 300, data));
    }
    Some(answer)
}

async fn servers(timeout_millis: u64) -> (MailServers, Arc<AtomicUsize>) {
    let (at, asked) = name_server().await;
    let options = MxOptions { servers: vec![at], timeout_millis, ..MxOptions::default() };
    (MailServers::new(&options).unwrap(), asked)
}

#[tokio::test]
async fn a_domain_is_what_the_dns_says_of_it() {
    let (servers, _) = servers(2000).await;
    for (domain, expected) in [
        ("mail.example", MailServer::Found),
        ("null.example", MailServer::Refused),
        ("host.example", MailServer::Found),
        ("empty.example", MailServer::None),
        ("nobody.example", MailServer::NoDomain),
        ("broken.example", MailServer::NotAnswered),
        ("not a domain", MailServer::NotAnswered),
    ] {
        assert_eq!(servers.ask(domain).await, expected, "{domain}");
    }
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_unknown() {
    let (servers, _) = servers(150).await;
    assert_eq!(servers.ask("silent.example").await, MailServer::NotAnswered);
}

#[tokio::test]
async fn an_answer_is_remembered_and_each_domain_is_asked_for_once() {
    let (servers, asked) = servers(2000).await;
    let domains = ["mail.example", "null.example"].map(str::to_owned);
    let found = servers.ask_all(domains.clone()).await;
    assert_eq!(found.into_values().collect::<Vec<_>>(), [MailServer::Found, MailServer::Refused]);
    let before = asked.load(Ordering::SeqCst);
    servers.ask_all(domains).await;
    assert_eq!(asked.load(Ordering::SeqCst), before);
}

#[test]
fn an_answer_refines_a_verdict_and_makes_nothing_valid() {
    let checked = |text: &str| check(ContactKind::Email, text, &CheckOptions::default());
    let looked_at = checked("info@mailinator.com").verdict;
    for (found, status, reason) in [
        (MailServer::Found, Status::Unknown, "mail_server"),
        (MailServer::Refused, Status::Invalid, "takes_no_mail"),
        (MailServer::None, Status::Invalid, "no_mail_server"),
        (MailServer::NoDomain, Status::Invalid, "no_such_domain"),
        (MailServer::NotAnswered, Status::Unknown, "not_answered"),
    ] {
        let refined = found.refine(looked_at);
        assert_eq!((refined.status, refined.reason), (status, reason));
        assert!(refined.disposable && refined.role_address);
        let invalid = checked("ada@").verdict;
        assert_eq!(found.refine(invalid), invalid);
    }
}

#[test]
fn only_the_domain_of_an_address_is_asked_for() {
    let domain = |text: &str| domain_to_ask(&check(ContactKind::Email, text, &CheckOptions::default()));
    assert_eq!(domain("Ada@B\u{fc}cher.example"), Some("xn--bcher-kva.example".to_owned()));
    assert_eq!(domain("ada@[192.0.2.1]"), None);
    assert_eq!(domain("ada@"), None);
}
