//! The model that records are compared by: from a file, or found from the records.

use std::path::Path;

use anyhow::Context as _;
use tessera_match::{Model, ModelSpec, Pairs, Table, train};

use super::{Columns, How, failed};
use crate::output::Failure;

/// Equal records give equal models.
pub(super) const SEED: u64 = 42;

/// A model, trained or not.
pub(super) enum Loaded {
    Spec(ModelSpec),
    Trained(Box<Model>),
}

impl Loaded {
    pub(super) fn spec(&self) -> &ModelSpec {
        match self {
            Self::Spec(spec) => spec,
            Self::Trained(model) => model.spec(),
        }
    }

    fn spec_mut(&mut self) -> &mut ModelSpec {
        match self {
            Self::Spec(spec) => spec,
            Self::Trained(model) => model.spec_mut(),
        }
    }

    /// The model, trained now if it was not.
    pub(super) fn trained(self, table: &Table) -> anyhow::Result<Model> {
        match self {
            Self::Spec(spec) => train(table, &spec, SEED).map_err(failed),
            Self::Trained(model) => Ok(*model),
        }
    }
}

impl How {
    /// The model of the flags, or the one that fits `table`.
    pub(super) fn load(&self, columns: &Columns, table: &Table) -> anyhow::Result<Loaded> {
        let mut loaded = match &self.model {
            Some(path) => read(path)?,
            None => Loaded::Spec(ModelSpec::infer(table).map_err(failed)?),
        };
        let spec = loaded.spec_mut();
        if columns.link_only {
            spec.pairs = Pairs::AcrossSources;
            spec.limits.one_per_source = true;
        }
        if let Some(link) = self.link {
            spec.thresholds.link = link;
            spec.thresholds.review = spec.thresholds.review.min(link);
            spec.thresholds.keep = spec.thresholds.keep.min(link);
        }
        loaded.spec().validate(table).map_err(failed)?;
        Ok(loaded)
    }
}

fn read(path: &Path) -> anyhow::Result<Loaded> {
    let text = std::fs::read_to_string(path).with_context(|| {
        let what = format!("cannot read model `{}`", path.display());
        Failure::new(
            "TES-X022",
            what,
            "`tessera match model FILE` prints one, `tessera match train` writes one",
        )
    })?;
    let failure = |why: String| {
        let what = format!("`{}` is no model: {why}", path.display());
        Failure::new("TES-X022", what, "`tessera match model FILE` prints one that fits the records")
    };
    if text.trim_start().starts_with('{') {
        let model = serde_json::from_str(&text).map_err(|error| failure(error.to_string()))?;
        return Ok(Loaded::Trained(model));
    }
    let spec = serde_saphyr::from_str(&text)
        .map_err(|error| failure(error.to_string().lines().next().unwrap_or_default().to_owned()))?;
    Ok(Loaded::Spec(spec))
}
