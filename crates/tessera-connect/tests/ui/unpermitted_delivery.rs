use tessera_connect::{Delivery, Destination};

fn send(destination: &mut dyn Destination, delivery: Delivery) {
    let _ = destination.deliver(&[delivery]);
}

fn main() {}
