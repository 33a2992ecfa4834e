"""The check of layers accepts what runs down and names what runs up."""

import pytest

SCRIPT = "check_layers.py"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("task/process.rs", "use crate::os::fork; use crate::sync::Event;"),
        ("task/mod.rs", "use crate::task::record; fn f() { crate::crash_point!(); }"),
        ("collections/list.rs", "use crate::{shm::{Arena, Off}, sync::Latch, os};"),
        ("sync/event.rs", "fn f() { super::wait::spin(); super::super::os::pid(); }"),
        ("sync/event.rs", "mod inner { use super::super::mutex; }"),
        (
            "os/mod.rs",
            "// use crate::task::Task;\n/* crate::pool::x /* nested */ crate::shm */ fn f() {}",
        ),
        (
            "os/mod.rs",
            'const TEXT: &str = "crate::task::x"; const RAW: &str = r#"" crate::shm::x"#;',
        ),
        ("os/mod.rs", "fn f<'a>(x: &'a str) -> char { '\"' }"),
        ("shm/heap.rs", "fn f() { unsafe { g() } }"),
        ("sync/event.rs", "pub(in crate::sync) fn f() {}"),
        ("sync/mod.rs", "// unsafe would be wrong here\nfn unsafe_looking() {}"),
        ("lib.rs", "pub use crate::task::Task; unsafe fn f() {}"),
    ],
)
def test_accepts(check, name, code):
    done = check(SCRIPT, {"lib.rs": "", name: code})
    assert (done.returncode, done.stderr) == (0, "")
    assert "run one way" in done.stdout


@pytest.mark.parametrize(
    ("name", "code", "line", "words"),
    [
        ("os/futex.rs", "\nuse crate::shm::Off;", 2, "os may not name shm"),
        ("shm/heap.rs", "use crate::{os, task::Task};", 1, "shm may not name task"),
        (
            "sync/event.rs",
            "fn f() {\n    crate::collections::list::new()\n}",
            2,
            "sync may not name collections",
        ),
        (
            "collections/list.rs",
            "use super::super::channel;",
            1,
            "collections may not name channel",
        ),
        ("shm/mod.rs", "use super::sync::Latch;", 1, "shm may not name sync"),
        (
            "sync/event.rs",
            "mod inner { use super::super::super::task; }",
            1,
            "sync may not name task",
        ),
        ("pool/mod.rs", "use crate::trace::Span;", 1, "pool may not name trace"),
        (
            "task/mod.rs",
            "macro_rules! m { () => { $crate::pool::go() } }",
            1,
            "task may not name pool",
        ),
        ("task/mod.rs", "use crate::Arena;", 1, "through the crate's root"),
        ("task/mod.rs", "use crate::*;", 1, "through the crate's root"),
        ("error.rs", "use crate::os::Errno;", 1, "error stands beside the rooms"),
        ("task/mod.rs", "fn f() {}\nfn g() { unsafe { h() } }", 2, "unsafe outside os/ and shm/"),
    ],
)
def test_refuses(check, name, code, line, words):
    done = check(SCRIPT, {"lib.rs": "", name: code})
    assert done.returncode == 1
    assert f"src/{name}:{line}: " in done.stderr
    assert words in done.stderr


def test_a_module_beside_the_layers_may_be_named_by_all(check):
    done = check(SCRIPT, {"error.rs": "pub struct Error;", "os/mod.rs": "use crate::error::Error;"})
    assert done.returncode == 0, done.stderr


ALLOWLIST = "scripts/unsafe_allowlist.txt"
UNSAFE = {"task/fork.rs": "unsafe fn f() {}"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({**UNSAFE, ALLOWLIST: "# why\ntask/fork.rs the child runs here\n"}, None),
        ({**UNSAFE, ALLOWLIST: "task/fork.rs\n"}, "gives no reason"),
        ({"task/fork.rs": "fn f() {}", ALLOWLIST: "task/fork.rs once\n"}, "holds no unsafe"),
    ],
)
def test_the_allowlist_gives_reasons_and_is_not_stale(check, files, words):
    done = check(SCRIPT, files)
    assert done.returncode == (words is not None)
    assert (words or "") in done.stderr


def test_an_engine_that_is_not_there_fails(check):
    assert "nothing was checked" in check(SCRIPT, {}).stderr


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"a.rs": "use super::b::B;", "b.rs": "pub struct B;"}, id="one way"),
        pytest.param({"mod.rs": "mod a;\npub use a::A;", "a.rs": "pub struct A;"}, id="given on"),
        pytest.param(
            {
                "mod.rs": "mod a;\npub mod b;\npub use b::B;",
                "a.rs": "use super::B;",
                "b.rs": "pub struct B;",
            },
            id="what a module gives on is its child's",
        ),
        pytest.param(
            {
                "a.rs": "use crate::pool::b::B;",
                "b.rs": "pub struct B;\n#[cfg(test)]\nmod tests { use super::super::a::A; }",
            },
            id="tests",
        ),
        pytest.param(
            {"a.rs": "use super::b;\nfn f() { b::g() }", "b.rs": "// super::a::f"}, id="words"
        ),
        pytest.param(
            {
                "mod.rs": "mod a;\nfn f() { a::g() }",
                "a.rs": "pub(in crate::pool) fn g() {}\npub(super) fn h() {}",
            },
            id="visibility",
        ),
        pytest.param(
            {
                "a/mod.rs": "pub mod low;\npub mod high;",
                "a/high.rs": "use crate::pool::a;\nfn f() { a::low::g() }",
                "a/low.rs": "pub fn g() {}",
            },
            id="through a module, not of it",
        ),
    ],
)
def test_a_room_without_a_circle(check, files):
    files = {f"pool/{name}": code for name, code in files.items()}
    done = check(SCRIPT, {"lib.rs": "", **files})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"a.rs": "use super::b::B;", "b.rs": "use super::a::A;"}, id="two"),
        pytest.param(
            {
                "a.rs": "use crate::pool::{b, c::C};\nfn f() { b::g() }",
                "b.rs": "pub fn g() { super::c::h() }",
                "c.rs": "\n\nuse crate::pool::a::*;",
            },
            id="three",
        ),
        pytest.param(
            {"mod.rs": "pub mod a;\npub struct M;\nfn f() { a::g() }", "a.rs": "use super::M;"},
            id="a child uses what its parent has, and the other way round",
        ),
        pytest.param(
            {
                "mod.rs": "mod a;\npub use a::A;\nimpl A {}\npub const N: u32 = 1;",
                "a.rs": "use super::N;",
            },
            id="given on and used",
        ),
        pytest.param(
            {
                "mod.rs": "pub mod a;\npub mod b;\npub use b::B;",
                "a.rs": "use super::B;",
                "b.rs": "fn f() { super::a::g() }",
            },
            id="by a name given on",
        ),
        pytest.param(
            {
                "a.rs": "fn f() { use super::b::g; g() }",
                "b.rs": "mod m { use super::super::a::f; }",
            },
            id="inside a function, inside a module",
        ),
    ],
)
def test_a_circle_is_told(check, files):
    files = {f"pool/{name}": code for name, code in files.items()}
    done = check(SCRIPT, {"lib.rs": "", **files})
    assert done.returncode == 1
    assert "a circle inside pool: pool/" in done.stderr


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("runtime/handle.rs", "use crate::sync::lock::LockCore;", "runtime may not name sync"),
        ("convert/codec.rs", "use crate::task::current;", "convert may not name task"),
        ("sync/lock.rs", "use crate::convert::codec;", None),
        ("lib.rs", "pub use crate::sync::lock::Lock;", None),
    ],
)
@pytest.mark.parametrize("crate", ["tarefa-python"])
def test_the_fronts_have_rooms_too(check, crate, name, code, words):
    done = check(SCRIPT, {"lib.rs": "", f"crates/{crate}/src/{name}": code})
    assert (done.returncode, words or "") == (1 if words else 0, words or "")
    assert (words or "") in done.stderr


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("heap/slab.rs", "\nuse crate::shm::object::blob::F;", ":2: heap may not name object"),
        ("member/slots.rs", "fn f() { super::super::tx::g() }", ":1: member may not name tx"),
        ("object/blob.rs", "use crate::shm::heap::alloc;\nfn f() { alloc::g() }", None),
        ("mod.rs", "pub mod tx;\nfn f() { tx::g() }", None),
    ],
)
def test_parts_of_shared_memory_run_one_way(check, name, code, words):
    files = {"heap/mod.rs": "", "heap/alloc.rs": "", "tx/mod.rs": "", "object/blob.rs": ""}
    files |= {"object/mod.rs": "", name: code}
    done = check(SCRIPT, {"lib.rs": "", **{f"shm/{n}": text for n, text in files.items()}})
    assert done.returncode == (1 if words else 0), done.stderr
    assert (f"shm/{name}{words}" if words else "") in done.stderr
