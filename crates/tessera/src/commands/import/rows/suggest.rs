//! A first mapping, guessed from the header and the first rows. A person corrects it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::time::{TimeForm, read_date};
use super::{Cells, Reader, Trouble};

const ROWS: usize = 1_000;
const DISTINCT_MAX: usize = 2_000;
const DATES: [&str; 6] = ["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y"];
const TIMES: [&str; 3] = ["", " %H:%M:%S", " %H:%M"];

/// Reads up to 1,000 rows and writes a mapping as YAML.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn suggest(reader: &mut Reader) -> Result<String, Trouble> {
    let mut table = Table::default();
    for column in reader.columns().unwrap_or_default() {
        table.column(column);
    }
    let mut rows = 0;
    while rows < ROWS
        && let Some(row) = reader.next()?
    {
        rows += 1;
        match row.content {
            Ok(Cells::Text { text, ends }) => {
                let mut start = 0;
                for (i, &end) in ends.iter().enumerate() {
                    if let Some(column) = table.columns.get_mut(i) {
                        column.add(text.get(start..end).unwrap_or_default());
                    }
                    start = end;
                }
            }
            Ok(Cells::Json(raw)) => {
                if let Ok(value) = serde_json::from_str::<Value>(raw.get()) {
                    table.add_json("", &value);
                }
            }
            Err(_) => {}
        }
    }
    Ok(table.guess().write(rows))
}

#[derive(Default)]
struct Table {
    columns: Vec<Column>,
    places: BTreeMap<String, usize>,
}

#[derive(Default)]
struct Column {
    name: String,
    /// Cells that are not blank, the first of each value.
    distinct: BTreeSet<String>,
    filled: usize,
    is_typed: bool,
}

impl Column {
    fn add(&mut self, text: &str) {
        let text = text.trim();
        if !text.is_empty() {
            self.filled += 1;
            if self.distinct.len() < DISTINCT_MAX {
                self.distinct.insert(text.to_owned());
            }
        }
    }

    fn all(&self, is: impl Fn(&str) -> bool) -> bool {
        !self.distinct.is_empty() && self.distinct.iter().all(|text| is(text))
    }

    fn most(&self, is: impl Fn(&str) -> bool) -> bool {
        let found = self.distinct.iter().filter(|text| is(text)).count();
        found > 0 && found * 10 >= self.distinct.len() * 9
    }

    fn is_named(&self, parts: &[&str]) -> bool {
        let name = self.name.to_lowercase();
        parts.iter().any(|part| name.contains(part))
    }

    fn is_unique(&self) -> bool {
        self.filled > 0 && self.distinct.len() == self.filled
    }

    fn is_email(&self) -> bool {
        self.most(|text| {
            text.split_once('@').is_some_and(|(a, b)| !a.is_empty() && b.contains('.')) && !text.contains(' ')
        })
    }

    fn is_phone(&self) -> bool {
        let is_phone = |text: &str| {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            (6..=15).contains(&digits) && text.chars().all(|c| c.is_ascii_digit() || " +()-/.".contains(c))
        };
        self.most(is_phone)
            && (self.is_named(&["phone", "tel", "mobil", "handy"]) || self.most(|text| text.starts_with('+')))
    }

    /// Named like an id, and different in every row.
    fn is_id(&self) -> bool {
        let name = self.name.to_lowercase();
        let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
        let is_named = words
            .iter()
            .any(|word| ["id", "no", "nr", "key", "uuid", "number", "nummer", "kundennummer"].contains(word))
            || self.name.ends_with("Id")
            || name.ends_with("nr")
            || self.name.ends_with("ID")
            || self.is_named(&["nummer", "number"]);
        is_named && self.is_unique() && !self.is_email() && !self.is_phone()
    }

    /// The type and what goes with it, as the inside of a YAML flow mapping.
    fn kind(&self) -> Option<String> {
        if self.is_typed || self.distinct.is_empty() {
            return None;
        }
        if let Some(time) = self.time() {
            return Some(time);
        }
        let is_word =
            |words: &'static [&'static str]| move |text: &str| words.contains(&text.to_lowercase().as_str());
        if self.distinct.len() <= 2 && self.all(is_word(&["true", "false", "yes", "no", "y", "n"])) {
            return Some("type: boolean".to_owned());
        }
        // A leading zero or plus is part of a code or a phone number, not of an amount.
        let is_code = |text: &str| {
            text.len() > 1
                && text.starts_with(['0', '+'])
                && !text.starts_with("0.")
                && !text.starts_with("0,")
        };
        if self.distinct.iter().any(|text| is_code(text)) {
            return None;
        }
        if self.all(|text| text.parse::<i64>().is_ok()) {
            return Some("type: integer".to_owned());
        }
        let is_number = |text: &str| text.parse::<f64>().is_ok_and(f64::is_finite);
        if self.all(is_number) {
            return Some("type: number".to_owned());
        }
        let comma = |text: &str| is_number(&text.replace('.', "").replace(',', "."));
        if self.all(comma) {
            let thousands =
                if self.distinct.iter().any(|text| text.contains('.')) { ", thousands: \".\"" } else { "" };
            return Some(format!("type: number, decimal: \",\"{thousands}"));
        }
        self.all(|text| is_number(&text.replace(',', "")))
            .then(|| "type: number, thousands: \",\"".to_owned())
    }

    fn time(&self) -> Option<String> {
        if self.all(|text| TimeForm::Iso(None).read(text).is_some()) {
            return Some("type: timestamp".to_owned());
        }
        for date in DATES {
            for time in TIMES {
                let format = format!("{date}{time}");
                let zone = Some(jiff::tz::TimeZone::UTC);
                let form = TimeForm::Format(format.clone(), zone);
                if time.is_empty() && self.all(|text| read_date(Some(date), text).is_some()) {
                    return Some(match date {
                        "%Y-%m-%d" => "type: date".to_owned(),
                        _ => format!("type: date, format: \"{format}\""),
                    });
                }
                if !time.is_empty() && self.all(|text| form.read(text).is_some()) {
                    return Some(format!("type: timestamp, format: \"{format}\", zone: UTC"));
                }
            }
        }
        None
    }
}

impl Table {
    fn column(&mut self, name: &str) -> usize {
        let next = self.columns.len();
        let place = *self.places.entry(name.to_owned()).or_insert(next);
        // An unnamed column, or a second of the same name, keeps its place in the row but cannot be mapped.
        if place == next || self.columns.len() < self.places.len() {
            self.columns.push(Column { name: name.to_owned(), ..Column::default() });
        }
        place
    }

    fn add_json(&mut self, prefix: &str, value: &Value) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            if value.is_object() {
                self.add_json(&path, value);
                continue;
            }
            let place = self.column(&path);
            let Some(column) = self.columns.get_mut(place) else { continue };
            match value {
                Value::Null => {}
                Value::String(text) => column.add(text),
                other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    column.is_typed = true;
                    column.add(&other.to_string());
                }
            }
        }
    }

    /// Which column is what.
    fn guess(&self) -> Guess<'_> {
        let named: Vec<&Column> = self.columns.iter().filter(|column| !column.name.is_empty()).collect();
        let find = |is: &dyn Fn(&Column) -> bool| {
            named.iter().copied().find(|column| !column.distinct.is_empty() && is(column))
        };
        let names = ["event", "event_name", "event name", "eventname"];
        let event = find(&|column| names.contains(&column.name.to_lowercase().as_str()));
        let is_user = |column: &Column| {
            column.is_named(&["user", "customer", "kunde", "client", "contact", "member", "person"])
                && column.is_named(&["id"])
        };
        let found = [
            ("anonymous_id", find(&|column| column.is_named(&["anonymous", "cookie", "device"]))),
            ("email", find(&Column::is_email)),
            ("phone", find(&Column::is_phone)),
            // A row of a table of events has an id of its own, which is nobody's.
            ("user_id", if event.is_some() { find(&is_user) } else { find(&Column::is_id) }),
        ];
        let mut ids: Vec<(&'static str, &Column)> = Vec::new();
        for (namespace, column) in found {
            if let Some(column) =
                column.filter(|column| !ids.iter().any(|(_, taken)| taken.name == column.name))
            {
                ids.push((namespace, column));
            }
        }
        let timestamp = find(&|column| {
            let words = ["updated", "changed", "modified", "timestamp", "created", "erstellt", "geändert"];
            column.kind().is_some_and(|kind| kind.starts_with("type: timestamp"))
                && (event.is_some() || column.is_named(&words))
        });
        Guess { named, event, ids, timestamp }
    }
}

struct Guess<'a> {
    named: Vec<&'a Column>,
    event: Option<&'a Column>,
    ids: Vec<(&'static str, &'a Column)>,
    timestamp: Option<&'a Column>,
}

impl Guess<'_> {
    fn write(&self, rows: usize) -> String {
        let mut lines = vec![
            format!("# Guessed from {rows} rows. Check every line; then try it:"),
            "# tessera import FILE --mapping THIS_FILE --dry-run".to_owned(),
            "kind: Mapping".to_owned(),
        ];
        match self.event {
            Some(column) => lines.push(format!("call: track\nevent_column: {}", quoted(&column.name))),
            None => lines.push("call: identify".to_owned()),
        }
        if self.ids.is_empty() {
            lines.push(
                "# No column looks like an id, an e-mail address or a phone number: name one.".to_owned(),
            );
            lines.push("identifiers: {}".to_owned());
        } else {
            lines.push("identifiers:".to_owned());
        }
        lines.extend(
            self.ids.iter().map(|(namespace, column)| format!("  {namespace}: {}", quoted(&column.name))),
        );
        if let Some(column) = self.timestamp {
            let form = column.kind().unwrap_or_default().replace("type: timestamp", "");
            lines.push(format!("timestamp: {{column: {}{form}}}", quoted(&column.name)));
        }
        self.write_members(&mut lines);
        let words = ["newsletter", "consent", "opt-in", "optin", "opt_in", "einwilligung"];
        for column in self.named.iter().filter(|column| column.is_named(&words)) {
            let found: Vec<String> = column.distinct.iter().take(4).map(|word| quoted(word)).collect();
            lines.push(format!("# This may be a consent; sort its words ({}):", found.join(", ")));
            lines.push(format!(
                "# consent: {{marketing.email: {{column: {}, given: [], refused: []}}}}",
                quoted(&column.name)
            ));
        }
        lines.join("\n")
    }

    fn write_members(&self, lines: &mut Vec<String>) {
        let mut names = BTreeSet::new();
        let mut members = Vec::new();
        for column in &self.named {
            let is_it = |other: &Column| other.name == column.name;
            // E-mail addresses and phone numbers are worth having as traits, too; other ids are not.
            let is_id =
                self.ids.iter().any(|(namespace, id)| is_it(id) && !matches!(*namespace, "email" | "phone"));
            if is_id || self.timestamp.is_some_and(is_it) || self.event.is_some_and(is_it) {
                continue;
            }
            let mut name = trait_name(column, &self.ids);
            while !names.insert(name.clone()) {
                name.push('_');
            }
            members.push(match column.kind() {
                Some(kind) => format!("  {}: {{column: {}, {kind}}}", quoted(&name), quoted(&column.name)),
                None => format!("  {}: {}", quoted(&name), quoted(&column.name)),
            });
        }
        let field = if self.event.is_some() { "properties" } else { "traits" };
        lines.push(if members.is_empty() { format!("{field}: {{}}") } else { format!("{field}:") });
        lines.append(&mut members);
    }
}

fn trait_name(column: &Column, ids: &[(&str, &Column)]) -> String {
    if let Some((namespace, _)) = ids.iter().find(|(_, taken)| taken.name == column.name) {
        return (*namespace).to_owned();
    }
    let mut name = String::new();
    let mut was_lower = false;
    for c in column.name.chars() {
        if c.is_alphanumeric() {
            if c.is_uppercase() && was_lower {
                name.push('_');
            }
            name.extend(c.to_lowercase());
            was_lower = c.is_lowercase();
        } else if !name.ends_with('_') && !name.is_empty() {
            name.push('_');
            was_lower = false;
        }
    }
    let name = name.trim_end_matches('_');
    if name.is_empty() { "column".to_owned() } else { name.to_owned() }
}

/// A text as YAML: bare where no reader could take it for something else.
fn quoted(text: &str) -> String {
    let is_bare = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
        && !["true", "false", "yes", "no", "y", "n", "on", "off", "null", "nan", "inf"]
            .contains(&text.to_lowercase().as_str());
    if is_bare { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}
