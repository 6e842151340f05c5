//! `tessera demo`: a shop's year, made from a seed, sent through the real API, and measured against the truth.
//!
//! Not a benchmark: one client sends one batch after another. Invariants: the generator (`year` and what is below it)
//! is pure, and no event carries the person it is about.

mod dice;
mod event;
mod json;
mod load;
mod measure;
mod names;
mod offline;
mod online;
mod person;
mod report;
mod server;
#[cfg(test)]
mod tests;
mod truth;
mod year;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};

use self::load::Loader;
use self::report::{Figures, Sights, Unified};
use self::server::Server;
use self::year::Year;
use crate::cli::Global;
use crate::client::Client;
use crate::output::{self, Failure, count};
use crate::settings::Settings;
use crate::yaml;

const WORKSPACE: &str = include_str!("workspace.yaml");

/// `tessera demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The same seed makes the same year.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// How many people shop there.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) people: u32,
    /// Address and port to serve; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Stop when all is measured.
    #[arg(long)]
    pub(crate) no_serve: bool,
}

/// What a data folder says of the demo that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Marker {
    seed: u64,
    people: u32,
    /// What to look at, once the year is loaded.
    sights: Option<Sights>,
}

impl Demo {
    /// Makes the year, loads it, measures, serves.
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        // A demo never goes where a server's own data would go.
        let folder: &Path =
            if global.data_dir == Path::new("data") { Path::new("demo") } else { &global.data_dir };
        let marker = self.claim(folder)?;
        let mut settings = Settings::read(global.config.as_deref())?;
        settings.server.listen = self.listen;
        let say = |text: String| {
            if !global.json {
                output::line(text);
            }
        };
        let people = count(u64::from(marker.people));
        say(format!("A shop's year, 2025: {people} people, seed {}, in {}", marker.seed, folder.display()));
        let (figures, sights) = match &marker.sights {
            Some(sights) => {
                say("It is loaded already; remove the folder to make another.".to_owned());
                (None, sights.clone())
            }
            None => {
                let (figures, sights) = fill(folder, &settings, &marker)?;
                (Some(figures), sights)
            }
        };
        let server = Server::start(folder, settings)?;
        if let Some(mut figures) = figures {
            // The first server wrote a last checkpoint as it stopped: only now are the sizes those of everything.
            figures.totals = Client::new(folder, None, None)?.get("/api/v1/totals")?;
            if global.json { crate::commands::print_json(&figures.json())? } else { figures.print() }
        }
        if !global.json {
            report::print_sights(&sights, &program(), &folder.display().to_string(), server.url());
        }
        if self.no_serve {
            return server.stop();
        }
        say(format!("\nServing {} until Ctrl-C.", server.url()));
        server.wait()
    }

    /// Makes the folder the demo's, unless it is somebody else's.
    fn claim(&self, folder: &Path) -> anyhow::Result<Marker> {
        let file = marker_file(folder);
        if let Ok(text) = std::fs::read_to_string(&file) {
            let marker: Marker = serde_json::from_str(&text).with_context(|| {
                let what = format!("`{}` cannot be read as what a demo writes", file.display());
                Failure::new("TES-C002", what, "remove the folder, or name another with --data-dir")
            })?;
            if (marker.seed, marker.people) != (self.seed, self.people) {
                let people = count(u64::from(marker.people));
                output::note(format_args!(
                    "the folder holds seed {} with {people} people: that goes on",
                    marker.seed
                ));
            }
            return Ok(marker);
        }
        let is_taken = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        if is_taken {
            let what = format!("`{}` is not empty and was not made by `tessera demo`", folder.display());
            return Err(Failure::new(
                "TES-C002",
                what,
                "name a new folder with --data-dir; nothing was changed",
            )
            .into());
        }
        let marker = Marker { seed: self.seed, people: self.people, sights: None };
        std::fs::create_dir_all(folder).with_context(|| cannot_write(folder))?;
        write_marker(folder, &marker)?;
        Ok(marker)
    }
}

/// Loads the year into the folder, through a server that runs only for that.
fn fill(folder: &Path, settings: &Settings, marker: &Marker) -> anyhow::Result<(Figures, Sights)> {
    let server = Server::start(folder, settings.clone())?;
    let loaded = load(folder, marker);
    let is_interrupted = server.was_interrupted();
    server.stop()?;
    if is_interrupted {
        let hint = "run the same command again: it goes on, and what is there is not counted twice";
        return Err(Failure::new("TES-C006", "interrupted before the year was loaded", hint).into());
    }
    let (figures, sights) = loaded?;
    write_marker(folder, &Marker { sights: Some(sights.clone()), ..marker.clone() })?;
    Ok((figures, sights))
}

/// Applies the workspace, sends the year, reads the profiles back.
fn load(folder: &Path, marker: &Marker) -> anyhow::Result<(Figures, Sights)> {
    let client = Client::new(folder, None, None)?;
    let file = folder.join("workspace.yaml");
    std::fs::write(&file, WORKSPACE).with_context(|| cannot_write(&file))?;
    let documents = yaml::read(&[file])?.documents;
    load::apply(&client, &documents)?;
    let mut loader = Loader::new(&client, &documents);
    let mut year = Year::new(marker.seed, marker.people);
    let bar = load::progress(person::WEEKS)?;
    while let Some(events) = year.week() {
        loader.send(&events)?;
        bar.inc(1);
        bar.set_message(format!("{} events", count(loader.sent.events)));
    }
    bar.finish_and_clear();
    let totals = loader.settle()?;
    let delivered = load::delivered(&client)?;
    let (profiles, read_seconds) = load::read_back(&client)?;
    let unified = Unified::of(year.truth(), &profiles, marker.people);
    let sights = Sights::of(year.truth(), &profiles, &totals);
    Ok((Figures { sent: loader.sent, totals, delivered, unified, read_seconds }, sights))
}

fn marker_file(folder: &Path) -> PathBuf {
    folder.join("demo.json")
}

fn write_marker(folder: &Path, marker: &Marker) -> anyhow::Result<()> {
    let file = marker_file(folder);
    std::fs::write(&file, serde_json::to_string_pretty(marker)?).with_context(|| cannot_write(&file))
}

fn cannot_write(path: &Path) -> Failure {
    let what = format!("cannot write `{}`", path.display());
    Failure::new("TES-C002", what, "name a folder that this account may write to with --data-dir")
}

/// How this program was called, so that what is printed can be copied.
fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    let here = std::env::current_dir().unwrap_or_default();
    let path = Path::new(&called);
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
