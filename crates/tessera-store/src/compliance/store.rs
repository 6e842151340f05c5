//! What every [`Store`](crate::Store) must do.
