//! Addresses are validated with the DNS where the settings allow it, and only domains leave the machine.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::server::Server;

/// A name server that says of `null.*` that it takes no mail, and of every other domain that there is none. Keeps what it was
/// asked.
fn name_server() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((len, from)) = socket.recv_from(&mut bytes) {
            let question = &bytes[..len];
            heard.lock().unwrap().extend(question);
            // RFC 1035: 12 bytes of header, the labels of the name, an empty one, type and class.
            let name = question[12..].iter().position(|byte| *byte == 0).unwrap();
            let mut answer = question[..12 + name + 5].to_vec();
            let is_null = question[13..].starts_with(b"null");
            answer[2..12].copy_from_slice(&[
                0x81,
                if is_null { 0x80 } else { 0x83 },
                0,
                1,
                0,
                u8::from(is_null),
                0,
                0,
                0,
                0,
            ]);
            if is_null {
                // The name again, MX, IN, 60 seconds, 3 bytes: preference 0 and the root.
                answer.extend([0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 60, 0, 3, 0, 0, 0]);
            }
            socket.send_to(&answer, from).unwrap();
        }
    });
    (at, asked)
}

fn validate(server: &Server, body: &Value) -> (u16, Value) {
    let token = std::fs::read_to_string(server.data().join("admin.token")).unwrap();
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let request = agent.post(format!("{}/api/v1/validate", server.url));
    let mut answer =
        request.header("Authorization", format!("Bearer {}", token.trim())).send(body.to_string()).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_json().unwrap())
}

#[test]
fn a_domain_that_takes_no_mail_makes_an_address_invalid_where_settings_allow_to_ask() {
    let (at, asked) = name_server();
    let allowed = vec![
        ("TESSERA_CONTACT__MX_LOOKUP", "true".to_owned()),
        ("TESSERA_CONTACT__MX_SERVERS", at.to_string()),
    ];
    let server = Server::start_in(tempfile::tempdir().unwrap(), allowed);
    let command = ["validate", "email", "ada@null.example", "ada@nobody.example", "ada@", "--mx"];
    let told = server.run(&command).ok();
    let reasons: Vec<&str> = told.lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(reasons, ["takes_no_mail", "no_such_domain", "no_domain"], "{told}");
    let values =
        json!([{"kind": "email", "value": "grace@null.example"}, {"kind": "name", "value": "Ada King"}]);
    let (status, answer) = validate(&server, &json!({"mx": true, "values": values}));
    assert_eq!((status, &answer["results"][0]["reason"]), (200, &json!("takes_no_mail")), "{answer}");
    let (_, answer) = validate(&server, &json!({"values": values}));
    assert_eq!(answer["results"][0]["reason"], "syntax_only", "who does not ask is not told");
    let asked = asked.lock().unwrap();
    let holds = |text: &[u8]| asked.windows(text.len()).any(|part| part == text);
    assert!(holds(b"null") && !holds(b"ada") && !holds(b"grace"), "only the domain leaves the machine");
}

#[test]
fn nobody_is_asked_unless_the_settings_allow_it() {
    let server = Server::start();
    let told = server.run(&["validate", "email", "ada@null.example", "--mx"]).failed();
    assert!(told.contains("TES-I050") && told.contains("contact.mx_lookup"), "{told}");
    let (status, answer) =
        validate(&server, &json!({"mx": true, "values": [{"kind": "email", "value": "ada@null.example"}]}));
    assert_eq!((status, &answer["code"]), (409, &json!("TES-I050")));
}
