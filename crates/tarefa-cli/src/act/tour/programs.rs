//! Programs, processes and cores: one program run twice, how a process changes, tasks on one core and two.

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use tarefa::{Barrier, Process};
use tarefa_engine::os::{machine, procfs, signal};
use tarefa_engine::task::State;

use super::experiment::{Experiment, Figure, Measured, Outcome};
use super::numbers::{number, whole};
use super::picture::{Picture, Span};
use super::work::{self, now};
use crate::terminal::Language;

/// The program that is run twice. What it is told becomes its data.
const PROGRAM: &str =
    "total=0; for number in \"$@\"; do total=$((total + number)); done; echo $total";

fn program(language: Language) -> Measured {
    let mut rows = vec![
        ["process", "data", "total"]
            .iter()
            .zip(["processo", "dados", "total"])
            .map(|(en, pt)| (*language.pick(en, &pt)).to_owned())
            .collect::<Vec<_>>(),
    ];
    let mut pids = HashSet::new();
    let mut totals = Vec::new();
    for numbers in [["1", "2", "3"], ["40", "50", "60"]] {
        let run = Command::new("/bin/sh")
            .args(["-c", PROGRAM, "sh"])
            .args(numbers)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let pid = run.id();
        let total = String::from_utf8(run.wait_with_output()?.stdout)?.trim().to_owned();
        pids.insert(pid);
        rows.push(vec![pid.to_string(), numbers.join(" "), total.clone()]);
        totals.push(total);
    }
    let (first, second) = (&rows[1][0], &rows[2][0]);
    let (x, y) = (&totals[0], &totals[1]);
    let size = PROGRAM.len();
    Ok(Outcome {
        holds: pids.len() == 2 && totals == ["6", "150"],
        sentence: language.pick(
            format!(
                "One program of {size} bytes, run twice, made processes {first} and {second}; each \
                 had numbers of its own, and came to {x} and {y}."
            ),
            format!(
                "Um programa de {size} bytes, executado duas vezes, gerou os processos {first} e \
                 {second}; cada um teve os seus próprios números, e chegou a {x} e {y}."
            ),
        ),
        figures: vec![
            Figure::count("programs", language.pick("programs", "programas"), 1),
            Figure::count("processes", language.pick("processes", "processos"), pids.len()),
        ],
        picture: Picture::Table(rows),
        because: None,
    })
}

/// Seconds of each of its phases.
const PHASE: f64 = 0.15;
const STATES: [(char, [&str; 2]); 3] = [
    ('S', ["it waits", "espera"]),
    ('R', ["it runs", "roda"]),
    ('T', ["it is stopped", "está parado"]),
];

fn states(language: Language) -> Measured {
    let task = Process::new(work::phases, (PHASE,));
    let mut own = vec![task.state()];
    let begin = now();
    task.start()?;
    let pid = task.pid().unwrap_or(0);
    let mut looks: Vec<(f64, char)> = Vec::new();
    let mut stopped_at = None;
    while task.is_alive() {
        let at = now() - begin;
        let Some(stat) = procfs::stat(pid) else { break };
        looks.push((at, group(stat.state)));
        own.push(task.state());
        // Somebody else may stop a process, and have it go on.
        match stopped_at {
            None if at > 2.5 * PHASE => {
                stopped_at = Some(at);
                signal::send_process(pid, SIGSTOP)?;
            }
            Some(since) if at - since > PHASE => signal::send_process(pid, SIGCONT).unwrap_or(()),
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(4));
    }
    task.join(None)?;
    own.push(task.state());
    own.dedup();
    let total = now() - begin;
    let ends = looks.iter().skip(1).map(|(at, _)| *at).chain([total]);
    let spans: Vec<(Span, char)> =
        looks.iter().zip(ends).map(|((at, state), end)| ((*at, end), *state)).collect();
    let rows: Vec<(String, Vec<Span>)> = STATES
        .iter()
        .map(|(letter, [en, pt])| {
            let label = format!("{} ({letter})", language.pick(en, pt));
            (label, spans.iter().filter(|(_, s)| s == letter).map(|(span, _)| *span).collect())
        })
        .collect();
    let times: Vec<f64> = rows.iter().map(|(_, spans)| length(spans)).collect();
    let changes = looks.windows(2).filter(|two| two[0].1 != two[1].1).count();
    let names: Vec<String> = own.iter().map(|state| format!("{state:?}").to_uppercase()).collect();
    let names = names.join(", ");
    let figures = STATES.iter().zip(&times).map(|((letter, [en, pt]), time)| {
        let key = match letter {
            'S' => "S",
            'R' => "R",
            _ => "T",
        };
        Figure::new(key, language.pick(en, pt), time * 1000.0, "ms")
    });
    Ok(Outcome {
        holds: times.iter().all(|time| *time > 0.0)
            && own.first() == Some(&State::New)
            && own.last() == Some(&State::Finished),
        sentence: language.pick(
            format!(
                "Seen from outside, process {pid} waited, ran and was stopped, in {changes} \
                 changes; to its author it was {names}."
            ),
            format!(
                "Visto de fora, o processo {pid} esperou, rodou e ficou parado, em {changes} \
                 mudanças; para o seu autor, esteve {names}."
            ),
        ),
        figures: [Figure::count(
            "changes",
            language.pick("changes of state", "mudanças de estado"),
            changes,
        )]
        .into_iter()
        .chain(figures)
        .collect(),
        picture: Picture::Timeline(rows, total),
        because: Some(why_not_parallel(language)),
    })
}

const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;

/// A state of the kernel's as one of those that are shown. D is a wait that nothing interrupts.
fn group(state: char) -> char {
    match state {
        'D' | 'I' => 'S',
        't' => 'T',
        other => other,
    }
}

fn length(spans: &[Span]) -> f64 {
    spans.iter().map(|(a, b)| b - a).sum()
}

/// Why tasks may not have run at once here.
pub(super) fn why_not_parallel(language: Language) -> String {
    if machine::cpu_count() < 2 {
        return language
            .pick(
                "this process may use one core only, and two tasks run at once on two",
                "este processo só pode usar um núcleo, e duas tarefas só rodam ao mesmo tempo em \
                 dois",
            )
            .to_owned();
    }
    language
        .pick(
            "other programs may have had the cores, and a cgroup may grant less than there are",
            "outros programas podem ter ocupado os núcleos, e um cgroup pode conceder menos do que \
             há",
        )
        .to_owned()
}

/// How long tasks are looked at, in seconds.
const SECONDS: f64 = 0.4;

/// When each of so many processes ran, from one moment on.
fn timeline(count: u32, core: Option<usize>) -> Result<Vec<Vec<Span>>, Box<dyn std::error::Error>> {
    let together = Barrier::new(count)?;
    let tasks = (0..count)
        .map(|_| Process::spawn(work::turns, (together.clone(), SECONDS, core)))
        .collect::<Result<Vec<_>, _>>()?;
    let seen = tasks
        .iter()
        .map(|task| Ok::<_, Box<dyn std::error::Error>>(task.result(None)??))
        .collect::<Result<Vec<_>, _>>()?;
    let start = seen.iter().map(|row| row[0].0).fold(f64::INFINITY, f64::min);
    let from_start = |row: &Vec<Span>| {
        let spans = row.iter().map(|(a, b)| (a - start, (b - start).min(SECONDS)));
        spans.filter(|(a, _)| *a < SECONDS).collect()
    };
    Ok(seen.iter().map(from_start).collect())
}

/// How long at least one of them ran, and how long two or more ran at once.
fn at_once(rows: &[Vec<Span>]) -> (f64, f64) {
    let edges = rows.iter().flatten().flat_map(|(a, b)| [(*a, 1), (*b, -1)]);
    let mut edges: Vec<(f64, i32)> = edges.collect();
    edges.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let (mut running, mut before, mut any, mut several) = (0, 0.0, 0.0, 0.0);
    for (at, step) in edges {
        any += if running > 0 { at - before } else { 0.0 };
        several += if running > 1 { at - before } else { 0.0 };
        (running, before) = (running + step, at);
    }
    (any, several)
}

fn picture(rows: Vec<Vec<Span>>, language: Language) -> Picture {
    let name = language.pick("process", "processo");
    let rows = rows.into_iter().zip(1..).map(|(row, i)| (format!("{name} {i}"), row)).collect();
    Picture::Timeline(rows, SECONDS)
}

fn concurrency(language: Language) -> Measured {
    let core = machine::usable_processors()[0];
    let rows = timeline(3, Some(core))?;
    let together = at_once(&rows).1 / SECONDS;
    let turns: usize = rows.iter().map(Vec::len).sum();
    let least = rows.iter().map(Vec::len).min().unwrap_or(0);
    let percent = |row: &Vec<Span>| format!("{:.0}%", 100.0 * length(row) / SECONDS);
    let shares = rows.iter().map(percent).collect::<Vec<_>>().join(", ");
    let ms = number(SECONDS * 1000.0, language);
    Ok(Outcome {
        holds: least >= 2 && together < 0.1,
        sentence: language.pick(
            format!(
                "Three processes on core {core} took {turns} turns in {ms} ms, and had it for \
                 {shares} of the time: all got on, one at a time."
            ),
            format!(
                "Três processos no núcleo {core} revezaram-se {turns} vezes em {ms} ms, e o \
                 tiveram por {shares} do tempo: todos avançaram, um de cada vez."
            ),
        ),
        figures: vec![
            Figure::count("turns", language.pick("turns", "vezes"), turns),
            at_once_figure(together, language),
        ],
        picture: picture(rows, language),
        because: Some(
            language
                .pick(
                    "the system gave one of them no turn in that time: other programs may have had \
                     the core, or a cgroup grants little of it",
                    "o sistema não deu vez a um deles nesse tempo: outros programas podem ter \
                     ocupado o núcleo, ou um cgroup concede pouco dele",
                )
                .to_owned(),
        ),
    })
}

fn at_once_figure(part: f64, language: Language) -> Figure {
    let label = language.pick("of the time two ran at once", "do tempo com dois ao mesmo tempo");
    Figure::new("together", label, (part * 1000.0).round() / 10.0, "%")
}

const ROUNDS: u64 = 30_000_000;

fn parallelism(language: Language) -> Measured {
    // The best of three: others may have the cores for a while.
    let (mut rows, mut part) = (Vec::new(), -1.0);
    for _ in 0..3 {
        let tried = timeline(2, None)?;
        let (any, several) = at_once(&tried);
        if several / any > part {
            (rows, part) = (tried, several / any);
        }
        if part > 0.5 {
            break;
        }
    }
    let mut speed_up: f64 = 0.0;
    for _ in 0..3 {
        let alone = computing(&[0.0])? + computing(&[0.0])?;
        let begin = now() + 0.05;
        speed_up = speed_up.max(alone / computing(&[begin, begin])?);
        if speed_up > 1.5 {
            break;
        }
    }
    let percent = format!("{:.0}%", part * 100.0);
    let times = number(speed_up, language);
    Ok(Outcome {
        holds: speed_up > 1.3 && part > 0.1,
        sentence: language.pick(
            format!(
                "Two processes ran at once for {percent} of the time that either ran, and were \
                 done {times} times as fast as one after the other."
            ),
            format!(
                "Dois processos rodaram ao mesmo tempo em {percent} do tempo, e terminaram {times} \
                 vezes mais rápido que um depois do outro."
            ),
        ),
        figures: vec![
            Figure::new(
                "cores",
                language.pick("cores", "núcleos"),
                whole(machine::cpu_count()),
                "",
            ),
            at_once_figure(part, language),
            Figure::new(
                "speed_up",
                language.pick("speed-up by two", "ganho com dois"),
                speed_up,
                "x",
            ),
        ],
        picture: picture(rows, language),
        because: Some(why_not_parallel(language)),
    })
}

/// How long processes compute that begin at those times, from the first's begin to the last's end.
fn computing(begins: &[f64]) -> Result<f64, Box<dyn std::error::Error>> {
    let tasks = begins
        .iter()
        .map(|begin| Process::spawn(work::compute, (ROUNDS, *begin)))
        .collect::<Result<Vec<_>, _>>()?;
    let mut spans: Vec<Span> = Vec::new();
    for task in tasks {
        spans.push(task.result(None)?);
    }
    let begin = spans.iter().map(|span| span.0).fold(f64::INFINITY, f64::min);
    let end = spans.iter().map(|span| span.1).fold(0.0, f64::max);
    Ok(end - begin)
}

/// In the lesson's order.
pub(super) const EXPERIMENTS: [Experiment; 4] = [
    Experiment {
        number: 1,
        key: "program",
        title: ["A program run twice is two processes", "Um programa executado duas vezes"],
        lesson: [
            "The same program run more than once makes different processes, whose data and moment \
             of execution (context) differ, too.",
            "O mesmo programa executado mais de uma vez gera processos diferentes, que contêm \
             dados e momento de execução (contexto) também diferentes.",
        ],
        measure: program,
    },
    Experiment {
        number: 2,
        key: "states",
        title: ["The state of a process changes", "O estado de um processo muda"],
        lesson: [
            "The process is dynamic and lives for a short time. While it runs, its state changes. \
             It consists of code, data and context.",
            "O processo é dinâmico e tem uma vida curta. Ao longo da sua execução, tem seu estado \
             alterado. Ele é composto por código, dados e contexto.",
        ],
        measure: states,
    },
    Experiment {
        number: 3,
        key: "concurrency",
        title: ["Many tasks on one core take turns", "Muitas tarefas num núcleo revezam-se"],
        lesson: [
            "Concurrency can be had even on processors of one core only, for it lets the processor \
             be shared so that several processes run.",
            "Ela pode ser alcançada mesmo em processadores de apenas um núcleo, pois permite \
             compartilhar o processador de forma a rodar vários processos.",
        ],
        measure: concurrency,
    },
    Experiment {
        number: 4,
        key: "parallelism",
        title: ["On two cores they run at once", "Em dois núcleos rodam ao mesmo tempo"],
        lesson: [
            "Parallelism is a technique that lets programs run faster, by doing several operations \
             at the same time. It needs several machines, or a processor with more than one core.",
            "O paralelismo é uma técnica para permitir que programas rodem mais rápido, executando \
             várias operações ao mesmo tempo. Ela requer várias máquinas ou um processador com \
             mais de um núcleo.",
        ],
        measure: parallelism,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_at_once_is_counted() {
        let rows = vec![vec![(0.0, 1.0), (2.0, 3.0)], vec![(0.5, 2.5)]];
        let (any, several) = at_once(&rows);
        assert!((any - 3.0).abs() < 1e-9 && (several - 1.0).abs() < 1e-9, "{any} {several}");
    }
}
