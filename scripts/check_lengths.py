"""Check that no source file is longer than 800 lines: split it by concept before it is."""

import argparse
import os
import sys
from pathlib import Path

MOST = 800
SUFFIXES = {".rs", ".py", ".pyi", ".sh"}
SKIPPED = {"target", "build", "dist", "__pycache__"}


def too_long(root: Path) -> list[str]:
    """Return one sentence for each file below `root` that is too long."""
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and name[0] != ".")
        for name in sorted(files):
            path = Path(folder, name)
            if path.suffix in SUFFIXES:
                lines = path.read_bytes().count(b"\n")
                if lines > MOST:
                    place = path.relative_to(root)
                    found.append(f"{place}: {lines} lines, more than {MOST}: split it by concept")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=f"Fail on source files over {MOST} lines.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    found = too_long(parser.parse_args().root.resolve())
    for sentence in found:
        print(sentence, file=sys.stderr)
    if found:
        return 1
    print(f"lengths: no source file has more than {MOST} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
