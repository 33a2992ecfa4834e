"""Pack the crates, check what each package holds, and run the documentation's programs as packed.

Each package must hold README.md and both licences, and name its repository. The doc tests of the
crate `tarefa` run from the unpacked packages, which know nothing of this tree. Needs cargo 1.90 or
later, the first to pack several crates of which one needs another.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WANTED = ("README.md", "LICENSE-MIT", "LICENSE-APACHE", "Cargo.toml")
FIELDS = ("description", "license", "repository", "readme")
FIELDS_PUBLISHED = ("documentation", "keywords", "categories")
# What the doc tests run from, and what they need beside it.
TESTED, BESIDE = "tarefa", ("tarefa-engine", "tarefa-macros")


def missing(package: Path) -> list[str]:
    """Return one sentence for each thing that an unpacked package lacks."""
    found = [
        f"{package.name}: {name} is not in it" for name in WANTED if not (package / name).exists()
    ]
    if (package / "Cargo.toml").exists():
        manifest = tomllib.loads((package / "Cargo.toml").read_text())["package"]
        fields = FIELDS if manifest.get("publish") is False else FIELDS + FIELDS_PUBLISHED
        found += [
            f"{package.name}: its manifest has no {name}"
            for name in fields
            if not manifest.get(name)
        ]
    return found


def pack(target: Path, unpacked: Path) -> list[Path]:
    """Pack all crates of the workspace; return the folders into which they are unpacked."""
    packed = target / "package"
    shutil.rmtree(packed, ignore_errors=True)
    command = ["cargo", "package", "--workspace", "--no-verify", "--allow-dirty", "--quiet"]
    subprocess.run(command, cwd=ROOT, check=True)
    for crate in sorted(packed.glob("*.crate")):
        with tarfile.open(crate) as archive:
            archive.extractall(unpacked, filter="data")
    return sorted(unpacked.iterdir())


def doc_tests(packages: list[Path], target: Path) -> int:
    """Run the doc tests of the packed crate; return the exit code."""
    by_name = {package.name.rpartition("-")[0]: package for package in packages}
    command = ["cargo", "test", "--doc"]
    for name in BESIDE:
        command += ["--config", f"patch.crates-io.{name}.path='{by_name[name]}'"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target / "unpacked-target")}
    # Dependencies are those that the tree was tested with.
    shutil.copy(ROOT / "Cargo.lock", by_name[TESTED] / "Cargo.lock")
    return subprocess.run(command, cwd=by_name[TESTED], env=environment, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--no-tests", action="store_true", help="only look at what is packed")
    options = parser.parse_args()
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
    # Outside the tree, where cargo would take them for members of the workspace.
    with tempfile.TemporaryDirectory() as unpacked:
        packages = pack(target, Path(unpacked))
        found = [sentence for package in packages for sentence in missing(package)]
        for sentence in found:
            print(sentence, file=sys.stderr)
        if found:
            return 1
        names = ", ".join(package.name for package in packages)
        print(f"packages: {names}: each with README and licences")
        return 0 if options.no_tests else doc_tests(packages, target)


if __name__ == "__main__":
    sys.exit(main())
