"""One budget of processors over pools in pools, and libraries that have threads of their own.

A pool of processes shares what its own process has among its workers: that is how many workers a
pool in a worker has where none are asked for, and how many threads BLAS and OpenMP make there.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from tarefa._engine import cpu_count

# What says how many threads a library makes, read when it is imported.
VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# Modules that have loaded such a library.
_LOADED = ("numpy", "scipy", "torch", "sklearn")

_share: int | None = None
# Keeps the limits of libraries that were loaded before.
_limits: Any = None


def cores() -> int:
    """How many processors are this process's to use: in a pool's worker, its share."""
    return cpu_count() if _share is None else _share


def share_for(workers: int) -> int:
    """How many of them each of so many workers gets."""
    return max(1, cores() // workers)


def take(share: int) -> None:
    """In a worker: have so many processors. What the user's environment says of threads stays."""
    global _share, _limits
    _share = share
    for name in VARIABLES:
        os.environ.setdefault(name, str(share))
    if any(name in sys.modules for name in _LOADED):
        # They have read their variables already.
        import importlib

        try:
            threadpoolctl: Any = importlib.import_module("threadpoolctl")
        except ImportError:
            return
        if all(os.environ[name] == str(share) for name in VARIABLES):
            _limits = threadpoolctl.threadpool_limits(share)
