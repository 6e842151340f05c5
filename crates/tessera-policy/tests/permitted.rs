//! Nothing but a decision can build a `Permitted`.

#[test]
fn permitted_cannot_be_built_outside_the_policy_crate() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
