//! The terminal, as long as `top` has it: its alternate screen, and each key as it is pressed.

use std::io::{self, Stdout};
use std::mem::ManuallyDrop;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::terminal::{Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::crossterm::{cursor, execute};
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use signal_hook::consts::SIGTSTP;
use tarefa_engine::os::signal;
use tarefa_engine::os::terminal::{self, Modes};

const INPUT: i32 = 0;
const OUTPUT: i32 = 1;
/// The size of a terminal that does not say its own.
const SIZE: (u16, u16) = (80, 24);
/// Leaves the alternate screen and shows the cursor, for who can wait for nobody.
const LEAVES: &[u8] = b"\x1b[?1049l\x1b[?25h";

/// See the module. Dropped, it puts the terminal back.
pub(super) struct Screen {
    /// Never dropped: on a terminal that has gone its drop complains, and panics as that fails too.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    before: Modes,
    is_entered: bool,
}

/// Puts the terminal back also where whoever has it does not get to that.
#[derive(Debug)]
pub(super) struct Restorer {
    before: Modes,
}

impl Restorer {
    /// Lets who is writing to the terminal get on.
    pub(super) fn free_output() {
        terminal::free_output(OUTPUT);
    }

    /// Puts it back, and waits for nobody.
    pub(super) fn restore(&self) {
        terminal::write_at_once(OUTPUT, LEAVES);
        give_back(&self.before);
    }
}

/// Who is in the background would be stopped for it, and has a shell that has seen to its modes.
fn give_back(before: &Modes) {
    if !terminal::is_in_background(INPUT) {
        let _ = before.give(INPUT);
    }
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn new() -> io::Result<Self> {
        let viewport = Viewport::Fixed(area());
        let backend = CrosstermBackend::new(io::stdout());
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport })?;
        let terminal = ManuallyDrop::new(terminal);
        let mut screen = Self { terminal, before: Modes::of(INPUT)?, is_entered: false };
        // Where the rest fails the drop puts it back.
        screen.enter()?;
        Ok(screen)
    }

    pub(super) fn restorer(&self) -> Restorer {
        Restorer { before: self.before }
    }

    /// Takes the terminal, or takes it again from who had it in between, and draws all of it next.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        // The modes first: in the background that is where the system stops this, before it writes.
        self.before.key_by_key(terminal::is_controlling(INPUT)).give(INPUT)?;
        self.is_entered = true;
        execute!(
            self.terminal.backend_mut(),
            EnterAlternateScreen,
            Clear(ClearType::All),
            cursor::Hide
        )?;
        self.terminal.resize(area())
    }

    fn leave(&mut self) -> io::Result<()> {
        if self.is_entered {
            self.is_entered = false;
            let left = execute!(self.terminal.backend_mut(), LeaveAlternateScreen, cursor::Show);
            give_back(&self.before);
            left?;
        }
        Ok(())
    }

    /// Gives the terminal back and stops this process, until somebody has it go on.
    pub(super) fn stop(&mut self) -> io::Result<()> {
        self.leave()?;
        signal::act_by_default(SIGTSTP)
    }

    /// Whether a shell, or another job, has the terminal now.
    pub(super) fn is_in_background() -> bool {
        terminal::is_in_background(INPUT)
    }

    /// Draws what has changed, as long as this has the terminal.
    pub(super) fn draw(&mut self, draws: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if !self.is_entered {
            return Ok(());
        }
        let now = area();
        if self.terminal.get_frame().area() != now {
            self.terminal.resize(now)?;
        }
        self.terminal.draw(draws).map(drop)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.leave();
    }
}

/// All of the terminal. Asked for here: ratatui executes another program where there are no columns.
fn area() -> Rect {
    let (columns, rows) = terminal::size(OUTPUT).unwrap_or(SIZE);
    let or = |said: u16, else_: u16| if said == 0 { else_ } else { said };
    Rect::new(0, 0, or(columns, SIZE.0), or(rows, SIZE.1))
}
