//! What the rules of identity and the matcher cost the spine: the same load without them and with them, in turns.

use std::path::Path;

use anyhow::Result;

use super::Arguments;
use crate::bench::figures::{Figures, parse};
use crate::bench::server::{Server, WRITE_KEY};

/// A matcher over what the load brings: user ids that are all different, and a name and a city that all share.
const RULES: &str = "\
---
kind: Namespace
name: loyalty_card
priority: 40
limit: 2
blocked: ['^0+$']
---
kind: Matcher
name: people
purpose: service
columns:
  user: identifiers.user_id
  name: traits.name
  city: traits.city
";

pub(super) fn measure(arguments: &Arguments, bin: &Path, sim: &Path, figures: &mut Figures) -> Result<()> {
    let (profiles, seconds) = (arguments.profiles.to_string(), arguments.seconds.to_string());
    let plain = format!(
        "kind: Purpose\nname: service\nbasis: contract\n---\nkind: Source\nname: load\nwrite_key: {WRITE_KEY}\npurposes: [service]\n"
    );
    let mut rates = [0.0_f64; 2];
    for (name, workspace, rate) in
        [("plain", plain.clone(), 0_usize), ("ruled", format!("{plain}{RULES}"), 1)]
    {
        figures.say(&format!("\nthe spine, {name}: {profiles} profiles, {seconds} s"));
        let folder = arguments.folder.join("spine");
        // What a run that failed has left would make repeats of all that is sent.
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let server = Server::start_with(bin, &folder, None, &workspace)?;
        server.load(sim, &["fill", "--profiles", &profiles])?;
        server.settle()?;
        let before = server.usage()?;
        let printed = server.load(sim, &["ingest", "--profiles", &profiles, "--seconds", &seconds])?;
        let after = server.usage()?;
        let measured = parse(&printed)?;
        let value = |name: &str| measured.iter().find(|figure| figure.name == name).map(|found| found.value);
        let events = value("ingest_events").unwrap_or(1.0);
        let reached = value("ingest_events_per_s").unwrap_or_default();
        figures.add(&format!("{name}_events_per_s"), reached, "events/s");
        let cost = (after.cpu_seconds - before.cpu_seconds) * 1e6 / events;
        figures.add(&format!("{name}_cpu_us_per_event"), cost, "µs");
        figures.add(&format!("{name}_resident_mib"), after.resident_mib, "MiB");
        if let Some(slot) = rates.get_mut(rate) {
            *slot = reached;
        }
        server.stop()?;
        std::fs::remove_dir_all(&folder)?;
    }
    let [plain, ruled] = rates;
    figures.add("rules_cost_pct", 100.0 * (1.0 - ruled / plain), "%");
    Ok(())
}
