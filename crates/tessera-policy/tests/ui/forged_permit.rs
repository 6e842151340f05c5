use tessera_model::{LegalBasis, PurposeName};
use tessera_policy::Permit;

fn forge(purpose: PurposeName) -> Permit {
    Permit { purpose, version: 1, basis: LegalBasis::Contract }
}

fn main() {}
