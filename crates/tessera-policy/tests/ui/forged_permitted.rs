use tessera_policy::{Permit, Permitted};

fn forge(permit: Permit) -> Permitted<&'static str> {
    Permitted { value: "ada@example.com", permit }
}

fn main() {}
