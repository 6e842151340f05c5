//! A row to an event: pure, and without a tree of values between the two.

use serde_json::value::RawValue;
use tessera_model::{EVENT_BYTES_MAX, pick};

use super::mapping::{CallName, Column, Empty, Mapping, Wrong};
use super::time::TimeForm;
use super::value::{Kind, TIME_REASON, is_word, write_string};
use super::{Cell, Cells, Trouble};

/// Room that the message id needs in an event.
const MESSAGE_ID_ROOM: usize = 64;

/// A mapping made ready for the columns of one file.
pub(crate) struct Mapper {
    /// `{"type":"identify"` and what else is the same in every event.
    head: Vec<u8>,
    name: Option<(&'static str, Place)>,
    ids: Vec<(Id, Place)>,
    group: Option<Place>,
    timestamp: Option<(Place, TimeForm)>,
    /// `,"traits":{` or `,"properties":{`, with the constants.
    members_head: Vec<u8>,
    members: Vec<Member>,
    consents: Vec<Consent>,
    empty: Empty,
}

enum Id {
    /// `"userId":` or `"anonymousId":`.
    Own(&'static str),
    /// `","type":"email","collection":"users","encoding":"none"}`.
    External(Vec<u8>),
}

struct Member {
    /// `"name":`.
    key: Vec<u8>,
    place: Place,
    kind: Kind,
}

struct Consent {
    key: Vec<u8>,
    place: Place,
    given: Vec<String>,
    refused: Vec<String>,
}

/// Where a column is found in a row.
struct Place {
    column: String,
    index: usize,
    path: Vec<String>,
    /// Whether some row had it.
    is_seen: std::cell::Cell<bool>,
}

impl Place {
    fn cell<'a>(&self, cells: Cells<'a>) -> Cell<'a> {
        match cells {
            Cells::Text { .. } => cells.text_at(self.index).map_or(Cell::Missing, Cell::Text),
            Cells::Json(raw) => match self.member(raw) {
                None => Cell::Missing,
                Some(raw) => {
                    self.is_seen.set(true);
                    Cell::Json(raw)
                }
            },
        }
    }

    /// The member of exactly this name, or else the one at this dotted path.
    fn member<'a>(&self, raw: &'a RawValue) -> Option<&'a RawValue> {
        pick(raw, &self.column).or_else(|| match self.path.as_slice() {
            [] | [_] => None,
            path => path.iter().try_fold(raw, |raw, name| pick(raw, name)),
        })
    }

    fn reason(&self, reason: &str) -> String {
        format!("column `{}` {reason}", self.column)
    }
}

impl Mapper {
    /// Prepares `mapping` for a file with these columns; `None` when the file does not declare them.
    ///
    /// # Errors
    /// A column that the file does not have, or has twice.
    pub(crate) fn new(mapping: &Mapping, columns: Option<&[String]>) -> Result<Self, Trouble> {
        if let Some(columns) = columns {
            check_columns(mapping, columns)?;
        }
        let place = |column: &str| Place {
            column: column.to_owned(),
            index: columns
                .and_then(|columns| columns.iter().position(|name| name == column))
                .unwrap_or(usize::MAX),
            path: column.split('.').map(str::to_owned).collect(),
            is_seen: std::cell::Cell::new(columns.is_some()),
        };
        let (field, own, constants) = match mapping.call.has_traits() {
            true => ("traits", &mapping.traits, &mapping.constants.traits),
            false => ("properties", &mapping.properties, &mapping.constants.properties),
        };
        let mut members_head = format!(",\"{field}\":{{").into_bytes();
        for (name, value) in constants {
            members_head.extend_from_slice(&key(name));
            members_head.extend_from_slice(value.to_string().as_bytes());
            members_head.push(b',');
        }
        let members: Result<Vec<Member>, Wrong> = own
            .iter()
            .map(|(name, column)| {
                Ok(Member { key: key(name), place: place(&column.column), kind: column.value_kind()? })
            })
            .collect();
        let timestamp =
            mapping.timestamp.as_ref().map(|column| time(column, place(&column.column))).transpose();
        let consents = mapping.consent.iter().map(|(name, consent)| Consent {
            key: key(name),
            place: place(&consent.column),
            given: consent.given.clone(),
            refused: consent.refused.clone(),
        });
        // `Mapping::parse` has checked what these would say.
        let unchecked = |_: Wrong| Trouble::new("TES-M003", "the mapping was not checked", "");
        let name_field = if mapping.call == CallName::Track { "event" } else { "name" };
        Ok(Self {
            head: head(mapping, name_field),
            name: mapping.event_column.as_deref().map(|column| (name_field, place(column))),
            ids: mapping
                .identifiers
                .iter()
                .map(|(namespace, column)| (id(namespace), place(column)))
                .collect(),
            group: mapping.group.as_deref().map(place),
            timestamp: timestamp.map_err(unchecked)?,
            members_head,
            members: members.map_err(unchecked)?,
            consents: consents.collect(),
            empty: mapping.empty,
        })
    }

    /// Appends the event that the row is, as JSON without its closing brace, so that the message id can follow.
    ///
    /// # Errors
    /// Why the row is none: names the column, never its value. `out` may then hold part of an event.
    pub(crate) fn write(&self, cells: Cells<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let start = out.len();
        out.extend_from_slice(&self.head);
        if let Some((field, place)) = &self.name {
            self.write_name(field, place, cells, out)?;
        }
        self.write_ids(cells, out)?;
        if let Some(place) = &self.group {
            let text = place.cell(cells).text().map_err(|reason| place.reason(reason))?;
            if text.trim().is_empty() {
                return Err(place.reason("is empty, but a group call needs it"));
            }
            write_member(out, "groupId", text.trim());
        }
        if let Some((place, form)) = &self.timestamp {
            let cell = place.cell(cells);
            if !cell.is_empty() {
                let text = cell.text().map_err(|reason| place.reason(reason))?;
                let at = form.read(&text).ok_or_else(|| place.reason(TIME_REASON))?;
                write_member(out, "timestamp", &at.to_string());
            }
        }
        self.write_members(cells, out)?;
        let length = out.len() - start + MESSAGE_ID_ROOM;
        if length > EVENT_BYTES_MAX {
            return Err(format!("the event has {length} bytes, the limit is {EVENT_BYTES_MAX}"));
        }
        Ok(())
    }

    /// The columns that no row had so far, of a file that does not declare its columns.
    pub(crate) fn unseen(&self) -> Vec<String> {
        let places = self.name.iter().map(|(_, place)| place);
        let places = places.chain(self.ids.iter().map(|(_, place)| place)).chain(&self.group);
        let places = places.chain(self.timestamp.iter().map(|(place, _)| place));
        let places = places.chain(self.members.iter().map(|member| &member.place));
        let places = places.chain(self.consents.iter().map(|consent| &consent.place));
        let mut unseen: Vec<String> =
            places.filter(|place| !place.is_seen.get()).map(|place| place.column.clone()).collect();
        unseen.sort();
        unseen.dedup();
        unseen
    }

    fn write_name(
        &self,
        field: &'static str,
        place: &Place,
        cells: Cells<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let text = place.cell(cells).text().map_err(|reason| place.reason(reason))?;
        match text.trim() {
            "" if field == "event" => Err(place.reason("is empty, but a track call needs the event's name")),
            "" => Ok(()),
            name => {
                write_member(out, field, name);
                Ok(())
            }
        }
    }

    fn write_ids(&self, cells: Cells<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let mut external: Vec<u8> = Vec::new();
        let mut is_any = false;
        for (id, place) in &self.ids {
            let text = place.cell(cells).text().map_err(|reason| place.reason(reason))?;
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            is_any = true;
            match id {
                Id::Own(field) => write_member(out, field, text),
                Id::External(tail) => {
                    external.extend_from_slice(if external.is_empty() { b"{\"id\":" } else { b",{\"id\":" });
                    write_string(&mut external, text);
                    external.extend_from_slice(tail);
                }
            }
        }
        if !is_any {
            return Err("every identifier column is empty: the row names nobody".to_owned());
        }
        self.write_context(&external, cells, out)
    }

    fn write_context(&self, external: &[u8], cells: Cells<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let mut claims: Vec<u8> = Vec::new();
        for consent in &self.consents {
            let cell = consent.place.cell(cells);
            if cell.is_empty() {
                continue;
            }
            let text = cell.text().map_err(|reason| consent.place.reason(reason))?;
            let given: &[u8] = match (is_word(&consent.given, &text), is_word(&consent.refused, &text)) {
                (true, _) => b"true,",
                (false, true) => b"false,",
                (false, false) => {
                    return Err(consent
                        .place
                        .reason("is neither a word that gives nor one that refuses consent"));
                }
            };
            claims.extend_from_slice(&consent.key);
            claims.extend_from_slice(given);
        }
        claims.pop();
        let parts: [(&[u8], &[u8], &[u8]); 2] = [
            (b"\"externalIds\":[", external, b"]"),
            (b"\"consent\":{\"categoryPreferences\":{", &claims, b"}}"),
        ];
        let mut opening: &[u8] = b",\"context\":{";
        for (before, inside, after) in parts {
            if !inside.is_empty() {
                out.extend_from_slice(opening);
                opening = b",";
                [before, inside, after].iter().for_each(|part| out.extend_from_slice(part));
            }
        }
        if opening == b"," {
            out.push(b'}');
        }
        Ok(())
    }

    fn write_members(&self, cells: Cells<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let start = out.len();
        out.extend_from_slice(&self.members_head);
        let empty_length = out.len();
        for member in &self.members {
            let cell = member.place.cell(cells);
            if cell.is_empty() {
                if self.empty == Empty::Null {
                    out.extend_from_slice(&member.key);
                    out.extend_from_slice(b"null,");
                }
                continue;
            }
            out.extend_from_slice(&member.key);
            member.kind.write(cell, out).map_err(|reason| member.place.reason(reason))?;
            out.push(b',');
        }
        match out.last() {
            Some(b',') => {
                out.pop();
                out.push(b'}');
            }
            _ if out.len() == empty_length => out.truncate(start),
            _ => {}
        }
        Ok(())
    }
}

fn time(column: &Column, place: Place) -> Result<(Place, TimeForm), Wrong> {
    Ok((place, column.time_form()?))
}

fn head(mapping: &Mapping, name_field: &str) -> Vec<u8> {
    let mut head = format!("{{\"type\":\"{}\"", mapping.call.as_str()).into_bytes();
    if let Some(event) = &mapping.event {
        write_member(&mut head, name_field, event);
    }
    head
}

fn key(name: &str) -> Vec<u8> {
    let mut key = Vec::new();
    write_string(&mut key, name);
    key.push(b':');
    key
}

fn write_member(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    write_string(out, text);
}

fn id(namespace: &str) -> Id {
    match namespace {
        "user_id" => Id::Own("userId"),
        "anonymous_id" => Id::Own("anonymousId"),
        other => {
            let mut tail = b",\"type\":".to_vec();
            write_string(&mut tail, other);
            tail.extend_from_slice(b",\"collection\":\"users\",\"encoding\":\"none\"}");
            Id::External(tail)
        }
    }
}

fn check_columns(mapping: &Mapping, columns: &[String]) -> Result<(), Trouble> {
    let mut missing: Vec<&str> = Vec::new();
    for wanted in mapping.columns() {
        match columns.iter().filter(|name| *name == wanted).count() {
            0 if !missing.contains(&wanted) => missing.push(wanted),
            0 | 1 => {}
            count => {
                let what = format!("the file has {count} columns named `{wanted}`, and the mapping uses it");
                return Err(Trouble::new("TES-M005", what, "rename one of them in the file's header"));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut what = format!("the file has no column {}", quoted(&missing));
    let similar: Vec<&str> = columns
        .iter()
        .map(String::as_str)
        .filter(|name| missing.iter().any(|m| is_similar(m, name)))
        .collect();
    if !similar.is_empty() {
        what.push_str("; there is ");
        what.push_str(&quoted(&similar));
    }
    let names: Vec<&str> =
        columns.iter().map(String::as_str).filter(|name| !name.is_empty()).take(40).collect();
    Err(Trouble::new(
        "TES-M004",
        what,
        format!("its columns are {}; upper and lower case count", quoted(&names)),
    ))
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Whether two names differ only in case, blanks and signs.
fn is_similar(a: &str, b: &str) -> bool {
    let plain = |name: &str| {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>()
    };
    let (a, b) = (plain(a), plain(b));
    !a.is_empty() && a == b
}
