"""Methods of the interpreter's tests that are not run, with the reason: at most 5 of 100."""

_FORK = (
    "it calls what the library alone calls in a forked child: our locks are shared with the parent"
)
_RLOCK = "it calls a private method that the library's condition has of its lock, or wants its repr"
_HOOK = (
    "a failure is told once, when it is clear that nobody asks for it: not before the thread's end"
)

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
}
