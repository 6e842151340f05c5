use tessera_policy::{IdentityCheck, SubjectRight};

fn forge(check: IdentityCheck) -> SubjectRight {
    SubjectRight { kind: 0, check }
}

fn main() {}
