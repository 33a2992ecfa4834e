"""``python -m tarefa``: the tour, which is of the package; all else is the command's."""

import os
import sys
import sysconfig


def _main() -> int:
    arguments = sys.argv[1:]
    if arguments[:1] == ["tour"]:
        from tarefa._tour._command import main

        return main(arguments[1:])
    command = os.path.join(sysconfig.get_path("scripts"), "tarefa")
    try:
        os.execv(command, [command, *arguments])  # noqa: S606 - our own, by its path
    except OSError as error:
        sys.stderr.write(
            f"tarefa: the command is not where it was installed, {command}: {error.strerror}\n"
            "python -m tarefa tour works without it; cargo install tarefa-cli brings it back\n"
        )
        return 2


if __name__ == "__main__":
    sys.exit(_main())
