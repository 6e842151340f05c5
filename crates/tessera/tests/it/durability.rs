//! What was acknowledged stays, through kills, corruption and full disks.

use std::fs;
use std::os::unix::fs::FileExt;

use serde_json::{Value, json};

use crate::server::{Server, tessera};

fn count(profile: &Value) -> u64 {
    profile["event_counts"]["Bought"]["count"].as_u64().unwrap_or_default()
}

fn buy(server: &Server, from: u64, upto: u64) {
    for n in from..upto {
        server.send("/v1/track", &json!({"userId": "u1", "event": "Bought", "messageId": format!("m{n}")}));
    }
}

#[test]
fn kill_9_loses_nothing_acknowledged_and_counts_nothing_twice() {
    let mut server = Server::start();
    for round in 0..5 {
        buy(&server, round * 20, round * 20 + 20);
        server.kill();
        server.up();
        // A client that got no answer sends again.
        buy(&server, round * 20 + 10, round * 20 + 20);
    }
    assert_eq!(count(&server.profile("user_id:u1", |p| count(p) >= 100)), 100);
    server.stop();
    assert!(server.run(&["verify"]).ok().starts_with("verified: "));
}

#[test]
fn a_server_stopped_as_soon_as_it_serves_ends_well() {
    let mut server = Server::start();
    for _ in 0..8 {
        server.stop();
        server.up();
    }
}

#[test]
fn a_lost_or_corrupt_store_is_made_anew_from_the_log() {
    let mut server = Server::start();
    buy(&server, 0, 30);
    let before = server.profile("user_id:u1", |p| count(p) == 30);
    server.stop();
    fs::remove_dir_all(server.data().join("store")).unwrap();
    assert!(server.run(&["rebuild"]).ok().starts_with("rebuilt: "));
    server.up();
    assert_eq!(server.profile("user_id:u1", |_| true), before);
    server.stop();
    for file in fs::read_dir(server.data().join("store")).unwrap() {
        let file = file.unwrap().path();
        if file.is_file() {
            fs::write(file, "nonsense").unwrap();
        }
    }
    let refused = server.run(&["serve", "--listen", "127.0.0.1:0"]).failed();
    assert!(refused.contains("TES-S012") && refused.contains("tessera rebuild"), "{refused}");
    server.run(&["rebuild"]).ok();
    server.up();
    assert_eq!(server.profile("user_id:u1", |_| true), before);
}

#[test]
fn corruption_in_the_middle_of_the_log_names_file_and_offset() {
    let mut server = Server::start();
    buy(&server, 0, 50);
    server.profile("user_id:u1", |p| count(p) == 50);
    server.stop();
    let segment = server.data().join("log").join("00000000000000000000.seg");
    let file = fs::File::options().write(true).open(&segment).unwrap();
    let middle = fs::metadata(&segment).unwrap().len() / 2;
    file.write_at(b"!!!!", middle).unwrap();
    let refused = server.run(&["serve", "--listen", "127.0.0.1:0"]).failed();
    assert!(refused.contains("TES-S003"), "{refused}");
    assert!(refused.contains("00000000000000000000.seg") && refused.contains("at byte"), "{refused}");
}

#[test]
fn a_folder_of_a_newer_version_is_refused_in_words() {
    let mut server = Server::start();
    server.stop();
    let format = server.data().join("store").join("FORMAT");
    let text = fs::read_to_string(&format).unwrap().replace('1', "99");
    fs::write(&format, text).unwrap();
    let refused = server.run(&["serve", "--listen", "127.0.0.1:0"]).failed();
    assert!(refused.contains("TES-S013") && refused.contains("99"), "{refused}");
}

#[test]
fn two_servers_cannot_share_a_folder() {
    let server = Server::start();
    let refused = server.run(&["serve", "--listen", "127.0.0.1:0"]).failed();
    assert!(refused.contains("TES-S005") && refused.contains("in use"), "{refused}");
}

#[test]
fn a_missing_hash_key_beside_a_log_is_refused() {
    let mut server = Server::start();
    server.stop();
    fs::remove_file(server.data().join("hash.key")).unwrap();
    let refused = server.run(&["serve", "--listen", "127.0.0.1:0"]).failed();
    assert!(refused.contains("TES-C003"), "{refused}");
}

#[test]
fn a_folder_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let refused = tessera(&["serve", "--data-dir", "/proc/tessera"], folder.path()).failed();
    assert!(refused.contains("TES-C002") && refused.contains("/proc/tessera"), "{refused}");
}

/// A file system of 24 MiB in a mount namespace of its own, filled to the brim under a running server.
#[test]
fn a_full_disk_is_answered_503_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        r#"set -e
mount -t tmpfs -o size=24m tmpfs {folder}
cd {folder}
printf '%s' "$WORKSPACE" > w.yaml
$BIN serve --listen 127.0.0.1:0 > out 2> err &
server=$!
for i in $(seq 300); do [ -s data/server.url ] && break; sleep 0.1; done
url=$(cat data/server.url)
$BIN apply -f w.yaml > /dev/null
send() {{ curl -s -o answer -w '%{{http_code}}' -H 'X-Write-Key: web-write-key' "$url/v1/track" -d "$1"; }}
[ "$(send '{{"userId":"u1","event":"Bought","messageId":"before"}}')" = 200 ]
dd if=/dev/zero of=ballast bs=64k 2> /dev/null || true
status=200
for i in $(seq 200); do
  status=$(send "{{\"userId\":\"u2\",\"event\":\"Bought\",\"messageId\":\"full-$i\",\"properties\":{{\"pad\":\"$(head -c 20000 /dev/zero | tr '\0' x)\"}}}}")
  [ "$status" = 200 ] || break
done
echo "full: $status $(cat answer)"
rm ballast
for i in $(seq 100); do
  status=$(send '{{"userId":"u1","event":"Bought","messageId":"after"}}')
  [ "$status" = 200 ] && break
  sleep 0.1
done
echo "after: $status"
kill -9 $server
wait $server || true
$BIN serve --listen 127.0.0.1:0 > out 2>> err &
server=$!
for i in $(seq 300); do [ "$(cat data/server.url)" != "$url" ] && break; sleep 0.1; done
$BIN profile show user_id:u1 --include events
kill $server
wait $server
"#,
        folder = folder.path().display()
    );
    let done = std::process::Command::new("unshare")
        .args(["--map-root-user", "--mount", "bash", "-c", &script])
        .env("BIN", crate::server::binary().canonicalize().unwrap())
        .env("WORKSPACE", crate::server::WORKSPACE)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}");
    assert!(out.contains("full: 503") && out.contains("TES-S001"), "{out}\n{err}");
    assert!(out.contains("after: 200"), "{out}\n{err}");
    assert!(out.contains("Bought: 2 times"), "{out}\n{err}");
}
