//! From a changed view to one commit.

use std::sync::Arc;

use tessera_profile::Row;
use tessera_store::{Change, Changes, Position};

use crate::PipelineError;
use crate::view::{Slot, View, cluster_key, page_key, time_key, totals_key};

impl View {
    /// All that changed, as one commit up to `upto`; `more` are rows that are new (rejects, outbox).
    pub(crate) fn into_changes(self, upto: Position, more: Vec<Change>) -> Result<Changes, PipelineError> {
        let mut rows = more;
        rows.extend(self.contracts.changes()?);
        let mut buffer = Vec::with_capacity(1024);
        for (id, row) in self.rows {
            if !row.is_dirty {
                continue;
            }
            let after = match row.now {
                Slot::Absent => None,
                Slot::Pointer(target) => Some(Row::Pointer(target)),
                Slot::Cluster(cluster) => Some(Row::Cluster(cluster)),
                Slot::Tombstone(at) => Some(Row::Tombstone(at)),
            };
            let after = match after {
                None => None,
                Some(row) => {
                    buffer = row.encode(buffer)?;
                    Some(Arc::from(buffer.as_slice()))
                }
            };
            rows.push(Change { key: cluster_key(id), before: row.before, after });
        }
        for ((id, page), row) in self.pages {
            if row.is_dirty {
                buffer = row.now.encode(buffer)?;
                let after = Some(Arc::from(buffer.as_slice()));
                rows.push(Change { key: page_key(id, page), before: row.before, after });
            }
        }
        if let Some(row) = self.totals.filter(|row| row.is_dirty) {
            let bytes = postcard::to_stdvec(&row.now)
                .map_err(|e| PipelineError::Stored { what: "count", why: e.to_string() })?;
            rows.push(Change { key: totals_key(), before: row.before, after: Some(bytes.into()) });
        }
        if let Some(row) = self.time.filter(|row| row.is_dirty) {
            let bytes = postcard::to_stdvec(&row.now)
                .map_err(|e| PipelineError::Stored { what: "count", why: e.to_string() })?;
            rows.push(Change { key: time_key(), before: row.before, after: Some(bytes.into()) });
        }
        Ok(Changes { rows, upto: Some(upto) })
    }
}
