"""The check of crash points finds every change of shared memory that names none."""

import pytest

SCRIPT = "check_crash_points.py"


@pytest.mark.parametrize(
    "code",
    [
        'fn f() { a.store(1, Release); crash_point!("a.stored"); }',
        'fn f() { crash_point!(\n    "a.before",\n); a\n    .compare_exchange_weak(0, 1, A, B); }',
        'fn f() { let go = || a.swap(1, AcqRel); go(); crash_point!("a.swapped"); }',
        "fn f() {\n    a.store(1, Relaxed); // not shared: a local counter\n}",
        "fn f() {\n    // not shared: a vector of this process\n    v.swap(0, 1);\n}",
        "fn f() {\n    // crash: the caller's\n    self.word\n        .fetch_add(1, Relaxed);\n}",
        "/// Counts.\n// crash: `publish` has it\n#[inline]\nfn f() { a.store(1, Relaxed) }",
        "fn f() { a.load(Acquire); mem::swap(&mut a, &mut b); }",
        '// a.store(1, Relaxed)\nfn f() { "a.store("; }',
        "#[cfg(test)]\nmod tests { fn f() { a.store(1, Relaxed); } }",
        "#[cfg(all(test, loom))]\nmod tests { fn f() { a.store(1, Relaxed); } }",
        "#[test]\nfn f() { a.store(1, Relaxed); }",
        "fn f(a: [u8; 4]) -> [u8; 2] { g() }",
    ],
)
def test_accepts(check, code):
    done = check(SCRIPT, {"shm/word.rs": code})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("code", "line", "call"),
    [
        ("fn f() {\n    a.store(1, Release);\n}", 2, "store"),
        ("fn f() {\n    a\n        .swap(1, Release);\n}", 3, "swap"),
        ("fn f(x: [u8; 4]) { a.fetch_or(1, Release); }", 1, "fetch_or"),
        ("fn f() { a.compare_exchange(0, 1, A, B); }", 1, "compare_exchange"),
        ("fn f() { tx.set(at, 1); }", 1, "tx.set"),
        ("fn f() { unsafe { ptr::copy_nonoverlapping(a, b, 1) } }", 1, "copy_nonoverlapping"),
        # A point elsewhere does not count: before it, after it, around it, within it.
        ('fn f() { crash_point!("f"); }\nfn g() { a.store(1, Release); }', 2, "store"),
        ('fn f() { fn g() { a.store(1, R); } crash_point!("f"); }', 1, "store"),
        ('fn f() { fn g() { crash_point!("g"); } a.store(1, R); }', 1, "store"),
        ("fn f() {\n    b(); // not shared: b is a local\n    a.store(1, R);\n}", 3, "store"),
        ("fn f() {\n    // not shared:\n    a.store(1, R);\n}", 3, "store"),
        ("#[cfg(not(test))]\nfn f() { a.store(1, R); }", 2, "store"),
        ("// not shared: only f\nfn f() {}\nfn g() { a.store(1, R); }", 3, "store"),
    ],
)
def test_refuses(check, code, line, call):
    done = check(SCRIPT, {"shm/word.rs": code})
    assert done.returncode == 1
    assert f"src/shm/word.rs:{line}: {call} changes memory" in done.stderr


def test_os_is_left_out_and_the_rest_is_not(check):
    change = "fn f() { a.store(1, Release); }"
    layers = ["shm", "sync", "collections", "channel", "task", "pool"]
    done = check(SCRIPT, {f"{layer}/mod.rs": change for layer in [*layers, "os", "trace"]})
    assert sorted(line.split("/")[3] for line in done.stderr.splitlines()) == sorted(layers)


def test_a_name_stands_in_one_place(check):
    point = 'fn f() { crash_point!("same"); }'
    done = check(SCRIPT, {"shm/a.rs": point, "task/b.rs": "\n" + point})
    assert done.returncode == 1
    assert "src/task/b.rs:2: the crash point 'same' has that name already at" in done.stderr
    assert "src/shm/a.rs:1" in done.stderr


def test_a_name_is_a_literal(check):
    done = check(SCRIPT, {"shm/a.rs": "fn f() { crash_point!(NAME); }"})
    assert "must be a string literal" in done.stderr


def test_counts_and_lists(check):
    files = {
        "shm/a.rs": 'fn f() { crash_point!("b"); crash_point!( "a" ); }',
        "sync/c.rs": '/// `crash_point!("doc")`\nfn f() { crash_point!("c"); }\n'
        '#[cfg(test)]\nmod tests { fn f() { crash_point!("test"); } }',
    }
    assert check(SCRIPT, files).stdout == "crash points: 3, each named once\n"
    assert check(SCRIPT, files, "--list").stdout == "a\nb\nc\n"


def test_an_engine_that_is_not_there_fails(check):
    assert "nothing was checked" in check(SCRIPT, {}).stderr
