//! `tessera validate`: what can be said of contact data, without a server.
//!
//! Not deliverability: what was only looked at is `unknown` at best.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, Read};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value, json};
use tessera_contact::{
    AddressParts, CheckOptions, Checked, ContactKind, Day, Region, Status, check, check_address,
};
use tessera_mx::{MailServers, domain_to_ask};
use tessera_store::{Clock as _, SystemClock};

use super::import::{CsvRows, Trouble, decode, unpack};
use crate::cli::Global;
use crate::output::{self, Failure};
use crate::settings::Settings;

/// How many values are looked up together.
const LOOKUP_VALUES: usize = 256;

/// `tessera validate`.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// What the values should be: email, phone, name, address, postal_code, date, birth_date, country, language or
    /// currency.
    #[arg(value_parser = kind)]
    kind: ContactKind,
    /// The values; `-` reads one a line from standard input. An address is a JSON object as in Segment's `address` trait.
    #[arg(value_name = "VALUE", required_unless_present = "file")]
    values: Vec<String>,
    /// A CSV file whose column holds the values; `-` is standard input.
    #[arg(long, value_name = "FILE", requires = "column", conflicts_with = "values")]
    file: Option<PathBuf>,
    /// Which column of the file.
    #[arg(long, value_name = "NAME", requires = "file")]
    column: Option<String>,
    /// The country of values that name none, by code or name.
    #[arg(long, value_name = "COUNTRY", value_parser = country)]
    country: Option<Region>,
    /// Ask the DNS whether the domains of e-mail addresses take mail; the setting `contact.mx_lookup` must allow it. Only the
    /// domain leaves the machine.
    #[arg(long)]
    mx: bool,
    /// Print only what is invalid.
    #[arg(long)]
    invalid: bool,
}

fn kind(word: &str) -> Result<ContactKind, String> {
    let known = ContactKind::ALL.map(ContactKind::as_str).join(", ");
    ContactKind::parse(&word.replace('-', "_")).ok_or_else(|| format!("say one of {known}"))
}

fn country(text: &str) -> Result<Region, String> {
    Region::find(text).map_err(|fault| fault.to_string())
}

/// How many values there are of each status.
#[derive(Default)]
struct Counts {
    values: u64,
    valid: u64,
    invalid: u64,
    unknown: u64,
}

impl Validate {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let options = CheckOptions { region: self.country, today: today() };
        let lookup = self.mx.then(|| Lookup::of(global)).transpose()?;
        let mut counts = Counts::default();
        let mut waiting: Vec<(String, Checked)> = Vec::new();
        let mut tell = |waiting: &mut Vec<(String, Checked)>| {
            if let Some(lookup) = lookup.as_ref().filter(|_| self.kind == ContactKind::Email) {
                lookup.refine(waiting);
            }
            for (value, checked) in waiting.drain(..) {
                counts.add(checked.verdict.status);
                if !self.invalid || checked.verdict.status == Status::Invalid {
                    self.print(&value, &checked, global.json);
                }
            }
        };
        // Name servers are asked for many domains at once; without them each value is told as it comes.
        let together = if self.mx { LOOKUP_VALUES } else { 1 };
        let mut each = |value: &str| {
            waiting.push((value.to_owned(), self.check(value, &options)));
            if waiting.len() >= together {
                tell(&mut waiting);
            }
        };
        match &self.file {
            Some(file) => self.column_of(file, &mut each)?,
            None => {
                for value in &self.values {
                    if value == "-" {
                        lines(&mut each)?;
                    } else {
                        each(value);
                    }
                }
            }
        }
        tell(&mut waiting);
        if counts.values != 1 && !global.json {
            let Counts { values, valid, invalid, unknown } = counts;
            output::note(format_args!(
                "{values} values: {valid} valid, {unknown} unknown, {invalid} invalid"
            ));
        }
        Ok(())
    }

    fn check(&self, value: &str, options: &CheckOptions) -> Checked {
        if self.kind == ContactKind::Address
            && let Ok(Value::Object(parts)) = serde_json::from_str(value)
        {
            return check_parts(&parts, options);
        }
        check(self.kind, value, options)
    }

    fn print(&self, value: &str, checked: &Checked, is_json: bool) {
        if is_json {
            let mut line = json!({ "kind": self.kind, "value": value });
            if let (Some(line), Ok(Value::Object(found))) =
                (line.as_object_mut(), serde_json::to_value(checked))
            {
                line.extend(found);
            }
            return output::line(line);
        }
        let form = checked.normalised.as_deref().unwrap_or("-");
        let marks =
            [("disposable", checked.verdict.disposable), ("role_address", checked.verdict.role_address)];
        let marks = marks.iter().filter(|(_, is_marked)| *is_marked).map(|(mark, _)| (*mark).to_owned());
        let details = checked.details.iter().map(|(name, value)| format!("{name}={value}"));
        let rest = marks.chain(details).collect::<Vec<_>>().join(", ");
        let (status, reason) = (checked.verdict.status.as_str(), checked.verdict.reason);
        output::line(format!("{status:8} {reason:24} {form}  {rest}").trim_end());
    }

    /// Every cell of the column; rows that cannot be read are told and passed over.
    fn column_of(&self, file: &PathBuf, each: &mut impl FnMut(&str)) -> anyhow::Result<()> {
        let cannot = || {
            let what = format!("cannot read `{}`", file.display());
            Failure::new("TES-M001", what, "check that the file exists and that this account may read it")
        };
        let input: Box<dyn Read + Send> = match file.to_str() {
            Some("-") => Box::new(std::io::stdin()),
            _ => Box::new(File::open(file).with_context(cannot)?),
        };
        let (input, _, _) = decode(unpack(input).with_context(cannot)?, None).map_err(failure)?;
        let mut rows = CsvRows::new(input, None).map_err(failure)?;
        let wanted = self.column.as_deref().unwrap_or_default();
        let at = rows.columns().iter().position(|name| name == wanted).ok_or_else(|| {
            let what = format!("`{}` has no column `{wanted}`", file.display());
            Failure::new("TES-M004", what, format!("its columns are {}", rows.columns().join(", ")))
        })?;
        while let Some(row) = rows.next().map_err(failure)? {
            match row.content {
                Ok(cells) => each(cells.text_at(at).unwrap_or_default()),
                Err(why) => output::note(format_args!("line {}: {why}", row.line)),
            }
        }
        Ok(())
    }
}

/// Name servers, and a runtime to ask them in.
struct Lookup {
    runtime: tokio::runtime::Runtime,
    servers: MailServers,
}

impl Lookup {
    fn of(global: &Global) -> anyhow::Result<Self> {
        let settings = Settings::read(global.config.as_deref())?;
        let Some(servers) = settings.contact.mail_servers()? else {
            let hint = "set `contact.mx_lookup` to true, in the settings file or as TESSERA_CONTACT__MX_LOOKUP, or leave --mx out";
            return Err(Failure::new("TES-I050", "look-ups of mail servers are off", hint).into());
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, servers })
    }

    fn refine(&self, values: &mut [(String, Checked)]) {
        let domains: BTreeSet<String> =
            values.iter().filter_map(|(_, checked)| domain_to_ask(checked)).collect();
        let found = self.runtime.block_on(self.servers.ask_all(domains));
        for (_, checked) in values {
            if let Some(server) = domain_to_ask(checked).and_then(|domain| found.get(&domain)) {
                checked.verdict = server.refine(checked.verdict);
            }
        }
    }
}

impl Counts {
    fn add(&mut self, status: Status) {
        self.values += 1;
        match status {
            Status::Valid => self.valid += 1,
            Status::Invalid => self.invalid += 1,
            Status::AcceptAll | Status::Unknown => self.unknown += 1,
        }
    }
}

fn lines(each: &mut impl FnMut(&str)) -> anyhow::Result<()> {
    for line in std::io::stdin().lock().lines() {
        each(&line.context("standard input cannot be read as text")?);
    }
    Ok(())
}

fn today() -> Option<Day> {
    let now = SystemClock::new().now().to_string();
    Day::parse(&now, None).ok()
}

fn failure(trouble: Trouble) -> Failure {
    Failure::new(trouble.code, trouble.what, trouble.hint)
}

/// An address whose parts have the names of Segment's `address` trait.
fn check_parts(parts: &Map<String, Value>, options: &CheckOptions) -> Checked {
    let part = |names: &[&str]| {
        let found = names.iter().find_map(|name| parts.get(*name)?.as_str());
        found.unwrap_or_default()
    };
    let parts = AddressParts {
        street: part(&["street"]),
        city: part(&["city"]),
        subdivision: part(&["state"]),
        postal_code: part(&["postalCode", "postal_code"]),
        country: part(&["country"]),
    };
    check_address(&parts, options)
}
