"""The rooms of each part of the tree, lowest first: a room may name those before it."""

ENGINE = ("os", "shm", "sync", "collections", "channel", "task", "pool", "trace")
FRONT = ("runtime", "convert", "sync", "collections", "channel", "task", "pool", "trace")

COMMAND = ("terminal", "look", "act", "command")

# Each crate's sources, and the order of its rooms.
CRATES = {
    "crates/tarefa-engine/src": ENGINE,
    "crates/tarefa/src": FRONT,
    "crates/tarefa-cli/src": COMMAND,
    "crates/tarefa-python/src": FRONT,
}

# The Python package: each room is a folder of that name with an underscore before it. Beside them
# stand the package itself, its ways in from outside, and programs that use it as any other does.
PACKAGE = "python/tarefa"
PACKAGE_ROOMS = FRONT
PACKAGE_ENTRY = ("_hooks", "__main__")
PACKAGE_PROGRAMS = ("_tour",)
EXTENSION = "crates/tarefa-python/src"

# Rooms with an order of their own inside: the parts of `shm`.
PARTS = {
    ("crates/tarefa-engine/src", "shm"): (
        "arena",
        "member",
        "tx",
        "trace",
        "heap",
        "object",
        "recovery",
    ),
}

# Rooms of the engine in which `unsafe` is free.
UNSAFE = {"os", "shm"}


def says(order: tuple[str, ...]) -> str:
    """Return the order as one reads it, highest first."""
    return " > ".join(reversed(order))
