"""The check of numbers finds a state or a kind that is compared by number, and nothing else."""

import pytest


@pytest.mark.parametrize(
    "line",
    [
        "if task.state == 3 {}",
        "if task.state() as u32 >= 3 {}",
        "if (it.state.load(Ordering::Acquire) & 0xff) != 0 {}",
        "if 4 < seen.state {}",
        "while object_kind == 1 {}",
        "let it = matches!(handle.kind(), 1 | 3);",
        "match kind { 1 => a(), _ => b() }",
        "match slot.role.load(Ordering::Relaxed) { 2 | 3 => a(), _ => b() }",
        "task.finish(3, 0);",
    ],
)
def test_a_number_in_rust_is_found(check, line):
    done = check("check_numbers.py", {"a.rs": f"fn f() {{\n    {line}\n}}\n"})
    assert done.returncode == 1
    assert done.stderr.startswith("crates/tarefa-engine/src/a.rs:2: a state or a kind")


@pytest.mark.parametrize(
    "line",
    [
        "if task.state() == State::Finished {}",
        "if word & 0xff != State::Starting as u32 {}",
        "if handle.kind() == kinds::LOCK {}",
        "// state == 3",
        'let text = "state == 3";',
        "if statement == 3 || kinds == 2 {}",
        "match kind { kinds::LOCK => 1, _ => 2 }",
        "for kind in 0..3 {}",
        "let state = 3;",
        "if slot.exit.load(Ordering::Acquire) != 0 {}",
    ],
)
def test_what_is_no_number_of_one_is_left_alone(check, line):
    done = check("check_numbers.py", {"a.rs": f"fn f() {{\n    {line}\n}}\n"})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        "task.state == 3",
        "core.state in (1, 2)",
        "0 < state < 3",
        "core.state() >= 3",
        "object_kind != -1",
        "core.finish(3, 0)",
        "print([t for t in ts if t.core.state == 0])",
    ],
)
def test_a_number_in_python_is_found(check, tmp_path, line):
    path = tmp_path / "python/a.py"
    path.parent.mkdir()
    path.write_text(f"\n{line}\n")
    done = check("check_numbers.py", {})
    assert done.returncode == 1
    assert done.stderr.startswith("python/a.py:2: a state or a kind")


@pytest.mark.parametrize(
    "line",
    [
        "task.state == FINISHED",
        "core.state in ALIVE",
        "task.state is State.NEW",
        "core.finish(FINISHED, EXIT_SUCCESS)",
        "kind == 'lock'",
        "statement == 3",
        "code == 0",
        "state = 3",
    ],
)
def test_what_is_none_in_python_is_left_alone(check, tmp_path, line):
    path = tmp_path / "python/a.py"
    path.parent.mkdir()
    path.write_text(f"{line}\n")
    done = check("check_numbers.py", {})
    assert (done.returncode, done.stderr) == (0, "")


def test_a_match_in_python_is_looked_into(check, tmp_path):
    path = tmp_path / "python/a.py"
    path.parent.mkdir()
    path.write_text("match task.state:\n    case 1 | 2:\n        pass\n")
    assert "python/a.py:1:" in check("check_numbers.py", {}).stderr


def test_nothing_to_look_at_is_told(check, tmp_path):
    done = check("check_numbers.py", {}, "--root", str(tmp_path / "nowhere"))
    assert "nothing was checked" in done.stderr
