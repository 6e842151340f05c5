//! One module for each group of commands.

mod access;
pub(crate) mod audience;
pub(crate) mod consent;
pub(crate) mod demo;
mod destination;
pub(crate) mod docs;
pub(crate) mod dsr;
pub(crate) mod erase;
pub(crate) mod evidence;
pub(crate) mod group;
mod identity;
pub(crate) mod import;
pub(crate) mod insight;
pub(crate) mod lake;
mod live;
pub(crate) mod matching;
pub(crate) mod plan;
mod profile;
mod progress;
pub(crate) mod quality;
mod reject;
pub(crate) mod report;
pub(crate) mod review;
mod simulate;
pub(crate) mod sql;
mod state;
pub(crate) mod undo;
pub(crate) mod validate;
mod workspace;

use crate::cli::{Cli, Command, Global, Serve};
use crate::client::Client;
use crate::output;
use crate::serve::{greet, run as serve_until, signal};
use crate::settings::Settings;

/// Runs one command.
pub(crate) fn run(cli: Cli) -> anyhow::Result<()> {
    let global = cli.global;
    // The demo's transcript is for people; what goes wrong shows all the same.
    start_logging(if matches!(cli.command, Command::Demo(_)) {
        "warn"
    } else {
        "info,fjall=warn,lsm_tree=warn"
    });
    match cli.command {
        Command::Serve(serve) => run_server(&global, &serve),
        Command::Init { folder } => workspace::init(&folder),
        Command::Apply { files, prune } => workspace::apply(&global, &files.files, prune),
        Command::Diff { files, prune } => workspace::diff(&global, &files.files, prune),
        Command::Simulate { files, prune, as_of } => {
            simulate::run(&global, &files.files, prune, as_of.as_deref())
        }
        Command::Export => workspace::export(&global),
        Command::Import(import) => import.run(&global),
        Command::Profile(command) => profile::run(&global, &command),
        Command::Group(command) => command.run(&global),
        Command::Identity(command) => identity::run(&global, &command),
        Command::Review(command) => command.run(&global),
        Command::Undo(command) => command.run(&global),
        Command::Undos(command) => command.run(&global),
        Command::Match(command) => command.run(&global),
        Command::Reject(command) => reject::run(&global, &command),
        Command::Plan(command) => command.run(&global),
        Command::Alert(command) => command.run(&global),
        Command::Live { kind } => live::run(&global, &kind),
        Command::Destination(command) => destination::run(&global, &command),
        Command::Access(command) => access::run(&global, &command),
        Command::Consent(command) => command.run(&global),
        Command::Dsr(command) => command.run(&global),
        Command::Erase(command) => command.run(&global),
        Command::Erasures(command) => command.run(&global),
        Command::Sweep => erase::sweep(&global),
        Command::Evidence(command) => command.run(&global),
        Command::Report(command) => command.run(&global),
        Command::Validate(command) => command.run(&global),
        Command::Quality(command) => command.run(&global),
        Command::Audience(command) => command.run(&global),
        Command::Sql(command) => command.run(&global),
        Command::Lake(command) => command.run(&global),
        Command::Insight(command) => command.run(&global),
        Command::Verify => state::verify(&global),
        Command::Rebuild { repeat_deliveries } => state::rebuild(&global, repeat_deliveries),
        Command::Demo(demo) => demo.run(&global),
        Command::Docs { page } => docs::run(page),
    }
}

fn run_server(global: &Global, serve: &Serve) -> anyhow::Result<()> {
    let mut settings = Settings::read(global.config.as_deref())?;
    if let Some(listen) = serve.listen {
        settings.server.listen = listen;
    }
    serve_until(&global.data_dir, &settings, signal(), |url, data| {
        greet(url, data);
        Ok(())
    })
}

fn start_logging(unless_set: &str) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("TESSERA_LOG_LEVEL").unwrap_or_else(|_| EnvFilter::new(unless_set));
    let is_started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
    if is_started.is_err() {
        output::note("logging was started before");
    }
}

/// A client of the server that the flags name.
pub(crate) fn client(global: &Global) -> anyhow::Result<Client> {
    let client = Client::new(&global.data_dir, global.url.clone(), global.token.clone())?;
    match &global.ca_file {
        None => Ok(client),
        Some(file) => client.trusting(file),
    }
}

/// Prints a value as JSON, for programs.
pub(crate) fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    output::line(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A member of an answer as text, empty when it is not there.
pub(crate) fn text<'a>(value: &'a serde_json::Value, name: &str) -> &'a str {
    value.get(name).and_then(serde_json::Value::as_str).unwrap_or_default()
}

/// A member of an answer as a number, 0 when it is not there.
pub(crate) fn number(value: &serde_json::Value, name: &str) -> u64 {
    value.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default()
}

/// A member of an answer as a list, empty when it is not there.
pub(crate) fn list<'a>(value: &'a serde_json::Value, name: &str) -> &'a [serde_json::Value] {
    value.get(name).and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
