use std::sync::Arc;

use tessera_model::{Purpose, Timestamp};
use tessera_policy::Permit;

fn forge(purpose: Arc<Purpose>) -> Permit {
    Permit { purpose, proof: None, decided_at: Timestamp::MIN }
}

fn main() {}
