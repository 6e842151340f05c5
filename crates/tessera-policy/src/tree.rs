//! Field paths as a tree, so that an event is walked once whatever the number of rules.

use std::collections::BTreeMap;

use tessera_model::FieldPath;

/// One part of a path: what is said of it and all below it, and what is said only of what lies below it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node<T> {
    children: BTreeMap<Box<str>, Node<T>>,
    pub(crate) here: T,
    pub(crate) below: T,
}

impl<T: Default> Node<T> {
    /// What is said by `path`: of the place it names, or of what lies below when it ends in `.*`.
    pub(crate) fn slot(&mut self, path: &FieldPath) -> &mut T {
        let mut node = self;
        for part in path.as_str().split('.') {
            if part == "*" {
                return &mut node.below;
            }
            node = node.children.entry(part.into()).or_default();
        }
        &mut node.here
    }
}

impl<T> Node<T> {
    /// The place of that name directly below.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.get(name)
    }

    /// The places directly below.
    pub(crate) fn children(&self) -> impl Iterator<Item = &Self> {
        self.children.values()
    }
}
