//! The screen: drawn again when something is new, put back as it was in the end.

use std::io::{self, Read, Stdout};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use ratatui::{Frame, Terminal};
use tarefa_engine::os::pidfd;
use tarefa_engine::trace::observe::Program;

use super::interrupts::interrupter;
use super::keys::{self, Deed, Mode, Then};
use super::lines::Lines;
use super::sample::{Row, Sample, Sampler};
use super::view::{self, Part, View};
use crate::terminal::{Output, fit};

/// How it came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Somebody has seen enough.
    Left,
    /// The program has ended.
    Over,
}

/// The signals that end this process, and let it put the terminal back first.
const ENDS: [i32; 3] =
    [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP, signal_hook::consts::SIGQUIT];

/// The terminal, as long as this has it.
struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    fn new() -> io::Result<Self> {
        enable_raw_mode()?;
        // From here on the drop puts it back, also where the rest fails.
        let mut screen = Self { terminal: Terminal::new(CrosstermBackend::new(io::stdout()))? };
        execute!(screen.terminal.backend_mut(), EnterAlternateScreen, cursor::Hide)?;
        screen.terminal.clear()?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(self.terminal.backend_mut(), LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
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
    /// An interrupt on its way.
    interrupts: Option<(std::process::Child, String)>,
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
    let (mut stops, theirs) = UnixStream::pair()?;
    stops.set_nonblocking(true)?;
    for signal in ENDS {
        signal_hook::low_level::pipe::register(signal, theirs.try_clone()?)?;
    }
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
        interrupts: None,
        page: 1,
    };
    shown.choose(0);
    let mut screen = Screen::new()?;
    let mut next = Instant::now() + every;
    loop {
        screen.terminal.draw(|frame| shown.draw(frame))?;
        let mut is_new = false;
        while !is_new {
            if stops.read(&mut [0]).is_ok() {
                return Ok(End::Left);
            }
            if event::poll(next.saturating_duration_since(Instant::now()))? {
                is_new = true;
                let key = match event::read()? {
                    Event::Key(key) if key.kind != KeyEventKind::Release => Some(key),
                    _ => None,
                };
                if key.is_some_and(|key| shown.press(key)) {
                    return Ok(End::Left);
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
                is_new = true;
            }
        }
    }
}

impl Shown<'_> {
    fn choose(&mut self, by: isize) {
        let rows = self.view.rows(self.out, &self.sample);
        let mut view = self.view.clone();
        view.choose(&rows, by);
        self.view = view;
    }

    /// A key; true where it is the last.
    fn press(&mut self, key: event::KeyEvent) -> bool {
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
            Then::Leaves => return true,
            Then::Pauses => self.is_paused = !self.is_paused,
            Then::Does(deed, row) => self.said = Some(self.does(deed, &row)),
        }
        false
    }

    /// Does that, and says so.
    fn does(&mut self, deed: Deed, row: &Row) -> String {
        let t = |english: String, portuguese: String| self.out.language.pick(english, portuguese);
        let name = &row.name;
        if deed == Deed::Interrupt {
            let Some(at) = &row.address else {
                return t(format!("{name} is no task"), format!("{name} não é uma tarefa"));
            };
            return match interrupter(at) {
                Ok(child) => {
                    self.interrupts = Some((child, name.clone()));
                    String::new()
                }
                Err(error) => error.to_string(),
            };
        }
        if row.is_thread {
            let pid = row.pid;
            return t(
                format!("a thread cannot be ended alone: interrupt it, or end its process {pid}"),
                format!("uma thread não acaba sozinha: interrompa-a, ou encerre o processo {pid}"),
            );
        }
        let number = match deed {
            Deed::Kill => signal_hook::consts::SIGKILL,
            _ => signal_hook::consts::SIGTERM,
        };
        match self.signal(row.pid, number) {
            Ok(true) if deed == Deed::Kill => t(format!("{name} killed"), format!("{name}: morto")),
            Ok(true) => t(format!("{name}: SIGTERM sent"), format!("{name}: SIGTERM enviado")),
            Ok(false) => t(format!("{name} has ended"), format!("{name} já acabou")),
            Err(error) => format!("{name}: {error}"),
        }
    }

    /// False where the process is none of the program's any more.
    fn signal(&self, pid: i32, number: i32) -> io::Result<bool> {
        let Ok(process) = pidfd::open(pid) else { return Ok(false) };
        // The number is its own as long as it is a member: looked at once there is a descriptor.
        if !self.program.members().iter().any(|member| member.pid == pid) {
            return Ok(false);
        }
        pidfd::send_signal(process.as_fd(), number).map(|()| true)
    }

    /// Says what came of an interrupt.
    fn hear(&mut self) {
        let Some((child, name)) = &mut self.interrupts else { return };
        let Ok(Some(status)) = child.try_wait() else { return };
        let t = |english: String, portuguese: String| self.out.language.pick(english, portuguese);
        self.said = Some(if status.success() {
            t(format!("{name} interrupted"), format!("{name}: interrompida"))
        } else {
            t(
                format!("{name} could not be interrupted: it may have ended"),
                format!("{name} não pôde ser interrompida: pode ter acabado"),
            )
        });
        self.interrupts = None;
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
        lines.push((self.last_line(), bold));
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
    fn last_line(&self) -> String {
        let t = |english: String, portuguese: String| self.out.language.pick(english, portuguese);
        match &self.mode {
            Mode::Filter => {
                let typed = &self.view.filter;
                t(format!("filter: {typed}_"), format!("filtro: {typed}_"))
            }
            Mode::Asks(deed, row) => {
                let (name, pid) = (&row.name, row.tid);
                let (english, portuguese) = match deed {
                    Deed::Interrupt => ("interrupt", "interromper"),
                    Deed::Terminate => ("terminate", "encerrar"),
                    Deed::Kill => ("kill", "matar"),
                };
                let all = if row.is_main && *deed != Deed::Interrupt {
                    t(
                        ", and all its tasks with it".to_owned(),
                        ", e com ele todas as suas tarefas".to_owned(),
                    )
                } else {
                    String::new()
                };
                t(
                    format!("{english} {name} ({pid}){all}? y/n"),
                    format!("{portuguese} {name} ({pid}){all}? s/n"),
                )
            }
            _ => {
                if let Some(said) = self.said.as_ref().filter(|said| !said.is_empty()) {
                    return said.clone();
                }
                let mut parts = vec![self.view.sort.words(self.out).to_owned()];
                if self.is_paused {
                    parts.push(t("paused".to_owned(), "pausado".to_owned()));
                }
                if !self.view.filter.is_empty() {
                    parts.push(format!("/{}", self.view.filter));
                }
                parts.push(t(
                    "? help  q quit  s sort  / filter  i interrupt  k kill  Tab locks".to_owned(),
                    "? ajuda  q sair  s ordem  / filtro  i interromper  k matar  Tab travas"
                        .to_owned(),
                ));
                parts.join("  ")
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
            "  q   quit; so do Ctrl-C and Esc",
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
            "  q   sai; também Ctrl-C e Esc",
            "",
            "  qualquer tecla volta",
        ],
    )
}
