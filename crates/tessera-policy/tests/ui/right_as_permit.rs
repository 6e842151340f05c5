use tessera_policy::{Permitted, SubjectRight};

fn deliver(_to_a_destination: Permitted<&str>) {}

fn leak(right: &SubjectRight) {
    deliver(right.seal(|_| "ada@example.com"));
}

fn main() {}
