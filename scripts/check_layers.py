"""Check that imports run one way between the rooms, and in no circle inside them.

`rooms.py` says which rooms there are, and in which order; `layers_rust.py` looks at the crates,
`layers_python.py` at the package.
Without `--root` it is this tree that is looked at.
"""

import argparse
import sys
from pathlib import Path

import layers_python
import layers_rust
from rooms import CRATES, PACKAGE, PACKAGE_ROOMS, says


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the rooms of the tree.")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    root = parser.parse_args().root.resolve()
    found = [*layers_rust.problems(root), *layers_python.problems(root)]
    for sentence in found:
        print(sentence, file=sys.stderr)
    if found:
        return 1
    for name, order in {**CRATES, PACKAGE: PACKAGE_ROOMS}.items():
        print(f"{name}: imports run one way, {says(order)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
