"""What registries and hosts are told of the project is the same everywhere."""

import re
import tomllib

import pytest
from pages import ROOT

CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text())
PYTHON = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CRATES = {path.parent.name: path for path in sorted(ROOT.glob("crates/*/Cargo.toml"))}
MANIFESTS = {name: tomllib.loads(path.read_text()) for name, path in CRATES.items()}
PUBLISHED = [name for name, it in MANIFESTS.items() if it["package"].get("publish") is not False]
WORKFLOW = (ROOT / ".github/workflows/ci.yml").read_text()


def test_one_address():
    repository = CARGO["workspace"]["package"]["repository"]
    assert PYTHON["urls"]["Repository"] == repository
    assert all(url.startswith(repository) for url in PYTHON["urls"].values())
    for name, manifest in MANIFESTS.items():
        assert manifest["package"]["repository"] == {"workspace": True}, name


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_crate_has_readme_and_licences(name):
    folder = CRATES[name].parent
    assert MANIFESTS[name]["package"]["readme"] == "README.md"
    assert (folder / "README.md").read_text().strip()
    for licence in ("LICENSE-MIT", "LICENSE-APACHE"):
        assert (folder / licence).read_text() == (ROOT / licence).read_text()


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_crate_says_where_its_documentation_is(name):
    package = MANIFESTS[name]["package"]
    assert package["documentation"] == f"https://docs.rs/{name}"
    targets = package["metadata"]["docs"]["rs"]["targets"]
    assert package["metadata"]["docs"]["rs"]["default-target"] in targets


def test_the_crate_and_the_package_show_the_same_readme():
    assert (CRATES["tarefa"].parent / "README.md").resolve() == ROOT / "README.md"
    assert PYTHON["readme"] == "README.md"
    assert PYTHON["description"] == CARGO["workspace"]["package"]["description"]
    assert PYTHON["license"] == CARGO["workspace"]["package"]["license"]


def test_the_crates_want_one_another_in_exactly_this_version():
    version = CARGO["workspace"]["package"]["version"]
    for name in PUBLISHED:
        assert CARGO["workspace"]["dependencies"][name]["version"] == f"={version}"


def test_every_page_with_rust_programs_is_a_test_of_the_crate():
    library = (ROOT / "crates/tarefa/src/lib.rs").read_text()
    pages = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    wanted = {
        str(page.relative_to(ROOT))
        for page in pages
        if re.search("^```rust", page.read_text(), re.MULTILINE)
    }
    assert set(re.findall(r'include_str!\("\.\./(.+?)"\)', library)) == wanted


# The hosted CI.


def listed(pattern):
    return re.search(pattern, WORKFLOW).group(1)


def test_the_hosted_jobs_run_all_that_ci_runs():
    run = (ROOT / ".ci/run").read_text()
    assert "check" in run
    assert "make test;" in run
    makefile = (ROOT / "Makefile").read_text()
    lists = re.findall(r"^TESTS_(?:BESIDE|ALONE) := (.+)$", makefile, re.MULTILINE)
    wanted = {"check", *(name for names in lists for name in names.split())}
    assert len(lists) == 2
    hosted = {name for line in re.findall(r"run: \.ci/run (.+)", WORKFLOW) for name in line.split()}
    assert wanted <= hosted
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert hosted <= targets


def test_the_versions_of_python_are_the_same_everywhere():
    classifiers = re.findall(r"Python :: (3\.\d+)", " ".join(PYTHON["classifiers"]))
    matrix = re.findall(r'"(3\.\d+)"', listed(r"python: (\[.+\])"))
    makefile = re.search(
        r"^PY_VERSIONS \?= (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    ).group(1)
    assert classifiers == matrix == [v for v in makefile.split() if v[-1] != "t"]
    assert PYTHON["requires-python"] == f">={matrix[0]}"
    free = [version for version in makefile.split() if version[-1] == "t"]
    assert all(f'python: "{version}"' in WORKFLOW for version in free)
