//! What is said for and against edges: evidence, judgements, splits, undos. Which of it counts is told from what was said
//! alone, never from the order in which it came.

use std::collections::BTreeSet;

use tessera_model::{FragmentId, Selector, Strength, Timestamp, UndoId, Verdict};

use crate::evidence::{Overruled, remember};
use crate::graph::index;
use crate::{Edge, Evidence, Graph, Judgement, Linked, Stub, Undone, Word};

type Pair = (FragmentId, FragmentId);

impl Undone {
    fn takes(&self, pair: Pair, evidence: &Evidence) -> bool {
        match &self.selector {
            // A steward who has seen the undo and says otherwise is heard.
            Selector::Edge { a, b } => {
                pair == ordered(*a, *b)
                    && !(evidence.strength == Strength::Manual && evidence.received_at > self.at)
            }
            Selector::Event { message } => evidence.message.digest() == *message,
            Selector::Source { source, from, to } => {
                evidence.source == *source
                    && from.is_none_or(|from| from <= evidence.received_at)
                    && evidence.received_at < *to
            }
        }
    }
}

fn ordered(a: FragmentId, b: FragmentId) -> Pair {
    (a.min(b), a.max(b))
}

impl Graph {
    /// The fragments at the ends of an edge, the lesser first.
    #[must_use]
    pub fn pair(&self, edge: &Edge) -> (FragmentId, FragmentId) {
        let id = |at: usize| self.nodes.get(at).map(|node| node.id).unwrap_or_default();
        let (a, b) = edge.ends();
        ordered(id(a), id(b))
    }

    /// Whether a word on an edge counts: no split, undo or later judgement took it away.
    #[must_use]
    pub fn counts(&self, edge: &Edge, evidence: &Evidence) -> bool {
        self.is_heard(self.pair(edge), edge.cut_at, evidence)
    }

    /// Whether a word of a stub counts.
    #[must_use]
    pub fn counts_in_stub(&self, stub: &Stub, evidence: &Evidence) -> bool {
        self.is_heard(self.stub_pair(stub), None, evidence)
    }

    pub(crate) fn stub_pair(&self, stub: &Stub) -> Pair {
        ordered(self.nodes.get(stub.node()).map(|node| node.id).unwrap_or_default(), stub.id)
    }

    pub(crate) fn is_heard(&self, pair: Pair, cut_at: Option<Timestamp>, evidence: &Evidence) -> bool {
        let is_manual = evidence.strength == Strength::Manual;
        let is_cut = cut_at.is_some_and(|at| !(is_manual && evidence.received_at > at));
        let is_taken_back = is_manual
            && self
                .judged
                .get(&pair)
                .is_some_and(|last| last.verdict != Verdict::Same && evidence.received_at <= last.at);
        !is_cut && !is_taken_back && !self.undone.iter().any(|undone| undone.takes(pair, evidence))
    }

    /// The weightiest word that counts.
    pub(crate) fn foremost<'g>(&self, edge: &'g Edge) -> Option<&'g Evidence> {
        let pair = self.pair(edge);
        edge.evidence.iter().find(|word| self.is_heard(pair, edge.cut_at, word))
    }

    /// What becomes of an edge that no word counts for.
    pub(crate) fn gone(edge: &Edge) -> Linked {
        if edge.cut_at.is_some() { Linked::Cut } else { Linked::Undone }
    }

    /// What stewards and splits said against pairs, the last word on each.
    pub fn judged(&self) -> impl Iterator<Item = (&(FragmentId, FragmentId), &Judgement)> {
        self.judged.iter()
    }

    /// What undos took away.
    pub fn undone(&self) -> impl Iterator<Item = &Undone> {
        self.undone.iter()
    }

    /// Records that `evidence` holds `a` and `b` together. Returns whether that may change who is one person: if so,
    /// [`Graph::resolve`] must follow.
    pub fn link(&mut self, a: usize, b: usize, evidence: Evidence) -> bool {
        let (a, b) = (index(a.min(b)), index(a.max(b)));
        if a == b {
            return false;
        }
        let is_overruling = evidence.strength == Strength::Manual
            && self.overrule((usize::from(a), usize::from(b)), evidence.received_at);
        let Some(place) = self.edges.iter().position(|edge| (edge.a, edge.b) == (a, b)) else {
            let linked = Linked::Refused;
            self.edges.push(Edge { a, b, evidence: vec![evidence], cut_at: None, linked, refusal: None });
            return true;
        };
        let Some(edge) = self.edges.get_mut(place) else { return false };
        let (mut words, cut_at) = (std::mem::take(&mut edge.evidence), edge.cut_at);
        let pair = self.edges.get(place).map(|edge| self.pair(edge)).unwrap_or_default();
        let is_news = self.learn(pair, cut_at, &mut words, evidence);
        if let Some(edge) = self.edges.get_mut(place) {
            edge.evidence = words;
        }
        is_news || is_overruling
    }

    /// Adds a word to those on a pair. Returns whether anything changes that [`Graph::resolve`] asks of them.
    pub(crate) fn learn(
        &self,
        pair: Pair,
        cut_at: Option<Timestamp>,
        words: &mut Vec<Evidence>,
        new: Evidence,
    ) -> bool {
        let is_heard = |word: &Evidence| self.is_heard(pair, cut_at, word);
        let gist = |words: &[Evidence]| {
            let heard = || words.iter().filter(|word| is_heard(word));
            let first_at = heard().map(|word| word.at).min();
            (heard().next().cloned(), first_at, heard().any(Evidence::is_sight))
        };
        let before = gist(words);
        remember(words, new, is_heard);
        before != gist(words)
    }

    /// A steward says that two profiles are one: what was said before of any two identifiers of theirs gives way.
    /// Returns whether anything was.
    fn overrule(&mut self, (a, b): (usize, usize), said_at: Timestamp) -> bool {
        let ids = |node: usize| -> BTreeSet<FragmentId> {
            self.component(node).filter_map(|at| self.nodes.get(at)).map(|node| node.id).collect()
        };
        let (one, other) = (ids(a), ids(b));
        let is_between =
            |(x, y): &&Pair| (one.contains(x) && other.contains(y)) || (one.contains(y) && other.contains(x));
        let id = |at: usize| self.nodes.get(at).map(|node| node.id).unwrap_or_default();
        let by = ordered(id(a), id(b));
        let found: Vec<Overruled> = self
            .judged
            .keys()
            .filter(is_between)
            .map(|pair| Overruled { pair: *pair, said_at, by })
            .collect();
        let is_any = !found.is_empty();
        self.overruled.extend(found);
        is_any
    }

    /// The pairs that are two people, as the last word on each is.
    pub fn apart(&self) -> impl Iterator<Item = &(FragmentId, FragmentId)> {
        let stands = |pair: &Pair, last: &Judgement| {
            last.verdict == Verdict::Different
                && !self.overruled.iter().any(|o| o.pair == *pair && self.gives_way(last, o))
        };
        self.judged.iter().filter(move |(pair, last)| stands(pair, last)).map(|(pair, _)| pair)
    }

    fn gives_way(&self, last: &Judgement, overruled: &Overruled) -> bool {
        let is_said = |edge: &Edge| {
            let mut words = edge.evidence.iter();
            words.any(|word| {
                word.strength == Strength::Manual
                    && word.received_at >= overruled.said_at
                    && self.is_heard(overruled.by, edge.cut_at, word)
            })
        };
        last.at <= overruled.said_at
            && self.edges.iter().any(|edge| self.pair(edge) == overruled.by && is_said(edge))
    }

    /// Records that two identifiers are two people's, or that such a word, or a steward's evidence between them, is
    /// taken back. Returns whether that says anything new: if so, [`Graph::resolve`] must follow. That they are one
    /// person's is said with [`Graph::link`].
    pub fn judge(&mut self, a: FragmentId, b: FragmentId, judgement: Judgement) -> bool {
        a != b && judgement.verdict != Verdict::Same && self.note(ordered(a, b), judgement)
    }

    pub(crate) fn note(&mut self, pair: Pair, judgement: Judgement) -> bool {
        let is_new = self.judged.get(&pair).is_none_or(|known| judgement.is_after(known));
        if is_new {
            self.judged.insert(pair, judgement);
        }
        is_new
    }

    /// Whether the selector means any evidence that counts.
    #[must_use]
    pub fn is_meant_by(&self, undone: &Undone) -> bool {
        let is_meant = |edge: &Edge| {
            let pair = self.pair(edge);
            let mut words = edge.evidence.iter();
            words.any(|word| undone.takes(pair, word) && self.is_heard(pair, edge.cut_at, word))
        };
        let is_meant_in_stub = |stub: &Stub| {
            let pair = self.stub_pair(stub);
            stub.evidence.iter().any(|word| undone.takes(pair, word) && self.is_heard(pair, None, word))
        };
        self.edges.iter().any(is_meant) || self.stubs.iter().any(is_meant_in_stub)
    }

    /// Evidence counts no more, now and when it comes again. Returns whether any did: if so, [`Graph::resolve`] must
    /// follow.
    pub fn undo(&mut self, undone: Undone) -> bool {
        self.is_meant_by(&undone) && self.undone.insert(undone)
    }

    /// Takes an undo back. Returns whether it was there: if so, [`Graph::resolve`] must follow.
    pub fn redo(&mut self, id: UndoId) -> bool {
        let before = self.undone.len();
        self.undone.retain(|undone| undone.id != id);
        before != self.undone.len()
    }

    /// Takes the fragments `away` out of the profile of `from`, and keeps them together as far as evidence does.
    /// Every edge between the two sides is cut, and later evidence does not join them again, unless a steward says
    /// so. Returns whether anything was cut. [`Graph::resolve`] must follow.
    pub fn split(&mut self, from: usize, away: &BTreeSet<FragmentId>, at: Timestamp, word: Word) -> bool {
        let members: BTreeSet<usize> = self.component(from).collect();
        let is_away = |node: usize| self.nodes.get(node).is_some_and(|node| away.contains(&node.id));
        let (gone, stay): (Vec<usize>, Vec<usize>) = members.iter().partition(|node| is_away(**node));
        let (Some(first_gone), Some(first_stay)) = (gone.first(), stay.first()) else { return false };
        let id = |node: &usize| self.nodes.get(*node).map(|node| node.id).unwrap_or_default();
        let pair = ordered(id(first_gone), id(first_stay));
        self.judged.insert(pair, Judgement { verdict: Verdict::Different, at, word });
        for edge in &mut self.edges {
            let (a, b) = edge.ends();
            let crosses =
                members.contains(&a) && members.contains(&b) && gone.contains(&a) != gone.contains(&b);
            if crosses {
                edge.cut_at = edge.cut_at.max(Some(at));
            }
        }
        true
    }
}
