//! What this test leaves out.

/// Points that this test does not kill at, and why that is right.
pub(crate) const ALLOWED: &[(&[&str], &str)] = &[
    (
        &[
            "report_request.taken_processes",
            "report_request.taken_threads",
            "backed_pages.unclaimed",
            "heap.left_over_joined",
            "zygote_control.forgotten",
            "zygote_control.forgotten_done",
            "zygote_control.unpopped",
            "zygote_control.unpopped_done",
            "zygote_control.spare_unlisted",
            "zygote_control.task_dropped",
            "zygote_control.task_dropped_done",
            "journal.restored",
            "journal.rolled_back",
            "latch.released_for_dead",
            "recovery.aged",
            "recovery.counted",
            "recovery.latch",
            "recovery.marked",
            "recovery.noted",
            "slots.poked",
            "refcount.returned",
            "refcount.returned_done",
            "refcount.unhung",
            "refcount.unhung_done",
            "slots.process_cleared",
            "slots.process_freed",
            "slots.thread_freed",
            "supervisor.deadline",
            "supervisor.refused",
            "supervisor.remind_at",
            "supervisor.started",
            "supervisor.starting",
            "supervisor.terminated",
            "supervisor.unclaimed",
            "supervisor.watched",
            "supervisor.zygote_ended",
            "supervisor.zygote_slot",
            "task.process_ended",
            "untold.reminded",
        ],
        "passed by the supervisor only, or by the thread that makes its reports: they are threads of \
         the root, whose death ends everything",
    ),
    (
        &["task.kill_taken", "task.kill_taken_back", "task.kill_wanted", "task.termination_noted"],
        "passed by who kills a task, with the signal noted in its record: a death there leaves the \
         note, which the process takes when it begins, or who kills it next; the scenarios kill no \
         tasks, the tests of the fronts do",
    ),
    (
        &["heap.left_over", "heap.left_over_taken"],
        "passed only where somebody does not let go of a latch of the heap; the word is its thread's \
         alone, and the chain is the same before and after",
    ),
    (
        &["thread_slots.swept"],
        "passed only where all slots of threads are taken; a thread that has ended may leave its slot \
         as it was at any step, and so may its process",
    ),
    (
        &["recovery.aged_again", "recovery.cleaned", "recovery.cleaner"],
        "passed only by foreign members that outlive the root, whose objects nobody uses again",
    ),
    (
        &["task.error", "task.outcome_lost", "zygote.spare_refused"],
        "passed only where the system refuses memory or a process",
    ),
    (
        &["zygote_control.cleared", "zygote_control.made", "zygote_control.ready"],
        "passed once in a runtime, by the supervisor when it starts",
    ),
    (
        &["process.max_depth", "process.usual_depth"],
        "one store of one number, before which the old one holds and after which the new one",
    ),
    (
        &["program.dict", "program.dict_done"],
        "the program's dict is made once, by one change under the latch of the roots; until then \
         its maker holds it as it holds any dict, which others here do",
    ),
    (
        &["process.more_spares", "zygote.calmed"],
        "passed after a burst of starts, and ten seconds later; either way one number changes, \
         and any number of spares is right",
    ),
    (
        &["identity.lowering", "identity.replaced", "identity.replacing"],
        "passed only where a program gives rights up that a test may not have: where it has them, \
         `identities` kills there",
    ),
    (
        &["runtime.user"],
        "passed only by a root that has become another user's, and by its successors, which \
         `daemons` kills there",
    ),
    (
        &["task.attempt_forgotten"],
        "passed where a start is tried again that was refused; it is one store, before the task is \
         anybody's",
    ),
    (
        &["supervisor.aged_again", "supervisor.looked_again", "supervisor.zygote_forgotten"],
        "passed by a successor of the root where that, or a member for want of it, was killed in the \
         middle of a clean-up, or of making a zygote: one store, and the next successor does it again",
    ),
    (
        &["latch.given_up"],
        "passed only where whoever has a latch is stopped; it is one store of the thread's own, and \
         the Python tests of stopped members stop them at random",
    ),
    (
        &["zygote_control.unclaimed"],
        "passed only by a starter whose spare dies in the few instructions after it is claimed",
    ),
    (
        &["list.unbacked"],
        "passed only where more pages become free at once than the lists here have; it is one store, \
         and what is backed and not noted as such is backed again",
    ),
    (
        &["trace.refused", "trace.unbacked"],
        "passed only where the system refuses memory for a trace, or all of it is in use; each is one \
         store, of a count or of a chunk that is nobody's again",
    ),
    (
        &["report_request.overdue"],
        "passed only by a wait that lasts longer than reports are asked for; it is one store of the \
         thread's own",
    ),
];

/// Files whose points `crash/channels` and `crash/queues` kill at.
pub(crate) const ELSEWHERE: &[&str] = &[
    "channel/gate.rs",
    "channel/get.rs",
    "channel/pending.rs",
    "channel/pipe.rs",
    "channel/priority.rs",
    "channel/put.rs",
    "channel/queue.rs",
    "channel/resize.rs",
    "channel/unacked.rs",
    "sync/wait_queue.rs",
    "sync/semaphore.rs",
    "sync/condition.rs",
    "sync/barrier.rs",
    "sync/barrier/gone.rs",
    "sync/rwlock.rs",
    "shm/recovery/holds.rs",
    "shm/recovery/wait_nodes.rs",
];
