//! What is refused when a program is compiled, and what the compiler says.

#[test]
fn refused_at_compile_time() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/captures_nothing.rs");
    cases.compile_fail("tests/ui/captures.rs");
    cases.compile_fail("tests/ui/function_pointer.rs");
    cases.compile_fail("tests/ui/wrong_arguments.rs");
}
