"""``register_joblib_backend``: for programs that use joblib."""

from __future__ import annotations


def register_joblib_backend() -> None:
    """Make the backend ``"tarefa"`` known to joblib.

    >>> tarefa.register_joblib_backend()  # doctest: +SKIP
    >>> with joblib.parallel_config(backend="tarefa"):  # doctest: +SKIP
    ...     joblib.Parallel(n_jobs=2)(joblib.delayed(pow)(n, 2) for n in range(9))

    Its workers are processes that stay for the next call; ``parallel_config(backend="tarefa",
    kind="thread")`` has threads.

    Raises:
        ImportError: joblib is not installed.
    """
    try:
        from tarefa._pool._joblib import register
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "joblib":
            raise
        text = "joblib is not installed: `pip install tarefa[joblib]`"
        raise ImportError(text, name="joblib") from error
    register()
