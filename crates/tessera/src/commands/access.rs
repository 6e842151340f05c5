//! `tessera access`. Passwords come from standard input, never from the command line, which others can see.

use std::io::{BufRead as _, IsTerminal as _, stdin};

use anyhow::Context as _;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::{Value, json};

use super::{client, list, print_json, text};
use crate::cli::{Access, Global, GrantArgs};
use crate::client::{Client, encode};
use crate::output;

const ACCOUNTS: &str = "/api/v1/access/accounts";

pub(crate) fn run(global: &Global, command: &Access) -> anyhow::Result<()> {
    let client = client(global)?;
    match command {
        Access::List => show(global, &client.get(ACCOUNTS)?, |answer| {
            list(answer, "accounts").iter().for_each(account);
        }),
        Access::AddToken { name, grant } => {
            let answer = client.put(&path(name), &order("token", grant, None))?;
            show(global, &answer, changed)
        }
        Access::AddPerson { name, grant } => {
            let password = password("password (12 characters or more): ")?;
            let answer = client.put(&path(name), &order("person", grant, Some(&password)))?;
            show(global, &answer, changed)
        }
        Access::Rotate { name } => rotate(global, &client, name),
        Access::Remove { name } => {
            let answer = client.delete(&path(name))?;
            show(global, &answer, |answer| output::line(format_args!("removed: {}", text(answer, "removed"))))
        }
        Access::Whoami => show(global, &client.get("/api/v1/access/whoami")?, who),
        Access::SignIn { name } => {
            let order = json!({"name": name, "password": password("password: ")?});
            let answer = client.post("/api/v1/sign-in", &order)?;
            show(global, &answer, |answer| {
                output::note(format_args!("the session ends at {}", text(answer, "expires_at")));
                output::line(text(answer, "token"));
            })
        }
        Access::SignOut => {
            let answer = client.post("/api/v1/sign-out", &json!({}))?;
            show(global, &answer, |_| output::line("signed out"))
        }
    }
}

fn path(name: &str) -> String {
    format!("{ACCOUNTS}/{}", encode(name))
}

fn order(kind: &str, grant: &GrantArgs, password: Option<&str>) -> Value {
    let mut order = json!({
        "kind": kind,
        "role": grant.role,
        "purposes": grant.purposes,
        "labels": grant.labels,
        "expires_days": grant.expires_days,
    });
    if let (Some(password), Some(order)) = (password, order.as_object_mut()) {
        order.insert("password".to_owned(), password.into());
    }
    order
}

fn rotate(global: &Global, client: &Client, name: &str) -> anyhow::Result<()> {
    let there = client.get(&path(name))?;
    let order = if text(&there, "kind") == "person" {
        json!({ "password": password("new password (12 characters or more): ")? })
    } else {
        json!({})
    };
    show(global, &client.post(&format!("{}/rotate", path(name)), &order)?, changed)
}

fn show(global: &Global, answer: &Value, print: impl Fn(&Value)) -> anyhow::Result<()> {
    if global.json {
        return print_json(answer);
    }
    print(answer);
    Ok(())
}

fn changed(answer: &Value) {
    account(answer.get("account").unwrap_or(&Value::Null));
    match text(answer, "token") {
        "" => {}
        token => output::line(format_args!("token (shown once): {token}")),
    }
}

/// One account as a line.
fn account(account: &Value) {
    let has_expired = account.get("has_expired").and_then(Value::as_bool).unwrap_or_default();
    let end = match (text(account, "expires_at"), has_expired) {
        ("", _) => String::new(),
        (at, true) => format!("  expired {at}"),
        (at, false) => format!("  until {at}"),
    };
    let used = match text(account, "last_used_on") {
        "" => String::new(),
        day => format!("  last used {day}"),
    };
    output::line(format_args!(
        "{}  {}  {}  {}{end}{used}",
        text(account, "name"),
        text(account, "kind"),
        text(account, "role"),
        sight(account)
    ));
}

/// The purposes and labels of an account.
fn sight(account: &Value) -> String {
    let names = |name| {
        let names: Vec<&str> = list(account, name).iter().filter_map(Value::as_str).collect();
        names.join(", ")
    };
    let purposes = match account.get("purposes") {
        Some(Value::Array(purposes)) if purposes.is_empty() => "no purposes".to_owned(),
        Some(Value::Array(_)) => format!("purposes: {}", names("purposes")),
        _ => "all purposes".to_owned(),
    };
    match names("labels").as_str() {
        "" => purposes,
        labels => format!("{purposes}; labels: {labels}"),
    }
}

fn who(answer: &Value) {
    output::line(format_args!("{}  {}  {}", text(answer, "name"), text(answer, "role"), sight(answer)));
    for action in list(answer, "actions") {
        output::line(format_args!("    may {}", action.as_str().unwrap_or_default()));
    }
}

/// A line of standard input; a terminal is asked, and does not show what is typed.
fn password(prompt: &str) -> anyhow::Result<String> {
    let quiet = stdin().is_terminal().then(|| {
        output::prompt(prompt);
        Quiet::start()
    });
    let mut line = String::new();
    let read = stdin().lock().read_line(&mut line);
    if quiet.is_some() {
        output::note("");
    }
    drop(quiet);
    read.context("cannot read the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal that does not show what is typed, until it is dropped.
struct Quiet(Option<Termios>);

impl Quiet {
    fn start() -> Self {
        let Ok(before) = tcgetattr(stdin()) else { return Self(None) };
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        match tcsetattr(stdin(), OptionalActions::Flush, &quiet) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.0
            && let Err(error) = tcsetattr(stdin(), OptionalActions::Flush, before)
        {
            output::note(format_args!("cannot set the terminal back: {error}; `stty echo` does"));
        }
    }
}
