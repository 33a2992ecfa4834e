//! What keys do.

use std::mem;

use super::keyboard::Key;
use super::question::{Deed, Question};
use super::sample::Row;
use super::view::{Part, View};

/// What keys mean now.
#[derive(Debug)]
pub(super) enum Mode {
    Looks,
    /// A filter is typed.
    Filter,
    /// Whether something is to be done to a task.
    Asks(Question),
    Help,
}

/// What follows from a key.
#[derive(Debug)]
pub(super) enum Then {
    Goes,
    Leaves,
    Pauses,
    Stops,
    /// Whether that is to be done to that task is to be asked.
    Asks(Deed, Box<Row>),
    /// The answer was yes.
    Does(Question),
}

/// One key. `rows` are those that are shown, `page` how many of them.
pub(super) fn press(
    key: Key,
    mode: &mut Mode,
    view: &mut View,
    rows: &[&Row],
    page: usize,
) -> Then {
    // As bytes they come where the terminal is not the controlling one, and sends no signals.
    match key {
        Key::Control('c' | 'd') => return Then::Leaves,
        Key::Control('z') => return Then::Stops,
        _ => {}
    }
    match mode {
        Mode::Filter => {
            match key {
                Key::Enter => *mode = Mode::Looks,
                Key::Esc => {
                    view.filter.clear();
                    *mode = Mode::Looks;
                }
                Key::Backspace => drop(view.filter.pop()),
                Key::Char(letter) => view.filter.push(letter),
                _ => {}
            }
            Then::Goes
        }
        Mode::Asks(_) => match (mem::replace(mode, Mode::Looks), key) {
            // y in English, s in Portuguese.
            (Mode::Asks(question), Key::Char('y' | 'Y' | 's' | 'S')) => Then::Does(question),
            _ => Then::Goes,
        },
        Mode::Help => {
            *mode = Mode::Looks;
            Then::Goes
        }
        Mode::Looks => looks(key, mode, view, rows, page),
    }
}

fn looks(key: Key, mode: &mut Mode, view: &mut View, rows: &[&Row], page: usize) -> Then {
    let page = isize::try_from(page.max(1)).unwrap_or(1);
    let chosen = || rows.iter().find(|row| Some(row.tid) == view.chosen);
    match key {
        Key::Char('q') => return Then::Leaves,
        Key::Esc if view.filter.is_empty() => return Then::Leaves,
        Key::Esc => view.filter.clear(),
        Key::Char(' ') => return Then::Pauses,
        Key::Up => view.choose(rows, -1),
        Key::Down => view.choose(rows, 1),
        Key::PageUp => view.choose(rows, -page),
        Key::PageDown => view.choose(rows, page),
        Key::Home => view.choose(rows, isize::MIN),
        Key::End => view.choose(rows, isize::MAX),
        Key::Char('s') => view.sort = view.sort.next(),
        Key::Char('r') => view.is_reversed = !view.is_reversed,
        Key::Char('/') => {
            view.filter.clear();
            *mode = Mode::Filter;
        }
        Key::Char('?' | 'h') => *mode = Mode::Help,
        Key::Tab => {
            view.part = if view.part == Part::Tasks { Part::Objects } else { Part::Tasks };
        }
        Key::Char(letter @ ('i' | 't' | 'k')) => {
            let deed = match letter {
                'i' => Deed::Interrupt,
                't' => Deed::Terminate,
                _ => Deed::Kill,
            };
            if let Some(row) = chosen() {
                return Then::Asks(deed, Box::new((*row).clone()));
            }
        }
        _ => {}
    }
    Then::Goes
}
