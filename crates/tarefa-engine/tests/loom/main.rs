//! Models: the engine's own functions in all interleavings, and with all values that the memory
//! model allows. `README.md` beside this file says what that means, and what it does not.

#![cfg(loom)]
#![allow(missing_docs)]

mod dict;
mod event;
mod latch;
mod list;
mod lock;
mod queue;
mod support;
mod wait_queue;
mod weakened;

/// All of them, by name.
const MODELS: &[(&str, fn())] = &[
    ("dict::a_new_key_beside_a_reader", dict::a_new_key_beside_a_reader),
    ("dict::a_replaced_value_beside_a_reader", dict::a_replaced_value_beside_a_reader),
    ("dict::a_deletion_beside_a_reader", dict::a_deletion_beside_a_reader),
    ("dict::a_move_beside_a_reader", dict::a_move_beside_a_reader),
    ("dict::a_clear_beside_a_reader", dict::a_clear_beside_a_reader),
    ("dict::a_key_that_is_not_there_beside_a_move", dict::a_key_that_is_not_there_beside_a_move),
    ("dict::what_was_deleted_and_put_in_again", dict::what_was_deleted_and_put_in_again),
    ("dict::a_version_tells_of_every_change", dict::a_version_tells_of_every_change),
    ("dict::a_group_beside_a_reader", dict::a_group_beside_a_reader),
    ("dict::killed_replacing_a_value", dict::killed_replacing_a_value),
    ("dict::killed_putting_in_a_key", dict::killed_putting_in_a_key),
    ("dict::killed_moving", dict::killed_moving),
    ("dict::replaced_values_are_seen_in_order", dict::replaced_values_are_seen_in_order),
    (
        "dict::a_new_key_is_not_seen_before_an_earlier_value",
        dict::a_new_key_is_not_seen_before_an_earlier_value,
    ),
    (
        "dict::a_deletion_is_not_seen_before_an_earlier_value",
        dict::a_deletion_is_not_seen_before_an_earlier_value,
    ),
    ("dict::a_length_is_not_seen_before_its_keys", dict::a_length_is_not_seen_before_its_keys),
    ("event::a_flag_raised_for_a_moment", event::a_flag_raised_for_a_moment),
    ("event::a_wait_that_times_out", event::a_wait_that_times_out),
    ("event::a_condition_beside_a_flag", event::a_condition_beside_a_flag),
    ("event::a_level_that_falls", event::a_level_that_falls),
    ("event::a_level_that_is_not_shown_any_more", event::a_level_that_is_not_shown_any_more),
    ("event::killed_raising_the_flag", event::killed_raising_the_flag),
    ("event::killed_lowering_the_flag", event::killed_lowering_the_flag),
    ("event::killed_waiting", event::killed_waiting),
    ("latch::by_turns", latch::by_turns),
    ("latch::killed_beside_one", latch::killed_beside_one),
    ("latch::killed_beside_two", latch::killed_beside_two),
    ("list::append_beside_a_reader", list::append_beside_a_reader),
    ("list::set_beside_a_reader", list::set_beside_a_reader),
    ("list::taking_the_first_beside_a_reader", list::taking_the_first_beside_a_reader),
    ("list::taking_the_last_but_one_and_an_append", list::taking_the_last_but_one_and_an_append),
    ("list::an_append_where_another_was", list::an_append_where_another_was),
    ("list::a_new_table_beside_a_reader", list::a_new_table_beside_a_reader),
    ("list::two_changes_beside_a_reader", list::two_changes_beside_a_reader),
    ("list::appends_of_one_that_is_killed", list::appends_of_one_that_is_killed),
    ("list::a_writer_is_killed", list::a_writer_is_killed),
    ("list::a_group_beside_a_reader", list::a_group_beside_a_reader),
    (
        "list::a_length_is_not_seen_before_its_elements",
        list::a_length_is_not_seen_before_its_elements,
    ),
    (
        "list::an_append_is_not_seen_before_an_earlier_change",
        list::an_append_is_not_seen_before_an_earlier_change,
    ),
    (
        "list::a_change_is_not_seen_before_an_earlier_append",
        list::a_change_is_not_seen_before_an_earlier_append,
    ),
    ("lock::by_turns", lock::by_turns),
    ("lock::a_recursive_one_by_turns", lock::a_recursive_one_by_turns),
    ("lock::a_wait_that_times_out", lock::a_wait_that_times_out),
    ("lock::a_wait_that_is_interrupted", lock::a_wait_that_is_interrupted),
    ("lock::let_go_by_another", lock::let_go_by_another),
    ("lock::waiting_until_it_is_free", lock::waiting_until_it_is_free),
    ("lock::killed_beside_one", lock::killed_beside_one),
    ("lock::killed_beside_two", lock::killed_beside_two),
    ("queue::a_producer_beside_a_consumer", queue::a_producer_beside_a_consumer),
    ("queue::one_place_only", queue::one_place_only),
    ("queue::two_consumers", queue::two_consumers),
    ("queue::a_producer_is_killed", queue::a_producer_is_killed),
    ("queue::a_consumer_is_killed", queue::a_consumer_is_killed),
    ("wait_queue::a_permit_by_turns", wait_queue::a_permit_by_turns),
    (
        "wait_queue::a_permit_and_a_wait_that_times_out",
        wait_queue::a_permit_and_a_wait_that_times_out,
    ),
    (
        "wait_queue::killed_beside_one_who_wants_the_permit",
        wait_queue::killed_beside_one_who_wants_the_permit,
    ),
    ("wait_queue::a_notification_goes_round", wait_queue::a_notification_goes_round),
    (
        "wait_queue::a_notification_of_one_that_is_killed_is_passed_on",
        wait_queue::a_notification_of_one_that_is_killed_is_passed_on,
    ),
    (
        "wait_queue::a_notification_is_not_for_who_came_later",
        wait_queue::a_notification_is_not_for_who_came_later,
    ),
];
