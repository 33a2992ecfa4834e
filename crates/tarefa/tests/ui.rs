//! What is refused when a program is compiled, and what the compiler says.

#[test]
fn refused_at_compile_time() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/captures_nothing.rs");
    cases.compile_fail("tests/ui/captures.rs");
    cases.compile_fail("tests/ui/function_pointer.rs");
    cases.compile_fail("tests/ui/wrong_arguments.rs");
    cases.compile_fail("tests/ui/target_not_send.rs");
    cases.compile_fail("tests/ui/target_not_copied.rs");
    cases.pass("tests/ui/plain.rs");
    cases.compile_fail("tests/ui/plain_layout.rs");
    cases.compile_fail("tests/ui/plain_fields.rs");
    cases.compile_fail("tests/ui/plain_kinds.rs");
    cases.compile_fail("tests/ui/plain_not_copied.rs");
}
