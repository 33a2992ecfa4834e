"""Methods of the interpreter's tests that are not run, with the reason: at most 5 of 100."""

_HOOK = (
    "a failure is told once, when it is clear that nobody asks for it: not before the thread's end"
)
_LENT = "a value without a lock lends its memory too"
_CLOSED = "whether a queue is empty may be asked after close(), too"
_BROKEN = "it looks at a private attribute of the library's executors"
_SOCKET = "it sends a descriptor through an end of a pipe, which is no socket here"

EXCEPTIONS = {
    "locks.EventTests.test_at_fork_reinit": "it looks at the condition inside the library's event",
    "threads.ThreadTests.test_disallow_instantiation": "our locks are classes, for subclassing",
    "threads.ThreadTests.test_lock_no_subclass": "our locks are classes, for subclassing",
    "threads.ThreadTests.test_tstate_lock": "it looks at the library's private state of a thread",
    "threads.ExceptHookTests.test_custom_excepthook": _HOOK,
    "threads.ExceptHookTests.test_custom_excepthook_fail": _HOOK,
    "threads.ExceptHookTests.test_excepthook": _HOOK,
    "threads.ExceptHookTests.test_original_excepthook": _HOOK,
    "processes.ProcessTests.test_close": "a handle that is closed still says how its task ended",
    "processes.ProcessTests.test_parent_process": "what a process that dies has started ends too",
    "processes.SubclassingProcessTests.test_stderr_flush": "a failure is told by the starter alone",
    "processes.SemaphoreTests.test_timeout": "no timeout without waiting, as in threading",
    "processes.EventTests.test_repr": "a repr begins with the package and has the object's number",
    "processes.ValueTests.test_getobj_getlock": _LENT,
    "processes.ArrayTests.test_getobj_getlock_obj": _LENT,
    "processes.TestIgnoreEINTR.test_ignore": "an end holds 256 MiB before who sends to it waits",
    "queues.QueueTests.test_queue_feeder_donot_stop_onexc": "what does not pickle is told by put()",
    "queues.QueueTests.test_closed_queue_empty_exceptions": _CLOSED,
    "queues.ThreadsQueueTests.test_closed_queue_empty_exceptions": _CLOSED,
    "queues.ManagersQueueTests.test_closed_queue_empty_exceptions": _CLOSED,
    "queues.TestSimpleQueue.test_empty_exceptions": _CLOSED,
    "queues.TestSimpleQueue.test_closed": "it looks at the library's private pipe",
    "connections.ConnectionTests.test_fd_transfer": _SOCKET,
    "connections.ConnectionTests.test_large_fd_transfer": _SOCKET,
    "connections.ConnectionTests.test_missing_fd_transfer": _SOCKET,
    "connections.ThreadsConnectionTests.test_spawn_close": "threads share their ends of a pipe",
    "pools.PoolTests.test_map_unplicklable": "what does not pickle is NotPicklable, with its cause",
    "pools.PoolTests.test_traceback": "the traceback of the worker is tarefa's RemoteTraceback",
    "pools.PoolWorkerErrorsTests.test_unpickleable_result": "it is NotPicklable, and says which",
    "pools.PoolWorkerLifetimeTests.test_pool_worker_lifetime": "it calls a private method",
    "pools.ThreadsPoolTests.test_make_pool": "threads are made when there is work for them",
    "executors.ThreadFailingInitializerTests.test_initializer": _BROKEN,
    "executors.ProcessFailingInitializerTests.test_initializer": _BROKEN,
    "executors.ProcessExecutorTests.test_no_stale_references": (
        "results are taken when somebody asks for one"
    ),
}
