"""The check of settings: the page's table is the engine's, and no variable is in neither."""

import pytest

SOURCE = """
pub const ALL: [Setting; 1] = [
    Setting {
        name: "TAREFA_DEPTH",
        value: "a number",
        default: "3",
        meaning: "how \\
                  deep",
        read: "the program",
        in_code: "",
    },
];
pub const INSIDE: &str = "TAREFA_INSIDE";
"""
PAGE = """# Settings

<!-- settings -->
| variable | value | without it | what it sets | who reads it, and when | in code |
|---|---|---|---|---|---|
| `TAREFA_DEPTH` | a number | 3 | how deep | the program | |
<!-- /settings -->

The end.
"""
CONTRIBUTING = """
<!-- development variables -->
| `TAREFA_SEED` | of tests |
<!-- /development variables -->
"""
USER = 'let a = var("TAREFA_DEPTH"); let b = var("TAREFA_INSIDE"); let c = var("TAREFA_SEED");\n'


@pytest.fixture
def settings(check, tmp_path):
    """Check a tree in which some files are otherwise."""

    def run(*options, **otherwise):
        files = {
            "settings.rs": SOURCE,
            "user.rs": USER,
            "docs/settings.md": PAGE,
            "CONTRIBUTING.md": CONTRIBUTING,
        }
        files.update({name.replace("_", ".", 1): text for name, text in otherwise.items()})
        outside = {name: files.pop(name) for name in list(files) if name.endswith(".md")}
        for name, text in outside.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return check("check_settings.py", files, *options)

    return run


def test_all_in_step(settings):
    done = settings()
    assert (done.returncode, done.stderr) == (0, "")


def test_a_page_out_of_step_is_told_and_written(settings, tmp_path):
    changed = SOURCE.replace('"3"', '"4"')
    done = settings(settings_rs=changed)
    assert done.returncode == 1
    assert "docs/settings.md: the table is not that of" in done.stderr
    assert settings("--write", settings_rs=changed).returncode == 0
    assert (tmp_path / "docs/settings.md").read_text() == PAGE.replace("| 3 |", "| 4 |")


def test_a_variable_without_a_row_is_named_with_its_place(settings):
    done = settings(user_rs=USER + 'var("TAREFA_NEW")\n')
    assert done.returncode == 1
    assert done.stderr.startswith("crates/tarefa-engine/src/user.rs:2: TAREFA_NEW is no row of")


def test_a_row_that_nothing_uses_is_named(settings):
    done = settings(user_rs="")
    assert done.stderr == "CONTRIBUTING.md: TAREFA_SEED is used nowhere: remove the row\n"


def test_a_table_that_is_gone_is_told(settings):
    assert "no row was found" in settings(settings_rs="").stderr
