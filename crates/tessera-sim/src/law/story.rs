//! A history in words, for whoever must find out why two programs disagree.

use std::fmt;

use super::cases::{Case, Deed, Step};
use super::history::{DAY, Event, Millis, Purpose, Source, Statement};

const HOUR: Millis = 60 * 60 * 1000;

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for purpose in &self.purposes {
            writeln!(f, "{}", describe(purpose, self.start))?;
        }
        for source in &self.sources {
            writeln!(f, "{source}")?;
        }
        if self.has_destinations {
            writeln!(f, "a destination for each purpose")?;
        }
        for Step { at, deed } in &self.steps {
            let at = since(self.start, *at);
            match deed {
                Deed::Send(event) => {
                    write!(f, "{at}: {} sends {}", event.source, event.call.as_str())?;
                    tell(f, event, self.start)?;
                }
                Deed::Order(order) => {
                    write!(f, "{at}: order")?;
                    tell(f, order, self.start)?;
                }
                Deed::Declare(purpose) => writeln!(f, "{at}: {}", describe(purpose, self.start))?,
                Deed::Remove(purpose) => writeln!(f, "{at}: remove purpose {purpose}")?,
                Deed::Expire => writeln!(f, "{at}: remove what no purpose covers")?,
                Deed::Erase(identifier) => writeln!(f, "{at}: erase {identifier}")?,
                Deed::Lift => writeln!(f, "{at}: lift erasures")?,
                Deed::Deliver => writeln!(f, "{at}: deliver")?,
                Deed::Ask => writeln!(f, "{at}: ask")?,
            }
        }
        Ok(())
    }
}

/// `day 2`, `day 2 + 1 ms`.
pub(crate) fn since(start: Millis, at: Millis) -> String {
    let day = (at - start + HOUR).div_euclid(DAY);
    match at - start - day * DAY {
        0 => format!("day {day}"),
        rest if rest % HOUR == 0 => format!("day {day} {:+} h", rest / HOUR),
        rest => format!("day {day} {rest:+} ms"),
    }
}

fn describe(purpose: &Purpose, start: Millis) -> String {
    let mut text = format!("purpose {} v{}: {:?}", purpose.name, purpose.version, purpose.basis);
    let mut add = |is_so: bool, what: String| {
        if is_so {
            text.push_str(", ");
            text.push_str(&what);
        }
    };
    if let Some(days) = purpose.valid_days {
        add(true, format!("consent valid {days} days"));
    }
    add(purpose.is_explicit, "explicit".to_owned());
    if let Some((version, cut_off)) = purpose.reconsent {
        add(true, format!("yes to v{version} or later from {}", since(start, cut_off)));
    }
    if let Some(years) = purpose.minimum_age {
        add(true, format!("from {years} years"));
    }
    add(purpose.is_retired, "retired".to_owned());
    add(purpose.is_marketing, "direct marketing".to_owned());
    add(purpose.is_sale, "sale".to_owned());
    if let Some(days) = purpose.retention_days {
        add(true, format!("kept {days} days"));
    }
    text
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {}: {}", self.name, self.purposes.join(", "))?;
        for (event, purposes) in &self.events {
            write!(f, "; {event}: {}", purposes.join(", "))?;
        }
        if self.has_payload_purposes {
            write!(f, "; narrowed by the payload")?;
        }
        Ok(())
    }
}

fn tell(f: &mut fmt::Formatter<'_>, event: &Event, start: Millis) -> fmt::Result {
    if let Some(name) = &event.name {
        write!(f, " {name:?}")?;
    }
    write!(f, " #{} by {}", event.id, event.identifiers.join(" "))?;
    if event.at != event.received_at {
        write!(f, ", of {}", since(start, event.at))?;
    }
    if event.has_signal {
        write!(f, ", Sec-GPC: 1")?;
    }
    if let Some(listed) = &event.listed {
        write!(f, ", listing [{}]", listed.join(", "))?;
    }
    for (name, value) in &event.births {
        write!(f, ", {name} {value}")?;
    }
    for statement in &event.statements {
        write!(f, "; ")?;
        say(f, statement, event.at, start)?;
    }
    writeln!(f)
}

fn say(f: &mut fmt::Formatter<'_>, statement: &Statement, at: Millis, start: Millis) -> fmt::Result {
    if let Some(purpose) = &statement.purpose {
        write!(f, "{purpose} ")?;
    }
    write!(f, "{}", statement.word.as_str())?;
    if let Some(version) = statement.version {
        write!(f, " v{version}")?;
    }
    if !statement.is_explicit {
        write!(f, " implied")?;
    }
    if statement.at != at {
        write!(f, " of {}", since(start, statement.at))?;
    }
    Ok(())
}
