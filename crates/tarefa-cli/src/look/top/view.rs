//! What is on the screen of `top`, as lines of text: which rows, in which order, how wide.

use super::sample::{self, Held, Row, Sample};
use crate::terminal::{Column, Output, Table, fit};

/// By what rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Program,
    Cpu,
    Memory,
    Name,
    State,
}

impl Sort {
    const ALL: [Self; 5] = [Self::Program, Self::Cpu, Self::Memory, Self::Name, Self::State];

    pub(super) fn next(self) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    pub(super) fn words(self, out: &Output) -> &'static str {
        let t = |english, portuguese| out.language.pick(english, portuguese);
        match self {
            Self::Program => t("by process", "por processo"),
            Self::Cpu => t("by CPU", "por CPU"),
            Self::Memory => t("by memory", "por memória"),
            Self::Name => t("by name", "por nome"),
            Self::State => t("by state", "por estado"),
        }
    }
}

/// Which part is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Tasks,
    Objects,
}

/// How it is shown.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) sort: Sort,
    pub(super) is_reversed: bool,
    pub(super) filter: String,
    pub(super) part: Part,
    /// The thread whose row is chosen.
    pub(super) chosen: Option<i32>,
    /// The threads whose rows were shown when that was chosen, in order.
    order: Vec<i32>,
}

impl View {
    pub(super) fn new() -> Self {
        Self {
            sort: Sort::Cpu,
            is_reversed: false,
            filter: String::new(),
            part: Part::Tasks,
            chosen: None,
            order: Vec::new(),
        }
    }

    /// The rows that the filter lets through, in order. The filter is looked for in what is shown.
    pub(super) fn rows<'a>(&self, out: &Output, sample: &'a Sample) -> Vec<&'a Row> {
        let wanted = self.filter.to_lowercase();
        let shows = |row: &&Row| {
            let text =
                format!("{} {} {} {}", row.pid, row.name, sample::state(out, row), row.stands);
            text.to_lowercase().contains(&wanted)
        };
        let mut rows: Vec<&Row> = sample.rows.iter().filter(shows).collect();
        match self.sort {
            Sort::Program => {}
            Sort::Cpu => rows.sort_by_key(|row| std::cmp::Reverse(row.cpu)),
            Sort::Memory => rows.sort_by_key(|row| std::cmp::Reverse(row.memory)),
            Sort::Name => rows.sort_by(|a, b| a.name.cmp(&b.name)),
            Sort::State => rows.sort_by_key(|row| row.state),
        }
        if self.is_reversed {
            rows.reverse();
        }
        rows
    }

    /// Chooses the row that is so many further, from the first on. Where none is shown, what was chosen
    /// stays so.
    pub(super) fn choose(&mut self, rows: &[&Row], by: isize) {
        let Some(last) = rows.len().checked_sub(1) else { return };
        let to = self.place(rows).saturating_add_signed(by).min(last);
        self.chosen = Some(rows[to].tid);
        self.order = rows.iter().map(|row| row.tid).collect();
    }

    /// Where the chosen row is. One that has gone has left its place to the next that was below it and
    /// is there still, or else to the one above: never to one far away, which is the main program as
    /// often as not.
    fn place(&self, rows: &[&Row]) -> usize {
        let at = |tid: i32| rows.iter().position(|row| row.tid == tid);
        let Some(chosen) = self.chosen else { return 0 };
        let neighbour = || {
            let was = self.order.iter().position(|tid| *tid == chosen)?;
            let (above, below) = self.order.split_at(was);
            below.iter().chain(above.iter().rev()).find_map(|tid| at(*tid))
        };
        at(chosen).or_else(neighbour).unwrap_or(0)
    }
}

/// The first line: the program, and all of it in numbers.
pub(super) fn summary(out: &Output, program: &str, root: i32, sample: &Sample) -> [String; 2] {
    let processes = sample.rows.iter().filter(|row| !row.is_thread).count();
    let (cpu, shared) = (sample::percent(sample.cpu()), out.sized(sample.shared));
    let tasks = sample.rows.iter().filter(|row| row.address.is_some()).count();
    let language = out.language;
    let tasks = language.count(tasks, ["task", "tasks"], ["tarefa", "tarefas"]);
    let processes = language.count(processes, ["process", "processes"], ["processo", "processos"]);
    let numbers = language.pick(
        format!("{tasks} in {processes}  CPU {cpu}  shared {shared}"),
        format!("{tasks} em {processes}  CPU {cpu}  compart. {shared}"),
    );
    // First, so that a narrow terminal shows it.
    let deadlock = if sample.is_deadlock { "DEADLOCK  " } else { "" };
    [format!("tarefa top {root}  {program}"), format!("{deadlock}{numbers}")]
}

/// The rows of tasks, the titles first.
pub(super) fn tasks(out: &Output, rows: &[&Row], width: usize) -> Vec<String> {
    let t = |english, portuguese| out.language.pick(english, portuguese);
    let (name, state) = (Column::words(t("TASK", "TAREFA")), Column::short(t("STATE", "ESTADO")));
    let cpu = Column::numbers("CPU");
    let place = Column::words(t("WHERE IT STANDS", "ONDE ESTÁ"));
    // A narrow terminal has what changes most.
    let is_narrow = width < 60;
    let mut table = if is_narrow {
        Table::new(&[name, state, cpu, place])
    } else {
        let (pid, memory) = (Column::numbers("PID"), Column::numbers(t("MEMORY", "MEMÓRIA")));
        Table::new(&[pid, name, state, cpu, memory, place])
    };
    for row in rows {
        let title = if row.is_thread { format!("└ {}", row.name) } else { row.name.clone() };
        let (state, cpu) = (sample::state(out, row).to_owned(), sample::percent(row.cpu));
        table.row(if is_narrow {
            vec![title, state, cpu, row.stands.clone()]
        } else {
            let pid = if row.is_thread { row.tid } else { row.pid };
            vec![pid.to_string(), title, state, cpu, sample::memory(out, row), row.stands.clone()]
        });
    }
    table.lines(width).iter().map(|line| fit(line, width)).collect()
}

/// Locks with owners and waiters, queues with lengths, pools.
pub(super) fn objects(out: &Output, sample: &Sample, width: usize) -> Vec<String> {
    let t = |english: String, portuguese: String| out.language.pick(english, portuguese);
    let wait = |count| out.language.count(count, ["waits", "wait"], ["espera", "esperam"]);
    let mut lines = Vec::new();
    for Held { name, owners, waiters } in &sample.locks {
        let mut parts = vec![name.clone()];
        if !owners.is_empty() {
            let owners = owners.join(", ");
            parts.push(t(format!("held by {owners}"), format!("com {owners}")));
        }
        if !waiters.is_empty() {
            let count = wait(waiters.len());
            parts.push(format!("{count}: {}", waiters.join(", ")));
        }
        lines.push(parts.join("  "));
    }
    for queue in &sample.queues {
        let (name, length) = (&queue.name, queue.length);
        lines.push(match queue.maxsize {
            0 => t(format!("{name}  {length} in it"), format!("{name}  {length} nela")),
            most => t(
                format!("{name}  {length} of {most} in it"),
                format!("{name}  {length} de {most} nela"),
            ),
        });
    }
    for pool in &sample.pools {
        let (name, workers, busy) = (&pool.name, pool.workers, pool.busy);
        let (waiting, begun) = (pool.waiting, pool.begun);
        lines.push(t(
            format!("{name}  {busy} of {workers} workers busy, {waiting} wait, {begun} begun"),
            format!(
                "{name}  {busy} de {workers} trabalhadores ocupados, {waiting} esperam, {begun} \
                 começadas"
            ),
        ));
    }
    if lines.is_empty() {
        lines.push(t(
            "no lock is held, and there is no queue and no pool".to_owned(),
            "nenhuma trava está em uso, e não há fila nem pool".to_owned(),
        ));
    }
    lines.iter().map(|line| fit(line, width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Language;

    fn row(pid: i32, name: &str, cpu: u64, state: char) -> Row {
        Row {
            pid,
            tid: pid,
            name: name.to_owned(),
            is_thread: false,
            is_main: false,
            state,
            cpu,
            cpu_ns: 0,
            memory: Some(cpu << 20),
            stands: format!("{name}.py:1 in f"),
            is_placed: false,
            address: None,
        }
    }

    fn sample() -> Sample {
        let rows = vec![row(3, "eva", 10, 'S'), row(1, "ana", 99, 'R'), row(2, "rui", 0, 'T')];
        let locks = vec![Held {
            name: "Lock 4".to_owned(),
            owners: vec!["ana".to_owned()],
            waiters: vec!["eva".to_owned(), "rui".to_owned()],
        }];
        Sample { rows, locks, ..Sample::default() }
    }

    fn names(view: &View, sample: &Sample) -> Vec<String> {
        let out = Output::new(Some(Language::English), false);
        view.rows(&out, sample).iter().map(|row| row.name.clone()).collect()
    }

    #[test]
    fn rows_are_sorted_and_filtered() {
        let (mut view, sample) = (View::new(), sample());
        assert_eq!(names(&view, &sample), ["ana", "eva", "rui"]);
        view.is_reversed = true;
        assert_eq!(names(&view, &sample), ["rui", "eva", "ana"]);
        view.sort = Sort::Name;
        assert_eq!(names(&view, &sample), ["rui", "eva", "ana"]);
        view.filter = "STOPPED".to_owned();
        assert_eq!(names(&view, &sample), ["rui"]);
        view.filter = "eva.py".to_owned();
        assert_eq!(names(&view, &sample), ["eva"]);
    }

    #[test]
    fn a_choice_stays_with_its_task() {
        let out = Output::new(Some(Language::English), false);
        let (mut view, sample) = (View::new(), sample());
        let rows = view.rows(&out, &sample);
        view.choose(&rows, 0);
        assert_eq!(view.chosen, Some(1));
        view.choose(&rows, 1);
        view.sort = Sort::Name;
        view.choose(&view.clone().rows(&out, &sample), 5);
        assert_eq!(view.chosen, Some(2));
        view.choose(&[], 1);
        assert_eq!(view.chosen, Some(2));
    }

    #[test]
    fn who_takes_the_place_of_a_row_that_has_gone_is_chosen() {
        let tasks: Vec<Row> = (0..5).map(|pid| row(pid, "eva", 0, 'S')).collect();
        let only = |pids: &[usize]| -> Vec<&Row> { pids.iter().map(|pid| &tasks[*pid]).collect() };
        let mut view = View::new();
        view.choose(&only(&[0, 1, 2, 3, 4]), 0);
        view.choose(&only(&[0, 1, 2, 3, 4]), 2);
        // Sorted otherwise: with its task.
        view.choose(&only(&[4, 2, 0, 1, 3]), 0);
        assert_eq!(view.chosen, Some(2));
        // Gone together with the one below it.
        view.choose(&only(&[4, 1, 3]), 0);
        assert_eq!(view.chosen, Some(1));
        view.choose(&only(&[4, 3]), 0);
        assert_eq!(view.chosen, Some(3));
        // None is below it.
        view.choose(&only(&[4]), 0);
        assert_eq!(view.chosen, Some(4));
    }

    #[test]
    fn forty_columns_are_enough() {
        let out = Output::new(Some(Language::Portuguese), false);
        let (view, sample) = (View::new(), sample());
        let rows = view.rows(&out, &sample);
        for width in [40, 80] {
            let lines = [tasks(&out, &rows, width), objects(&out, &sample, width)].concat();
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:?}");
        }
        assert_eq!(objects(&out, &sample, 80)[0], "Lock 4  com ana  2 esperam: eva, rui");
    }
}
