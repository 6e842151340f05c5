use tessera_connect::{Delivery, Destination};
use tessera_policy::Permitted;

fn send(destination: &mut dyn Destination, other: Permitted<()>, delivery: Delivery) {
    let permitted: Permitted<Delivery> = Permitted { value: delivery, permit: other.permit().clone() };
    let _ = destination.deliver(&[permitted]);
}

fn main() {}
