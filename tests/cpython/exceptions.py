"""Methods of the interpreter's tests that are not run, with the reason: at most 5 of 100."""

_FORK = (
    "it calls what the library alone calls in a forked child: our locks are shared with the parent"
)
_RLOCK = "it calls a private method that the library's condition has of its lock, or wants its repr"
_HOOK = (
    "a failure is told once, when it is clear that nobody asks for it: not before the thread's end"
)
_INPUT = "what came before the input's error in its chunk is run, and its results are given"
_STATE = "it sets a private state of the library's pool"

_LENT = "a value without a lock lends its memory too"
_SUBMODULE = "its child asks the library's own submodule who started it"

EXCEPTIONS = {
    "locks.LockTests.test_at_fork_reinit": _FORK,
    "locks.EventTests.test_at_fork_reinit": _FORK,
    "locks.RLockTests.test_recursion_count": "it calls a private method that ours has not",
    "locks.ConditionAsRLockTests.test__is_owned": _RLOCK,
    "locks.ConditionAsRLockTests.test_recursion_count": _RLOCK,
    "locks.ConditionAsRLockTests.test_release_save_unacquired": _RLOCK,
    "locks.ConditionAsRLockTests.test_locked_repr": _RLOCK,
    "locks.ConditionAsRLockTests.test_repr": _RLOCK,
    "locks.ConditionTests.test_acquire": "a condition takes locks that other processes can see",
    "threads.ThreadTests.test_limbo_cleanup": "a start that fails is a StartError, an OSError",
    "threads.ThreadTests.test_disallow_instantiation": "our locks are classes, for subclassing",
    "threads.ThreadTests.test_lock_no_subclass": "our locks are classes, for subclassing",
    "threads.ThreadTests.test_tstate_lock": "it looks at the library's private state of a thread",
    "threads.ExceptHookTests.test_custom_excepthook": _HOOK,
    "threads.ExceptHookTests.test_custom_excepthook_fail": _HOOK,
    "threads.ExceptHookTests.test_excepthook": _HOOK,
    "threads.ExceptHookTests.test_original_excepthook": _HOOK,
    "processes.ProcessTests.test_close": "a handle that is closed still says how its task ended",
    "processes.ProcessTests.test_lose_target_ref": "a handle keeps its target until it goes itself",
    "processes.ProcessTests.test_set_executable": "one is chosen before the first process",
    "processes.SubclassTests.test_stderr_flush": "a failure is told by the starter alone",
    "processes.SemaphoreTests.test_timeout": "no timeout without waiting, as in threading",
    "processes.EventTests.test_repr": "a repr begins with the package and has the object's number",
    "processes.ValueTests.test_getobj_getlock": _LENT,
    "processes.ArrayTests.test_getobj_getlock_obj": _LENT,
    "processes.ProcessTests.test_parent_process": _SUBMODULE,
    "processes.ProcessTests.test_parent_process_attributes": _SUBMODULE,
    "pools.PoolTests.test_imap_handle_iterable_exception": _INPUT,
    "pools.ThreadPoolTests.test_imap_handle_iterable_exception": _INPUT,
    "pools.PoolTests.test_resource_warning": _STATE,
    "pools.ThreadPoolTests.test_resource_warning": _STATE,
    "pools.PoolTests.test_map_unplicklable": "what does not pickle is NotPicklable, with its cause",
    "pools.PoolTests.test_traceback": "the traceback of the worker is tarefa's RemoteTraceback",
    "pools.PoolWorkerErrorsTests.test_unpickleable_result": "it is NotPicklable, and says which",
    "pools.PoolWorkerLifetimeTests.test_pool_worker_lifetime": "it calls a private method",
    "pools.ThreadPoolTests.test_make_pool": "threads are made when there is work for them",
    "executors.ProcessExecutorTests.test_no_stale_references": (
        "results are taken when somebody asks for one"
    ),
}
