//! The screen: drawn again when something is new.

use std::io;
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use signal_hook::consts::{SIGHUP, SIGINT};
use tarefa_engine::os::terminal;
use tarefa_engine::trace::observe::Program;

use super::alternate::Screen;
use super::hints::hints;
use super::keyboard::{Key, Keyboard};
use super::keys::{self, Mode, Then};
use super::lines::Lines;
use super::question::{Done, Question};
use super::sample::{Sample, Sampler};
use super::signals::{Heard, PATIENCE, Signals};
use super::view::{self, Part, View};
use crate::terminal::{Output, fit};

/// How it came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Somebody has seen enough.
    Left,
    /// The program has ended.
    Over,
    /// That signal ends this process, or would have if the terminal that has gone had sent it.
    Signal(i32),
}

/// What is on the screen.
struct Shown<'a> {
    out: &'a Output,
    program: &'a Program,
    command: String,
    sample: Sample,
    view: View,
    mode: Mode,
    is_paused: bool,
    /// What came of the last deed.
    said: Option<String>,
    /// Interrupts on their way.
    interrupts: Vec<(std::process::Child, String)>,
    /// Rows that fit.
    page: usize,
}

/// Shows the program, looked at so often, until somebody has seen enough or it ends.
pub(super) fn show(
    out: &Output,
    program: &Program,
    lines: &Lines,
    every: Duration,
) -> io::Result<End> {
    let mut signals = Signals::new()?;
    let end = looks(out, program, lines, every, &mut signals);
    match end {
        Err(error) if terminal::is_gone(&error) => {
            Ok(End::Signal(signals.end(Duration::ZERO)?.unwrap_or(SIGHUP)))
        }
        end => end,
    }
}

fn looks(
    out: &Output,
    program: &Program,
    lines: &Lines,
    every: Duration,
    signals: &mut Signals,
) -> io::Result<End> {
    let mut sampler = Sampler::default();
    let sample = sampler.look(out, program, &lines.known());
    lines.want(&sample);
    let mut shown = Shown {
        out,
        program,
        command: program.command_line().unwrap_or_default(),
        sample,
        view: View::new(),
        mode: Mode::Looks,
        is_paused: false,
        said: None,
        interrupts: Vec::new(),
        page: 1,
    };
    shown.choose(0);
    let mut keyboard = Keyboard::new()?;
    let mut screen = Screen::new()?;
    signals.ends_in_any_case(screen.restorer())?;
    let mut next = Instant::now() + every;
    loop {
        screen.draw(|frame| shown.draw(frame))?;
        let time = next.saturating_duration_since(Instant::now());
        let (heard, has_keys) = signals.wait(keyboard.as_fd(), time)?;
        match heard {
            // Ctrl-C.
            Some(Heard::End(SIGINT)) => return Ok(End::Left),
            Some(Heard::End(signal)) => return Ok(End::Signal(signal)),
            Some(Heard::Stop) => {
                stop(&mut screen, signals)?;
                continue;
            }
            Some(Heard::GoOn) => take_again(&mut screen, signals)?,
            Some(Heard::Size) | None => {}
        }
        if has_keys {
            let Some(keys) = keyboard.read()? else { return Ok(End::Signal(SIGHUP)) };
            for key in keys {
                match shown.press(key) {
                    Next::Goes => {}
                    Next::Leaves => return Ok(End::Left),
                    Next::Stops => stop(&mut screen, signals)?,
                }
            }
        }
        if Instant::now() >= next {
            next = Instant::now() + every;
            let sample = sampler.look(out, program, &lines.known());
            if sample.rows.iter().all(|row| matches!(row.state, 'Z' | 'X')) {
                return Ok(End::Over);
            }
            lines.want(&sample);
            if !shown.is_paused {
                shown.sample = sample;
                shown.choose(0);
            }
            shown.hear();
        }
    }
}

/// Stops this process until somebody has it go on.
fn stop(screen: &mut Screen, signals: &Signals) -> io::Result<()> {
    screen.stop()?;
    take_again(screen, signals)
}

/// Takes the terminal again, unless this goes on only to end. A shell that ends a stopped job has it go
/// on as well, in either order, and in the background: there the system stops who takes the terminal,
/// which would not end then.
fn take_again(screen: &mut Screen, signals: &Signals) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    let mut end = signals.end(Duration::ZERO)?;
    while end.is_none() && Screen::is_in_background() && Instant::now() < until {
        end = signals.end(Duration::from_millis(20))?;
    }
    if end.is_none() { screen.enter() } else { Ok(()) }
}

/// What follows from a key for who reads them.
enum Next {
    Goes,
    Leaves,
    Stops,
}

impl Shown<'_> {
    fn choose(&mut self, by: isize) {
        let rows = self.view.rows(self.out, &self.sample);
        let mut view = self.view.clone();
        view.choose(&rows, by);
        self.view = view;
    }

    fn press(&mut self, key: Key) -> Next {
        let mut view = self.view.clone();
        let then = {
            let rows = self.view.rows(self.out, &self.sample);
            keys::press(key, &mut self.mode, &mut view, &rows, self.page)
        };
        self.view = view;
        self.choose(0);
        self.said = None;
        match then {
            Then::Goes => {}
            Then::Leaves => return Next::Leaves,
            Then::Stops => return Next::Stops,
            Then::Pauses => self.is_paused = !self.is_paused,
            Then::Asks(deed, row) => match Question::new(self.out, self.program, deed, row) {
                Ok(question) => self.mode = Mode::Asks(question),
                Err(said) => self.said = Some(said),
            },
            Then::Does(question) => match question.does(self.out) {
                Done::Said(said) => self.said = Some(said),
                Done::OnItsWay(child, name) => self.interrupts.push((child, name)),
            },
        }
        Next::Goes
    }

    /// Says what came of interrupts.
    fn hear(&mut self) {
        let t = |english: String, portuguese: String| self.out.language.pick(english, portuguese);
        let mut said = None;
        self.interrupts.retain_mut(|(child, name)| {
            let Ok(Some(status)) = child.try_wait() else { return true };
            said = Some(if status.success() {
                t(format!("{name} interrupted"), format!("{name}: interrompida"))
            } else {
                t(
                    format!("{name} could not be interrupted: it may have ended"),
                    format!("{name} não pôde ser interrompida: pode ter acabado"),
                )
            });
            false
        });
        self.said = said.or(self.said.take());
    }

    fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let chosen = Style::new().add_modifier(Modifier::REVERSED);
        let mut lines: Vec<(String, Style)> = Vec::new();
        let [first, second] =
            view::summary(self.out, &self.command, self.program.root(), &self.sample);
        lines.push((first, bold));
        lines.push((second, Style::new()));
        let room = height.saturating_sub(lines.len() + 1);
        if matches!(self.mode, Mode::Help) {
            lines.extend(help(self.out).map(|line| (line.to_owned(), Style::new())));
        } else if self.view.part == Part::Objects {
            let objects = view::objects(self.out, &self.sample, width);
            lines.extend(objects.into_iter().take(room).map(|line| (line, Style::new())));
        } else {
            let objects = view::objects(self.out, &self.sample, width);
            // What is below the tasks has a quarter of a high screen.
            let below = if height < 16 { 0 } else { objects.len().min(height / 4) };
            let rows = self.view.rows(self.out, &self.sample);
            let mut table = view::tasks(self.out, &rows, width).into_iter();
            lines.extend(table.next().map(|title| (title, bold)));
            self.page = room.saturating_sub(1 + below + usize::from(below > 0)).max(1);
            let at = rows.iter().position(|row| Some(row.tid) == self.view.chosen).unwrap_or(0);
            let from = at.saturating_sub(self.page - 1);
            let styled = table.zip(&rows).skip(from).take(self.page);
            lines.extend(styled.map(|(line, row)| {
                let is_chosen = Some(row.tid) == self.view.chosen;
                (line, if is_chosen { chosen } else { Style::new() })
            }));
            if below > 0 {
                let top = height.saturating_sub(below + 1);
                lines.resize(top.max(lines.len()), (String::new(), Style::new()));
                lines.extend(objects.into_iter().take(below).map(|line| (line, Style::new())));
            }
        }
        lines.truncate(height.saturating_sub(1));
        lines.resize(height.saturating_sub(1), (String::new(), Style::new()));
        lines.push((self.last_line(width), bold));
        let text: Vec<Line<'_>> = lines
            .iter()
            .map(|(line, style)| {
                let line = self.out.letters(&fit(line, width));
                // The bar of the chosen row is as wide as the screen.
                let blank = width.saturating_sub(line.chars().count());
                Line::styled(line + &" ".repeat(blank), *style)
            })
            .collect();
        frame.render_widget(Paragraph::new(text), area);
    }

    /// What keys do, or what is asked or said.
    fn last_line(&self, width: usize) -> String {
        let t = |english: String, portuguese: String| self.out.language.pick(english, portuguese);
        match &self.mode {
            Mode::Filter => {
                let typed = &self.view.filter;
                t(format!("filter: {typed}_"), format!("filtro: {typed}_"))
            }
            Mode::Asks(question) => question.words(self.out),
            _ => {
                if let Some(said) = self.said.as_ref().filter(|said| !said.is_empty()) {
                    return said.clone();
                }
                hints(self.out, &self.view, self.is_paused, width)
            }
        }
    }
}

fn help(out: &Output) -> [&'static str; 12] {
    out.language.pick(
        [
            "",
            "  up, down, page up, page down   choose a task",
            "  s   sort by the next column    r   the other way round",
            "  /   show only what has these words; Esc shows all",
            "  i   interrupt the task: it gets an exception where it can",
            "  t   terminate its process: SIGTERM",
            "  k   kill its process: SIGKILL",
            "  Tab locks with owners and waiters, queues, pools; and back",
            "  space   pause, and go on",
            "  q   quit; so do Ctrl-C and Esc   Ctrl-Z   stop, until fg",
            "",
            "  any key goes back",
        ],
        [
            "",
            "  setas, page up, page down   escolhem uma tarefa",
            "  s   ordena pela próxima coluna    r   ao contrário",
            "  /   mostra só o que tem estas palavras; Esc mostra tudo",
            "  i   interrompe a tarefa: ela recebe uma exceção onde puder",
            "  t   encerra o seu processo: SIGTERM",
            "  k   mata o seu processo: SIGKILL",
            "  Tab travas com donos e quem espera, filas, pools; e volta",
            "  espaço   pausa, e continua",
            "  q   sai; também Ctrl-C e Esc   Ctrl-Z   para, até fg",
            "",
            "  qualquer tecla volta",
        ],
    )
}
