//! What this test leaves out.

/// Points that this test does not kill at, and why that is right.
pub(crate) const ALLOWED: &[(&[&str], &str)] = &[
    (
        &[
            "asking.taken_processes",
            "asking.taken_threads",
            "claims.unclaimed",
            "control.forgotten",
            "control.forgotten_done",
            "control.unpopped",
            "control.unpopped_done",
            "control.spare_unlisted",
            "control.task_dropped",
            "control.task_dropped_done",
            "journal.restored",
            "journal.rolled_back",
            "latch.released_for_dead",
            "reclaim.aged",
            "reclaim.latch",
            "reclaim.marked",
            "reclaim.noted",
            "slots.poked",
            "references.returned",
            "references.returned_done",
            "references.unhung",
            "references.unhung_done",
            "slots.process_cleared",
            "slots.process_freed",
            "slots.thread_freed",
            "supervisor.deadline",
            "supervisor.refused",
            "supervisor.started",
            "supervisor.starting",
            "supervisor.unclaimed",
            "supervisor.watched",
            "supervisor.zygote_ended",
            "supervisor.zygote_slot",
            "task.process_ended",
        ],
        "passed by the supervisor only, or by the thread that makes its reports: they are threads of \
         the root, whose death ends everything",
    ),
    (
        &["reclaim.aged_again", "reclaim.cleaner"],
        "passed only by foreign members that outlive the root, whose objects nobody uses again",
    ),
    (
        &["task.error", "task.outcome_lost", "zygote.spare_refused"],
        "passed only where the system refuses memory or a process",
    ),
    (
        &["control.cleared", "control.made", "control.ready"],
        "passed once in a runtime, by the supervisor when it starts",
    ),
    (
        &["process.more_spares", "zygote.calmed"],
        "passed after a burst of starts, and ten seconds later; either way one number changes, \
         and any number of spares is right",
    ),
    (
        &["control.unclaimed"],
        "passed only by a starter whose spare dies in the few instructions after it is claimed",
    ),
];
