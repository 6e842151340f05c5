//! `tessera destination`.

use serde_json::json;

use super::{client, list, number, print_json, text};
use crate::cli::{Destination, Global};
use crate::client::encode;
use crate::output;

pub(crate) fn run(global: &Global, command: &Destination) -> anyhow::Result<()> {
    let client = client(global)?;
    match command {
        Destination::List => {
            let answer = client.get("/api/v1/destinations")?;
            if global.json {
                return print_json(&answer);
            }
            for destination in list(&answer, "destinations") {
                output::line(format_args!(
                    "{}  {}  {}: {} waiting, {} delivered, {} denied, {} dead letters",
                    text(destination, "name"),
                    text(destination, "connector"),
                    text(destination, "purpose"),
                    output::count(number(destination, "waiting")),
                    output::count(number(destination, "delivered")),
                    output::count(number(destination, "denied")),
                    output::count(number(destination, "dead_letters"))
                ));
                if !text(destination, "trouble").is_empty() {
                    output::line(format_args!("    trouble: {}", text(destination, "trouble")));
                }
            }
            Ok(())
        }
        Destination::DeadLetters { name, limit } => {
            let answer =
                client.get(&format!("/api/v1/destinations/{}/dead-letters?limit={limit}", encode(name)))?;
            if global.json {
                return print_json(&answer);
            }
            for letter in list(&answer, "dead_letters") {
                let cells = ["at", "source", "call", "message_id", "reason"].map(|name| text(letter, name));
                output::line(cells.join("  "));
            }
            Ok(())
        }
        Destination::Replay { name } => {
            let answer = client.post(&format!("/api/v1/destinations/{}/replay", encode(name)), &json!({}))?;
            if global.json {
                return print_json(&answer);
            }
            output::line(format_args!(
                "trying {} dead letters again",
                output::count(number(&answer, "replayed"))
            ));
            Ok(())
        }
    }
}
