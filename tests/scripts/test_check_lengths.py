"""The check of lengths counts the lines of source files, and of those only."""


def test_lengths(check):
    done = check(
        "check_lengths.py", {"long.rs": "\n" * 801, "fits.rs": "\n" * 800, "long.txt": "\n" * 900}
    )
    assert done.returncode == 1
    assert done.stderr == (
        "crates/tarefa-engine/src/long.rs: 801 lines, more than 800: split it by concept\n"
    )
