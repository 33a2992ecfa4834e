"""The build backend of the Python package: maturin, and the command `tarefa` beside the extension.

maturin builds one artefact of Rust for a wheel (https://github.com/PyO3/maturin/issues/368). The
command is another one, which `import tarefa` never loads: cargo builds it here, and maturin takes
it from a folder of scripts (`data` in `[tool.maturin]`), as installers put it on PATH. Both come
from one workspace with one profile, so the engine is compiled once.

`maturin build` and `maturin develop` do not come by here: they take the command that was built
last, and refuse to work where the folder is not there.
"""

import argparse
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import maturin

ROOT = Path(__file__).resolve().parent.parent
# As in pyproject.toml, `[tool.maturin]`.
SCRIPTS = ROOT / "build/wheel/scripts"
Settings = Mapping[str, object] | None

build_sdist = maturin.build_sdist
get_requires_for_build_sdist = maturin.get_requires_for_build_sdist
get_requires_for_build_editable = maturin.get_requires_for_build_editable
get_requires_for_build_wheel = maturin.get_requires_for_build_wheel


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: Settings = None
) -> str:
    """Write the metadata into that folder; return its name."""
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    return maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings)


# maturin has one for both.
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_wheel(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel into that folder; return its name."""
    build_command(profile(config_settings))
    return maturin.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Build a wheel that leads to this tree."""
    build_command(profile(config_settings))
    return maturin.build_editable(wheel_directory, config_settings, metadata_directory)


def profile(config_settings: Settings) -> str:
    """Say which profile of cargo's is asked for, as maturin is: `build-args="--profile NAME"`."""
    chosen = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chosen.add_argument("--profile", default="release")
    return chosen.parse_known_args(maturin.get_maturin_pep517_args(config_settings))[0].profile


def build_command(profile: str) -> None:
    """Build the command, and lay it where maturin takes it from."""
    build = ["cargo", "build", "--quiet", "--profile", profile, "--locked", "-p", "tarefa-cli"]
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    # Cross-compiling, as maturin understands it.
    triple = os.environ.get("CARGO_BUILD_TARGET")
    subprocess.run([*build, "--target-dir", str(target)], cwd=ROOT, check=True)
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    folder = "debug" if profile == "dev" else profile
    built = target / (triple or "") / folder / "tarefa"
    # A new file: the old one may be running.
    fresh = SCRIPTS / ".tarefa"
    shutil.copy(built, fresh)
    fresh.replace(SCRIPTS / "tarefa")
