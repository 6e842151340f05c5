//! The commands of the guide run: a page is a script. Not run here: the transcript of the demo.
//!
//! A `yaml` block whose first line is `# PATH`, and a `csv PATH` block, is written to that path; every line of a `console` block that begins
//! with `$ ` is run, `tessera serve` as a server that the rest of the page talks to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::server::{Server, binary, eventually};

fn blocks(page: &str) -> Vec<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide").join(page);
    let text = fs::read_to_string(&path).unwrap();
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(kind)) => open = Some((kind.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some((_, body)), None) => {
                body.push_str(line);
                body.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// Runs a page in the server's folder.
fn run(server: &mut Server, page: &str) {
    for (kind, body) in blocks(page) {
        match kind.as_str() {
            "yaml" => {
                if let Some(path) = body
                    .lines()
                    .next()
                    .and_then(|line| line.strip_prefix("# "))
                    .filter(|p| p.ends_with(".yaml"))
                {
                    let path = server.folder.path().join(path);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, &body).unwrap();
                }
            }
            kind if kind.starts_with("csv ") => {
                fs::write(server.folder.path().join(kind.trim_start_matches("csv ")), &body).unwrap();
            }
            "console" => {
                for line in body.lines().filter_map(|line| line.strip_prefix("$ ")) {
                    command(server, page, line);
                }
            }
            _ => {}
        }
    }
}

fn command(server: &mut Server, page: &str, line: &str) {
    let line = line.replace("http://127.0.0.1:8080", &server.url);
    if line.starts_with("tessera serve") {
        return;
    }
    let is_offline = line.starts_with("tessera verify") || line.starts_with("tessera rebuild");
    if is_offline {
        server.stop();
    }
    let path = std::env::join_paths(
        [bin_folder(server.folder.path())]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    )
    .unwrap();
    let folder = server.folder.path().to_owned();
    let run = || {
        let done = Command::new("bash")
            .args(["-c", &line])
            .current_dir(&folder)
            .env("PATH", &path)
            .output()
            .unwrap();
        let out =
            format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        (done.status.success() && !out.contains("\"code\":"), out)
    };
    if line.starts_with("tessera profile show") {
        // An event is visible some milliseconds after it is acknowledged.
        eventually(&format!("{page}: `{line}`"), || run().0.then_some(()));
    } else {
        let (is_ok, out) = run();
        assert!(is_ok, "{page}: `{line}` failed: {out}");
    }
    if is_offline {
        server.up();
    }
}

/// A folder on the path in which the binary is called `tessera`.
fn bin_folder(folder: &Path) -> PathBuf {
    let bin = folder.join("bin");
    if !bin.exists() {
        fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(binary().canonicalize().unwrap(), bin.join("tessera")).unwrap();
    }
    bin
}

#[test]
fn every_command_of_the_guide_runs() {
    let mut server = Server::start();
    run(&mut server, "getting-started.md");
    run(&mut server, "import-a-file.md");
    run(&mut server, "accounts-and-roles.md");
    run(&mut server, "operate.md");
}

#[test]
fn the_page_on_duplicates_runs_and_finds_them_all() {
    let mut server = Server::start();
    run(&mut server, "find-duplicates.md");
    let told =
        server.run(&["match", "evaluate", "customers.csv", "--id", "id", "--truth", "person", "--json"]).ok();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["clusters"]["f1"], 1.0);
    let told = server
        .run(&["match", "explain", "customers.csv", "c8", "c32", "--id", "id", "--ignore", "person"])
        .ok();
    for words in ["c8  and  c32", "short form of the same name", "one person (one from"] {
        assert!(told.contains(words), "`{words}` is not in: {told}");
    }
    // One by what they are, and not by an identifier.
    let profile = |who: &str| server.run(&["profile", "show", who, "--json"]).ok();
    assert!(profile("customer_id:c8").contains("\"c32\""), "{}", profile("customer_id:c8"));
}

#[test]
fn the_page_on_rejects_runs() {
    let mut server = Server::start();
    for (_, body) in blocks("handle-rejects.md").into_iter().filter(|(kind, _)| kind == "console") {
        for line in body.lines().filter_map(|line| line.strip_prefix("$ ")) {
            if line.starts_with("curl") {
                // It shows an event that is refused in a batch whose other event is not.
                let line = line.replace("http://127.0.0.1:8080", &server.url);
                let done = Command::new("bash").args(["-c", &line]).output().unwrap();
                let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
                assert_eq!(
                    (&answer["accepted"], &answer["rejected"][0]["code"]),
                    (&1.into(), &"TES-I008".into())
                );
            } else {
                command(&mut server, "handle-rejects.md", line);
            }
        }
    }
}

#[test]
fn the_pages_on_consent_and_on_requests_run() {
    let mut server = Server::start();
    run(&mut server, "record-consent.md");
    run(&mut server, "answer-a-data-subject-request.md");
}

#[test]
fn the_page_on_webhooks_runs() {
    let mut server = Server::start();
    for (kind, body) in blocks("send-to-a-webhook.md") {
        if kind == "yaml" && body.starts_with("kind: Destination") {
            server.apply(&format!("{}---\n{body}", crate::server::WORKSPACE));
        }
    }
    run(&mut server, "send-to-a-webhook.md");
}

#[test]
fn the_page_on_purposes_runs() {
    let mut server = Server::start();
    run(&mut server, "declare-a-purpose.md");
    // What the page shows as refused is refused, with these words.
    let blocks = blocks("declare-a-purpose.md");
    let of = |wanted: &str| {
        let found = blocks.iter().filter(|(kind, _)| kind == wanted);
        found.map(|(_, body)| body.clone()).collect::<Vec<String>>()
    };
    let (refused, shown) = (of("yaml refused"), of("text"));
    assert_eq!((refused.len(), shown.len()), (2, 2), "each shows what is printed");
    for (document, shown) in refused.iter().zip(&shown) {
        fs::write(server.folder.path().join("refused.yaml"), document).unwrap();
        let told = server.run(&["apply", "-f", "refused.yaml"]).failed();
        for line in shown.lines() {
            assert!(told.contains(line), "`{line}` is not in: {told}");
        }
    }
}

#[test]
fn the_page_on_labels_and_policies_runs() {
    let mut server = Server::start();
    run(&mut server, "labels-and-policies.md");
    // What the page shows as refused is refused, with these words.
    let refused =
        blocks("labels-and-policies.md").into_iter().find(|(kind, _)| kind == "yaml refused").unwrap().1;
    fs::write(server.folder.path().join("refused.yaml"), refused).unwrap();
    for command in ["diff", "apply"] {
        let told = server.run(&[command, "-f", "refused.yaml"]).failed();
        let shown = blocks("labels-and-policies.md").into_iter().find(|(kind, _)| kind == "text").unwrap().1;
        for line in shown.lines() {
            assert!(told.contains(line), "`{line}` is not in: {told}");
        }
    }
}

#[test]
fn the_page_on_the_golden_record_runs_and_shows_what_the_commands_print() {
    let mut server = Server::start();
    run(&mut server, "golden-record.md");
    let told = server.run(&["profile", "explain", "user_id:ada", "name"]).ok();
    let shown = blocks("golden-record.md").into_iter().rfind(|(kind, _)| kind == "text").unwrap().1;
    for (told, shown) in told.lines().zip(shown.lines()) {
        let parts = |line: &str| line.split(" at ").next().unwrap_or_default().to_owned();
        assert_eq!(parts(told), parts(shown), "{told}");
    }
    assert_eq!(told.lines().count(), shown.lines().count(), "{told}");
}

#[test]
fn the_page_on_queries_runs_and_shows_what_they_answer() {
    let mut server = Server::start();
    run(&mut server, "query-with-sql.md");
    let shown = blocks("query-with-sql.md").into_iter().find(|(kind, _)| kind == "text").unwrap().1;
    let sql = "SELECT properties->>'product' AS product, count(*) AS orders FROM events WHERE event = 'Ordered' GROUP BY 1 ORDER BY 2 DESC, 1";
    // An event is in the lake some seconds after it is acknowledged.
    eventually("the page's answer", || {
        (server.run(&["sql", sql, "--purpose", "analytics"]).ok().trim() == shown.trim()).then_some(())
    });
    let told = server.run(&["sql", "SELECT count(*) AS n FROM events", "--purpose", "news", "--json"]).ok();
    assert_eq!(told.trim(), r#"[{"n":0}]"#, "nobody said yes to news");
    let told = server.run(&["sql", "DROP TABLE events", "--purpose", "analytics"]).failed();
    assert!(told.contains("TES-Q002"), "{told}");
    let evidence = server.run(&["evidence", "export", "-o", "evidence.jsonl"]).ok();
    let evidence =
        format!("{evidence}{}", fs::read_to_string(server.folder.path().join("evidence.jsonl")).unwrap());
    assert!(evidence.contains(r#""what":"a query""#), "every query is on record");
}

#[test]
fn the_page_on_audiences_runs_and_shows_who_enters_and_why() {
    let mut server = Server::start();
    run(&mut server, "audiences.md");
    let told = server.run(&["audience", "list"]).ok();
    let line = |name: &str, rest: &str| {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        told.lines().any(|told| words(told) == format!("{name} {rest}"))
    };
    assert!(line("big-spenders", "audience analytics 1 live"), "{told}");
    assert!(line("lookers", "audience analytics 1 live"), "{told}");
    let entered = || fs::read_to_string(server.data().join("deliveries/shop.jsonl")).unwrap_or_default();
    let entered = eventually("both are told", || Some(entered()).filter(|text| text.lines().count() >= 2));
    assert_eq!(entered.matches("Audience Entered").count(), 2, "{entered}");
    assert!(entered.contains(r#""audience_key":"big-spenders""#), "{entered}");
    // An event is in the lake some seconds after it is acknowledged.
    eventually("the preview", || {
        let told = server.run(&["audience", "preview", "big-spenders", "--exact"]).ok();
        told.contains("members: 1 of 3 people").then_some(())
    });
    let told = server.json(&["audience", "explain", "big-spenders", "user_id:bob"]);
    assert_eq!((&told["is_member"], &told["announced_since"]), (&Value::Bool(false), &Value::Null));
    let parts = told["reason"]["parts"].as_array().unwrap();
    let part = |at: usize| (parts[at]["holds"].as_bool().unwrap(), parts[at]["values"].to_string());
    assert_eq!([part(0), part(1)], [(false, "[1]".to_owned()), (true, "[200]".to_owned())], "{told}");
    assert_eq!(parts[0]["events"][0]["name"], "Order Completed", "{told}");
    assert!(parts[0]["events"][0]["message_id"].is_string(), "{told}");
    let told = server.run(&["audience", "explain", "big-spenders", "user_id:ada"]).ok();
    assert!(told.contains("is a member of big-spenders") && told.contains("(until "), "{told}");
    let told = server.json(&["audience", "overlap", "big-spenders", "lookers", "--exact"]);
    assert_eq!((&told["pairs"][0]["members"]["people"], &told["is_exact"]), (&0.into(), &true.into()));
    let told = server.json(&["audience", "recompute", "lookers"]);
    assert_eq!((&told["agreed"], &told["looked_at"]), (&1.into(), &3.into()), "{told}");
    assert_eq!((&told["only_stream"]["people"], &told["only_batch"]["people"]), (&0.into(), &0.into()));
    let told = server.json(&["audience", "audit", "lookers", "big-spenders"]);
    let lines: Vec<_> = told["audiences"].as_array().unwrap().iter().map(|one| &one["members"]).collect();
    assert_eq!((&told["looked_at"], lines), (&3.into(), vec![&1.into(), &1.into()]), "{told}");
    assert_eq!(told["audiences"][0]["others"], 2, "{told}");
    let exported = fs::read_to_string(server.folder.path().join("big-spenders.csv")).unwrap();
    assert!(
        exported.starts_with("profile_id,since,user_id,spent\r\n") && exported.contains(",ada,"),
        "{exported}"
    );
    let told = server.json(&["audience", "size", "big-spenders", "--days", "3"]);
    let days = told["days"].as_array().unwrap();
    let of = |at: usize| ["entered", "exited", "size"].map(|name| days[at][name].as_u64().unwrap());
    // Midnight may have passed since.
    let sum = |name: &str| days.iter().map(|day| day[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!(
        (days.len(), sum("entered"), sum("exited"), of(0), of(2)[2]),
        (3, 1, 0, [0, 0, 0], 1),
        "{told}"
    );
    for picture in ["overlap.svg", "graph.svg", "size.svg"] {
        assert!(fs::read_to_string(server.folder.path().join(picture)).unwrap().contains("</svg>"));
    }
    let told = server.run(&["evidence", "export", "-o", "evidence.jsonl"]).ok();
    let evidence =
        format!("{told}{}", fs::read_to_string(server.folder.path().join("evidence.jsonl")).unwrap());
    assert!(evidence.contains(r#""what":"audience big-spenders""#), "every export is on record");
    assert!(evidence.contains(r#""what":"an audit of audiences""#), "{evidence}");
    // What is wrong is told with its place, and names that are nearly right.
    let told =
        server.run(&["audience", "preview", "performed Order Completed twice", "--purpose", "analytics"]);
    assert!(told.failed().contains("TES-A021: line 1, column "));
    let told = server.run(&["audience", "show", "big-spender"]).failed();
    assert!(told.contains("TES-A090") && told.contains("did you mean `big-spenders`?"), "{told}");
    let wrong = "kind: Audience\nname: a\npurpose: analytics\nwhen: performed \"Order Complete\"\n";
    fs::write(server.folder.path().join("wrong.yaml"), wrong).unwrap();
    let told = server.run(&["audience", "check", "wrong.yaml"]).ok();
    assert!(told.contains("did you mean `Order Completed`?"), "{told}");
}

#[test]
fn the_page_on_insights_runs_and_shows_what_they_answer() {
    let mut server = Server::start();
    run(&mut server, "insights.md");
    let texts = blocks("insights.md").into_iter().filter(|(kind, _)| kind == "text");
    let shown: Vec<String> = texts.map(|(_, body)| body).collect();
    let times = ["--from", "2026-09-01", "--to", "2026-10-01", "--purpose", "analytics"];
    let funnel = ["insight", "funnel", "Product Viewed", "Product Added", "Order Completed"];
    // An event is in the lake some seconds after it is acknowledged.
    eventually("the page's funnel", || {
        let told = server.run(&[&funnel[..], &times].concat()).ok();
        (told.trim() == shown[0].trim()).then_some(())
    });
    let weeks = ["insight", "retention", "--unit", "week", "--periods", "3"];
    let told = server.run(
        &[&weeks[..], &["--from", "2026-09-01", "--to", "2026-09-28", "--purpose", "analytics"]].concat(),
    );
    assert_eq!(told.ok().trim(), shown[1].trim());
    server.run(&[&funnel[..], &times, &["-o", "shown.svg"]].concat()).ok();
    let picture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/funnel.svg");
    let drawn = fs::read_to_string(server.folder.path().join("shown.svg")).unwrap();
    assert_eq!(drawn, fs::read_to_string(picture).unwrap());
    // A name that nobody has seen, no such form of time, and a condition that is no SQL are told.
    let told = server.run(&[&["insight", "funnel", "Order Complete"], &times[..]].concat()).err;
    assert!(told.contains("near to it: `Order Completed`"), "{told}");
    let told = server.run(&["insight", "paths", "--pause", "soon", "--purpose", "analytics"]).failed();
    assert!(told.contains("TES-Q051") && told.contains("`pause`"), "{told}");
    let told = server.run(&["insight", "paths", "--where", "nonsense(", "--purpose", "analytics"]).failed();
    assert!(told.contains("TES-Q001"), "{told}");
    let told = server.run(&[
        "insight",
        "new-returning",
        "--unit",
        "day",
        "--last",
        "9999d",
        "--purpose",
        "analytics",
    ]);
    assert!(told.failed().contains("more than 400 periods"));
}

#[test]
fn the_page_on_tracking_plans_runs() {
    let mut server = Server::start();
    run(&mut server, "tracking-plans.md");
}

#[test]
fn the_page_on_identity_rules_runs_and_shows_why_a_link_was_refused() {
    let mut server = Server::start();
    run(&mut server, "identity-rules.md");
    let told = server.run(&["profile", "show", "user_id:c4", "--include", "merges"]).ok();
    let shown = blocks("identity-rules.md").into_iter().find(|(kind, _)| kind == "text").unwrap().1;
    for line in shown.lines() {
        let line = line.trim_end_matches(')');
        assert!(told.lines().any(|told| told.starts_with(line)), "`{line}` is not in: {told}");
    }
}

#[test]
fn the_page_on_households_and_accounts_runs_and_shows_who_belongs_together() {
    let mut server = Server::start();
    run(&mut server, "households-and-accounts.md");
    let told = server.run(&["group", "list", "household"]).ok();
    assert!(told.contains("2 members  traits.address, traits.last_name"), "{told}");
    let told = server.run(&["group", "show", "company", "acme.example"]).ok();
    assert_eq!(told.matches("identifier   email:").count(), 2, "{told}");
    let told = server.run(&["group", "show", "company", "B-7"]).ok();
    for words in ["account      plan = \"wholesale\"", "identifier   user_id:bob"] {
        assert!(told.contains(words), "`{words}` is not in: {told}");
    }
}

#[test]
fn the_pages_on_reviewing_and_on_undo_run() {
    run(&mut Server::start(), "review-matches.md");
    run(&mut Server::start(), "undo-a-merge.md");
}

#[test]
fn the_page_on_contact_data_runs_and_shows_raw_and_normalised() {
    let mut server = Server::start();
    run(&mut server, "contact-data.md");
    let told = server.run(&["profile", "show", "user_id:c7", "--include", "contacts"]).ok();
    for line in [
        r#"  contact      ada@xn--bcher-kva.example from "Ada@Bücher.example": unknown, syntax_only"#,
        r#"  contact      +4930123456 from "030 / 123 456": unknown, in_numbering_plan"#,
    ] {
        assert!(told.lines().any(|told| told == line), "`{line}` is not in: {told}");
    }
}

#[test]
fn the_page_on_data_quality_runs() {
    let mut server = Server::start();
    run(&mut server, "data-quality.md");
    let page = fs::read_to_string(server.folder.path().join("quality.html")).unwrap();
    assert!(
        page.contains("<svg") && page.contains("<code>email</code>") && !page.contains("ada.king"),
        "{page}"
    );
    let told = server.run(&["quality", "report", "--source", "crm"]).ok();
    assert!(told.contains("too few to conclude") && told.contains("joined"), "{told}");
    let trend = server.run(&["quality", "trend"]).ok();
    // A heading, the audit that was asked for, and maybe the server's own, which it makes on schedule.
    assert!((2..=3).contains(&trend.lines().count()), "{trend}");
}

#[test]
fn the_page_on_what_if_runs() {
    let mut server = Server::start();
    run(&mut server, "what-if.md");
}

#[test]
fn the_page_on_answering_a_regulator_runs() {
    let mut server = Server::start();
    run(&mut server, "answer-a-regulator.md");
    let page = fs::read_to_string(server.folder.path().join("records.html")).unwrap();
    assert!(page.contains("Shop Ltd") && page.contains("EU (Dublin)"));
}

#[test]
fn the_pages_without_commands_of_their_own_have_none() {
    // `connect-a-segment-client.md` is code for clients, which `clients.rs` runs; `try-the-demo.md` is the demo's own
    // transcript, which `cargo xtask demo` prints.
    assert!(blocks("connect-a-segment-client.md").iter().all(|(kind, _)| kind != "console"));
}
