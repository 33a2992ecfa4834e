//! What keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::sample::Row;
use super::view::{Part, View};

/// What is done to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Interrupt,
    Terminate,
    Kill,
}

/// What keys mean now.
#[derive(Clone, Debug)]
pub(super) enum Mode {
    Looks,
    /// A filter is typed.
    Filter,
    /// Whether that is to be done to that task.
    Asks(Deed, Box<Row>),
    Help,
}

/// What follows from a key.
#[derive(Clone, Debug)]
pub(super) enum Then {
    Goes,
    Leaves,
    Pauses,
    Does(Deed, Box<Row>),
}

/// One key. `rows` are those that are shown, `page` how many of them.
pub(super) fn press(
    key: KeyEvent,
    mode: &mut Mode,
    view: &mut View,
    rows: &[&Row],
    page: usize,
) -> Then {
    if key.modifiers.contains(KeyModifiers::CONTROL) && matches!(key.code, KeyCode::Char('c' | 'd'))
    {
        return Then::Leaves;
    }
    match mode {
        Mode::Filter => {
            match key.code {
                KeyCode::Enter => *mode = Mode::Looks,
                KeyCode::Esc => {
                    view.filter.clear();
                    *mode = Mode::Looks;
                }
                KeyCode::Backspace => drop(view.filter.pop()),
                KeyCode::Char(letter) => view.filter.push(letter),
                _ => {}
            }
            Then::Goes
        }
        Mode::Asks(deed, row) => {
            let (deed, row) = (*deed, row.clone());
            *mode = Mode::Looks;
            // y in English, s in Portuguese.
            let is_yes = matches!(key.code, KeyCode::Char('y' | 'Y' | 's' | 'S'));
            if is_yes { Then::Does(deed, row) } else { Then::Goes }
        }
        Mode::Help => {
            *mode = Mode::Looks;
            Then::Goes
        }
        Mode::Looks => looks(key.code, mode, view, rows, page),
    }
}

fn looks(key: KeyCode, mode: &mut Mode, view: &mut View, rows: &[&Row], page: usize) -> Then {
    let page = isize::try_from(page.max(1)).unwrap_or(1);
    let asks = |deed| {
        let row = rows.iter().find(|row| Some(row.tid) == view.chosen)?;
        Some(Mode::Asks(deed, Box::new((*row).clone())))
    };
    match key {
        KeyCode::Char('q') => return Then::Leaves,
        KeyCode::Esc if view.filter.is_empty() => return Then::Leaves,
        KeyCode::Esc => view.filter.clear(),
        KeyCode::Char(' ') => return Then::Pauses,
        KeyCode::Up => view.choose(rows, -1),
        KeyCode::Down => view.choose(rows, 1),
        KeyCode::PageUp => view.choose(rows, -page),
        KeyCode::PageDown => view.choose(rows, page),
        KeyCode::Home => view.choose(rows, isize::MIN),
        KeyCode::End => view.choose(rows, isize::MAX),
        KeyCode::Char('s') => view.sort = view.sort.next(),
        KeyCode::Char('r') => view.is_reversed = !view.is_reversed,
        KeyCode::Char('/') => {
            view.filter.clear();
            *mode = Mode::Filter;
        }
        KeyCode::Char('?' | 'h') => *mode = Mode::Help,
        KeyCode::Tab => {
            view.part = if view.part == Part::Tasks { Part::Objects } else { Part::Tasks };
        }
        KeyCode::Char(letter @ ('i' | 't' | 'k')) => {
            let deed = match letter {
                'i' => Deed::Interrupt,
                't' => Deed::Terminate,
                _ => Deed::Kill,
            };
            if let Some(asking) = asks(deed) {
                *mode = asking;
            }
        }
        _ => {}
    }
    Then::Goes
}
