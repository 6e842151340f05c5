//! `tessera identity`.

use super::{client, list, number, print_json, text};
use crate::cli::{Global, Identity};
use crate::output;

pub(crate) fn run(global: &Global, command: &Identity) -> anyhow::Result<()> {
    let Identity::Shared { limit } = command;
    let answer = client(global)?.get(&format!("/api/v1/identity/shared?limit={limit}"))?;
    if global.json {
        return print_json(&answer);
    }
    for one in list(&answer, "shared") {
        let stood_with = output::count(number(one, "stood_with"));
        output::line(format_args!(
            "{}  {}  stood with {stood_with} identifiers",
            text(one, "fragment"),
            text(one, "namespace"),
        ));
    }
    output::line(format_args!("{} in all", output::count(number(&answer, "total"))));
    Ok(())
}
