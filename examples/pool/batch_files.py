"""A batch over files, on all processors, with its progress: which of them have the same content?

usage: batch_files.py [FOLDER]

Files that cannot be read are told and left out; Ctrl-C ends the workers, too. Without a folder it
looks at a package of Python's own.
"""

import hashlib
import sys
from collections import defaultdict
from pathlib import Path

import tarefa


def digest(path):
    with path.open("rb") as file:
        return path, hashlib.file_digest(file, "sha256").hexdigest()


def told(path):
    """The same; an error is a result as any other."""
    try:
        return digest(path)
    except OSError as error:
        return path, error


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else hashlib.__file__).resolve()
    folder = folder if folder.is_dir() else folder.parent / "json"
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    same, failed = defaultdict(list), 0
    # A line of its own that is written over, where somebody watches.
    shows = sys.stderr.isatty()
    with tarefa.Pool() as pool:
        for done, (path, found) in enumerate(pool.imap_unordered(told, files), 1):
            if isinstance(found, OSError):
                failed += 1
                print(f"{path}: {found.strerror}", file=sys.stderr)
            else:
                same[found].append(path)
            if shows:
                print(f"\r{done}/{len(files)} files", end="", file=sys.stderr, flush=True)
    if shows:
        print(file=sys.stderr)
    for paths in sorted(paths for paths in same.values() if len(paths) > 1):
        print("the same:", *(path.relative_to(folder) for path in sorted(paths)))
    print(f"{len(files)} files, {len(same)} different contents, {failed} not read")


if __name__ == "__main__":
    main()
