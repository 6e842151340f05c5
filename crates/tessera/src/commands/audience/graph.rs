//! What follows from what: events and traits, computed traits, audiences, purposes, destinations.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};
use tessera_picture::{Heading, Layer, layers};

use super::GraphForm;
use crate::commands::{list, text};

/// The kinds of things, from what is looked at to who is told.
const KINDS: [&str; 6] = ["event", "trait", "computed trait", "audience", "purpose", "destination"];
const EVENT: usize = 0;
const TRAIT: usize = 1;
const COMPUTED: usize = 2;
const AUDIENCE: usize = 3;
const PURPOSE: usize = 4;
const DESTINATION: usize = 5;

/// A thing: its kind and its name.
type Node = (usize, String);

/// What follows from what.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Graph {
    nodes: BTreeSet<Node>,
    edges: BTreeSet<(Node, Node)>,
}

impl Graph {
    /// Of the answer of `GET /api/v1/audiences`.
    pub(super) fn of(answer: &Value) -> Self {
        let mut graph = Self::default();
        for (kind, member) in [(COMPUTED, "computed_traits"), (AUDIENCE, "audiences")] {
            for one in list(answer, member) {
                graph.add((kind, text(one, "name").to_owned()), one);
            }
        }
        graph
    }

    fn add(&mut self, node: Node, one: &Value) {
        let uses = one.get("uses").cloned().unwrap_or_default();
        for (kind, member) in [
            (EVENT, "events"),
            (TRAIT, "traits"),
            (TRAIT, "account_traits"),
            (COMPUTED, "computed_traits"),
            (AUDIENCE, "audiences"),
        ] {
            for name in list(&uses, member).iter().filter_map(Value::as_str) {
                self.edge((kind, name.to_owned()), node.clone());
            }
        }
        if uses.get("any_event").and_then(Value::as_bool) == Some(true) {
            self.edge((EVENT, "every event".to_owned()), node.clone());
        }
        let purpose = (PURPOSE, text(one, "purpose").to_owned());
        for name in list(one, "destinations").iter().filter_map(Value::as_str) {
            self.edge(purpose.clone(), (DESTINATION, name.to_owned()));
        }
        self.edge(node, purpose);
    }

    fn edge(&mut self, from: Node, to: Node) {
        self.nodes.extend([from.clone(), to.clone()]);
        self.edges.insert((from, to));
    }

    pub(super) fn drawn(&self, format: GraphForm) -> anyhow::Result<String> {
        Ok(match format {
            GraphForm::Text => self.text(),
            GraphForm::Dot => self.dot(),
            GraphForm::Svg => self.svg(),
            GraphForm::Json => serde_json::to_string_pretty(&self.json())?,
        })
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for node in self.nodes.iter().filter(|(kind, _)| matches!(*kind, COMPUTED | AUDIENCE)) {
            let named = |node: &Node| format!("{} {}", kind(node), node.1);
            let from: Vec<String> =
                self.edges.iter().filter(|(_, to)| to == node).map(|(from, _)| named(from)).collect();
            let to: Vec<String> =
                self.edges.iter().filter(|(from, _)| from == node).map(|(_, to)| named(to)).collect();
            // Writing to a `String` cannot fail.
            let _written = writeln!(out, "{}", named(node));
            for (word, others) in [("from", from), ("to", to)] {
                if !others.is_empty() {
                    let _written = writeln!(out, "  {word:<5}{}", others.join(", "));
                }
            }
        }
        for ((_, purpose), (_, told)) in self.edges.iter().filter(|(_, (kind, _))| *kind == DESTINATION) {
            let _written = writeln!(out, "purpose {purpose}\n  to   destination {told}");
        }
        out
    }

    fn dot(&self) -> String {
        let quoted = |node: &Node| {
            let text = format!("{} {}", kind(node), node.1);
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
        };
        let mut out = String::from("digraph audiences {\n  rankdir=LR;\n  node [shape=box];\n");
        for node in &self.nodes {
            let _written = writeln!(out, "  {};", quoted(node));
        }
        for (from, to) in &self.edges {
            let _written = writeln!(out, "  {} -> {};", quoted(from), quoted(to));
        }
        out.push_str("}\n");
        out
    }

    fn svg(&self) -> String {
        let layer = |number: usize| -> Layer {
            let boxes = self.nodes.iter().filter(|(kind, _)| *kind == number).map(|(_, name)| name.clone());
            Layer {
                name: format!("{}s", KINDS.get(number).copied().unwrap_or_default()),
                boxes: boxes.collect(),
            }
        };
        let all: Vec<Layer> = (0..KINDS.len()).map(layer).collect();
        let place = |(kind, name): &Node| {
            let boxes = all.get(*kind).map(|layer| &layer.boxes)?;
            Some((*kind, boxes.iter().position(|known| known == name)?))
        };
        let edges: Vec<_> =
            self.edges.iter().filter_map(|(from, to)| Some((place(from)?, place(to)?))).collect();
        let words = self
            .edges
            .iter()
            .map(|(from, to)| format!("{} {} leads to {} {}", kind(from), from.1, kind(to), to.1));
        let heading = Heading {
            title: "Audiences".to_owned(),
            about: "what follows from what".to_owned(),
            description: words.collect::<Vec<_>>().join("; "),
        };
        layers(&heading, &all, &edges)
    }

    fn json(&self) -> Value {
        let shown = |node: &Node| json!({ "kind": kind(node), "name": node.1 });
        json!({
            "nodes": self.nodes.iter().map(shown).collect::<Vec<_>>(),
            "edges": self.edges.iter().map(|(from, to)| json!({ "from": shown(from), "to": shown(to) })).collect::<Vec<_>>(),
        })
    }
}

fn kind(node: &Node) -> &'static str {
    KINDS.get(node.0).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        Graph::of(&json!({
            "audiences": [{
                "name": "vip", "purpose": "news", "destinations": ["mail"],
                "uses": { "events": ["Say \"hi\""], "computed_traits": ["spent"], "any_event": false },
            }],
            "computed_traits": [{ "name": "spent", "purpose": "news", "uses": { "events": ["Ordered"] } }],
        }))
    }

    #[test]
    fn a_graph_leads_from_events_to_destinations() {
        let text = graph().text();
        assert!(
            text.contains("audience vip\n  from event Say \"hi\", computed trait spent\n  to   purpose news"),
            "{text}"
        );
        assert!(text.contains("purpose news\n  to   destination mail"), "{text}");
    }

    #[test]
    fn every_form_has_every_edge() {
        let graph = graph();
        let dot = graph.dot();
        assert!(dot.contains("\"event Say \\\"hi\\\"\" -> \"audience vip\";"), "{dot}");
        let count = graph.edges.len();
        assert_eq!(count, 6);
        assert_eq!(dot.matches(" -> ").count(), count);
        assert_eq!(graph.svg().matches("<path").count(), count);
        assert_eq!(graph.json()["edges"].as_array().unwrap().len(), count);
    }
}
