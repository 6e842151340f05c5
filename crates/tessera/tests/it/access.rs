//! Accounts and HTTPS, by the real binary.

use std::fs;
use std::path::Path;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::Value;

use crate::server::{Server, eventually, tessera};

const PASSWORD: &str = "correct horse battery staple\n";

/// Writes a certificate for this machine, and its key.
fn certify(folder: &Path) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    fs::write(folder.join("server.pem"), cert.pem()).unwrap();
    fs::write(folder.join("server.key"), signing_key.serialize_pem()).unwrap();
}

fn token(printed: &str) -> String {
    let line = printed.lines().find_map(|line| line.strip_prefix("token (shown once): "));
    line.unwrap_or_else(|| panic!("no token in {printed}")).to_owned()
}

#[test]
fn accounts_outlive_a_restart_and_a_rebuild_and_sessions_do_not() {
    let mut server = Server::start();
    let add = ["access", "add-token", "report", "--role", "analyst", "--purpose", "service"];
    let report = token(&server.run(&add).ok());
    server.feed(&["access", "add-person", "ada", "--role", "auditor"], PASSWORD).ok();
    let sign_in =
        |server: &Server| server.feed(&["access", "sign-in", "ada"], PASSWORD).ok().trim().to_owned();
    let session = sign_in(&server);
    let role = |server: &Server, token: &str| -> Option<String> {
        let printed = server.run(&["access", "whoami", "--json", "--token", token]);
        let answer: Value = serde_json::from_str(&printed.out).ok()?;
        Some(answer["role"].as_str().unwrap().to_owned())
    };
    assert_eq!(role(&server, &report).unwrap(), "analyst");
    assert_eq!(role(&server, &session).unwrap(), "auditor");
    server.stop();
    server.up();
    assert_eq!(role(&server, &report).unwrap(), "analyst");
    assert_eq!(role(&server, &session), None);
    assert_eq!(role(&server, &sign_in(&server)).unwrap(), "auditor");
    server.kill();
    server.run(&["verify"]).ok();
    server.run(&["rebuild"]).ok();
    server.up();
    assert_eq!(role(&server, &report).unwrap(), "analyst");
    let list = server.run(&["access", "list"]).ok();
    assert!(list.contains("report  token  analyst  purposes: service"), "{list}");
    assert!(list.contains("ada  person  auditor  no purposes"), "{list}");

    let refused = server.run(&["export", "--token", &sign_in(&server)]).ok();
    assert!(!refused.contains("web-write-key"), "{refused}");
    let refused = server.run(&["reject", "list", "--token", &report]).failed();
    assert!(refused.contains("TES-A002") && refused.contains("hint:"), "{refused}");
    let rotated = token(&server.run(&["access", "rotate", "report"]).ok());
    assert_eq!((role(&server, &report), role(&server, &rotated).unwrap()), (None, "analyst".to_owned()));
    server.run(&["access", "remove", "report"]).ok();
    assert_eq!(role(&server, &rotated), None);
    assert!(server.run(&["access", "remove", "report"]).failed().contains("TES-A007"));
    let printed = server.feed(&["access", "add-person", "eve", "--role", "admin"], "short\n").failed();
    assert!(printed.contains("TES-A006"), "{printed}");
    let log = server.log();
    for secret in [report.as_str(), rotated.as_str(), session.as_str(), PASSWORD.trim()] {
        assert!(!log.contains(secret));
    }
}

#[test]
fn a_command_that_comes_too_fast_waits_and_asks_again() {
    let environment = vec![
        ("TESSERA_ACCESS__REQUESTS_PER_SECOND", "2".to_owned()),
        ("TESSERA_ACCESS__BURST", "1".to_owned()),
    ];
    let server = Server::start_in(tempfile::tempdir().unwrap(), environment);
    let report = token(&server.run(&["access", "add-token", "report", "--role", "analyst"]).ok());
    for _ in 0..3 {
        server.run(&["access", "whoami", "--token", &report]).ok();
    }
    // So fast that some had to wait: asked without waiting, one of so many is refused.
    let statuses = (0..20).map(|_| {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let asked = config.new_agent().get(format!("{}/api/v1/access/whoami", server.url));
        asked.header("Authorization", format!("Bearer {report}")).call().unwrap().status().as_u16()
    });
    assert!(statuses.collect::<Vec<_>>().contains(&429));
}

#[test]
fn no_credential_is_anywhere_in_the_data_folder() {
    let server = Server::start();
    let secret = token(&server.run(&["access", "add-token", "report", "--role", "analyst"]).ok());
    server.feed(&["access", "add-person", "ada", "--role", "auditor"], PASSWORD).ok();
    let mut folders = vec![server.data()];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let content = fs::read(&path).unwrap();
            bytes += content.len();
            for wanted in [secret.as_bytes(), PASSWORD.trim().as_bytes()] {
                assert!(!content.windows(wanted.len()).any(|window| window == wanted), "{}", path.display());
            }
        }
    }
    assert!(bytes > 100, "something was searched");
}

#[test]
fn commands_talk_https_and_see_a_renewed_certificate() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let environment = vec![
        ("TESSERA_SERVER__TLS_CERTIFICATE", "server.pem".to_owned()),
        ("TESSERA_SERVER__TLS_KEY", "server.key".to_owned()),
        ("TESSERA_CA_FILE", "server.pem".to_owned()),
    ];
    let server = Server::start_in(folder, environment);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    let path = server.folder.path().to_owned();
    server.run(&["access", "whoami"]).ok();
    let distrusted = tessera(&["access", "whoami"], &path).failed();
    assert!(distrusted.contains("TES-C006") && distrusted.contains("--ca-file"), "{distrusted}");
    let plain = tessera(&["access", "whoami", "--url", &server.url.replace("https", "http")], &path).failed();
    assert!(plain.contains("TES-C006"), "{plain}");
    fs::write(path.join("nothing.pem"), "nothing").unwrap();
    for file in ["nothing.pem", "missing.pem"] {
        let failed = tessera(&["access", "whoami", "--ca-file", file], &path).failed();
        assert!(failed.contains("TES-C013"), "{failed}");
    }

    fs::copy(path.join("server.pem"), path.join("old.pem")).unwrap();
    certify(&path);
    let trusts = |file: &str| tessera(&["access", "whoami", "--ca-file", file], &path).is_ok;
    assert!(trusts("old.pem") && !trusts("server.pem"));
    server.signal("HUP");
    eventually("the renewed certificate is served", || trusts("server.pem").then_some(()));
    assert!(!trusts("old.pem"));
}

#[test]
fn a_certificate_that_cannot_be_served_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let start = |certificate: &str, key: &str| {
        let settings = format!(
            "[server]\ntls_certificate = {certificate:?}\ntls_key = {key:?}\nlisten = \"127.0.0.1:0\"\n"
        );
        fs::write(folder.path().join("tessera.toml"), settings).unwrap();
        tessera(&["serve", "--config", "tessera.toml"], folder.path()).failed()
    };
    for (certificate, key, code) in [
        ("server.pem", "missing.key", "TES-C011"),
        ("missing.pem", "server.key", "TES-C011"),
        ("server.key", "server.pem", "TES-C011"),
        ("server.pem", "", "TES-C001"),
    ] {
        let printed = start(certificate, key);
        assert!(printed.contains(code) && printed.contains("hint:"), "{certificate} {key}: {printed}");
    }
    fs::rename(folder.path().join("server.pem"), folder.path().join("first.pem")).unwrap();
    certify(folder.path());
    assert!(start("first.pem", "server.key").contains("TES-C012"));
}
