use tessera_model::Timestamp;
use tessera_policy::IdentityCheck;

fn forge() -> IdentityCheck {
    IdentityCheck { request: "".into(), method: "".into(), by: "".into(), at: Timestamp::MIN }
}

fn main() {}
