//! A destination takes nothing but what a decision has permitted.

#[test]
fn a_destination_cannot_be_given_what_nobody_permitted() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
