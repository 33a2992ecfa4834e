//! Whose memory it is, what tasks cost, and how their author keeps them.

use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use tarefa::{Barrier, Event, List, Lock, Process, Task, Thread, Value, sleep};
use tarefa_engine::task::State;

use super::experiment::{Experiment, Figure, Measured, Outcome};
use super::numbers::{number, whole};
use super::picture::Picture;
use super::programs::why_not_parallel;
use super::work::{self, now};
use crate::terminal::Language;

const TASKS: usize = 4;
const EACH: u32 = 1000;

type Tasks = Vec<Box<dyn Task>>;

/// Starts them, and waits for them.
fn run(tasks: &Tasks) -> Result<(), Box<dyn Error>> {
    for task in tasks {
        task.start()?;
    }
    join(tasks)
}

fn join(tasks: &Tasks) -> Result<(), Box<dyn Error>> {
    for task in tasks {
        task.join(None)?;
    }
    Ok(())
}

fn lists(language: Language) -> Measured {
    let make = |kind: fn() -> Box<dyn Task>| (0..TASKS).map(|_| kind()).collect::<Tasks>();
    work::empty_plain();
    run(&make(|| Box::new(Thread::new(work::fill_plain, (EACH,)))))?;
    let threads = work::empty_plain();
    run(&make(|| Box::new(Process::new(work::fill_plain, (EACH,)))))?;
    let processes = work::empty_plain();
    let list = List::<u32>::new()?;
    let tasks = (0..TASKS)
        .map(|_| {
            Box::new(Process::new(work::fill_shared, (list.clone(), EACH, 0))) as Box<dyn Task>
        })
        .collect();
    run(&tasks)?;
    let shared = list.len();
    let all = TASKS * EACH as usize;
    let rows = [
        ("threads", language.pick("threads, list", "threads, lista"), threads),
        ("processes", language.pick("processes, list", "processos, lista"), processes),
        ("shared", language.pick("processes, tarefa::List", "processos, tarefa::List"), shared),
    ];
    let count = |n: usize| number(whole(n), language);
    let (a, t, p, s) = (count(all), count(threads), count(processes), count(shared));
    Ok(Outcome {
        holds: (threads, processes, shared) == (all, 0, all),
        sentence: language.pick(
            format!(
                "Of {a} numbers that four tasks appended, {t} were in the list of threads, {p} in \
                 that of processes, and {s} in the one that processes share."
            ),
            format!(
                "Dos {a} números que quatro tarefas acrescentaram, {t} estavam na lista das \
                 threads, {p} na dos processos, e {s} na que os processos compartilham."
            ),
        ),
        figures: rows.iter().map(|(key, label, n)| Figure::count(key, label, *n)).collect(),
        picture: Picture::Bars(
            rows.iter().map(|(_, label, n)| ((*label).to_owned(), whole(*n))).collect(),
            "",
        ),
        because: None,
    })
}

const TIMES: u32 = 200_000;
const ROUNDS: usize = 20;

/// To how much two processes count.
fn counted(lock: Option<&Lock>) -> Result<i64, Box<dyn Error>> {
    let counter = Value::new(0_i64)?;
    let together = Barrier::new(2)?;
    let tasks = (0..2)
        .map(|_| {
            let given = (counter.clone(), TIMES, lock.cloned(), together.clone());
            Process::spawn(work::increase, given)
        })
        .collect::<Result<Vec<_>, _>>()?;
    for task in tasks {
        task.result(None)??;
    }
    Ok(counter.load()?)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a tour are small")]
fn races(language: Language) -> Measured {
    let wanted = 2 * i64::from(TIMES);
    // By bad luck the two never meet; so there are some chances.
    let mut unguarded = wanted;
    for _ in 0..ROUNDS {
        unguarded = counted(None)?;
        if unguarded != wanted {
            break;
        }
    }
    let guarded = counted(Some(&Lock::new()?))?;
    let lost = wanted - unguarded;
    let rows = [
        ("wanted", language.pick("counts", "contagens"), wanted),
        ("unguarded", language.pick("without a lock", "sem trava"), unguarded),
        ("guarded", language.pick("with a lock", "com trava"), guarded),
    ];
    let said = |n: i64| number(n as f64, language);
    let (w, u, g, l) = (said(wanted), said(unguarded), said(guarded), said(lost));
    let lost_figure = ("lost", language.pick("lost without it", "perdidas sem ela"), lost);
    Ok(Outcome {
        holds: lost > 0 && guarded == wanted,
        sentence: language.pick(
            format!(
                "Two processes counted to {w} in one shared number: without a lock they came to \
                 {u}, so {l} counts were lost; with a lock to {g}."
            ),
            format!(
                "Dois processos contaram até {w} num número compartilhado: sem trava chegaram a \
                 {u}, ou seja, {l} contagens se perderam; com a trava, a {g}."
            ),
        ),
        figures: rows
            .iter()
            .chain([&lost_figure])
            .map(|(key, label, n)| Figure::new(key, label, *n as f64, ""))
            .collect(),
        picture: Picture::Bars(
            rows.iter().map(|(_, label, n)| ((*label).to_owned(), *n as f64)).collect(),
            "",
        ),
        because: Some(why_not_parallel(language)),
    })
}

/// The median of what calls take, in microseconds.
fn median(
    count: usize,
    mut call: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    call()?;
    let mut times = Vec::new();
    for _ in 0..count {
        let begin = now();
        call()?;
        times.push((now() - begin) * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Bytes that only this process has.
fn private(pid: i32) -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = text
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    Ok(kib.sum::<f64>() / 1024.0)
}

fn cost(language: Language) -> Measured {
    let thread = median(100, || Ok(Thread::spawn(work::nothing, ())?.join(None)?))?;
    let std_thread = median(100, || {
        std::thread::spawn(work::nothing).join().map_err(|_| "a thread panicked".into())
    })?;
    let process = median(30, || Ok(Process::spawn(work::nothing, ())?.join(None)?))?;
    let command = median(10, || {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", ":"]).stdin(Stdio::null()).status()?;
        Ok(())
    })?;
    let done = Event::new()?;
    let idle = Process::spawn(work::wait_for, (done.clone(),))?;
    std::thread::sleep(Duration::from_millis(50));
    let memory = idle.pid().map_or(Ok(0.0), private);
    done.set();
    idle.join(None)?;
    let memory = memory?;
    let rows = [
        ("thread", "tarefa::Thread", "tarefa::Thread", thread),
        ("std_thread", "std::thread", "std::thread", std_thread),
        ("process", "tarefa::Process", "tarefa::Process", process),
        ("command", "a program (/bin/sh)", "um programa (/bin/sh)", command),
    ];
    let times = number(process / thread, language);
    let (t, p, m) = (number(thread, language), number(process, language), number(memory, language));
    let memory_label = language.pick("memory of an idle process", "memória de um processo ocioso");
    Ok(Outcome {
        holds: process > thread,
        sentence: language.pick(
            format!(
                "A thread was started and joined in {t} µs, a process in {p} µs, {times} times as \
                 long, and it has {m} MiB to itself."
            ),
            format!(
                "Uma thread foi criada e aguardada em {t} µs, um processo em {p} µs, {times} vezes \
                 mais, e ele tem {m} MiB só para si."
            ),
        ),
        figures: rows
            .iter()
            .map(|(key, en, pt, value)| Figure::new(key, language.pick(en, pt), *value, "µs"))
            .chain([Figure::new("process_memory", memory_label, memory, "MiB")])
            .collect(),
        picture: Picture::Bars(
            rows.iter().map(|(_, en, pt, v)| ((*language.pick(en, pt)).to_owned(), *v)).collect(),
            "µs",
        ),
        because: Some(why_not_parallel(language)),
    })
}

fn interrupting(language: Language) -> Measured {
    let tarefas: Tasks = vec![
        Box::new(Thread::new(work::work_for_long, ())),
        Box::new(Thread::new(work::work_for_long, ())),
        Box::new(Process::new(work::work_for_long, ())),
        Box::new(Process::new(work::work_for_long, ())),
    ];
    for task in &tarefas {
        task.start()?;
    }
    let states = || tarefas.iter().map(Task::state).collect::<Vec<_>>();
    // What has started but not run yet is to be seen running.
    let end = now() + 10.0;
    while now() < end && states().iter().any(|state| *state != State::Running) {
        sleep(Duration::from_millis(5))?;
    }
    let before = states();
    let begin = now();
    for task in &tarefas {
        task.interrupt()?;
    }
    join(&tarefas)?;
    let ms = (now() - begin) * 1000.0;
    let after = states();
    let said = |state: &State| format!("{state:?}").to_uppercase();
    let kinds = [language.pick("thread", "thread"), language.pick("process", "processo")];
    let mut rows = vec![vec![
        language.pick("task", "tarefa").to_owned(),
        language.pick("looked at", "vista").to_owned(),
        language.pick("interrupted, joined", "interrompida, aguardada").to_owned(),
    ]];
    for (i, (was, is)) in before.iter().zip(&after).enumerate() {
        rows.push(vec![kinds[i / 2].to_owned(), said(was), said(is)]);
    }
    let (was, took) = (said(&before[0]), number(ms, language));
    Ok(Outcome {
        holds: before.iter().all(|state| *state == State::Running)
            && after.iter().all(|state| *state == State::Interrupted),
        sentence: language.pick(
            format!(
                "Four tasks that would have worked for an hour were kept in a list, seen {was}, \
                 interrupted, and joined {took} ms later."
            ),
            format!(
                "Quatro tarefas que trabalhariam uma hora foram guardadas numa lista, vistas \
                 {was}, interrompidas, e aguardadas até o fim em {took} ms."
            ),
        ),
        figures: vec![
            Figure::count("tasks", language.pick("tasks", "tarefas"), tarefas.len()),
            Figure::new(
                "joined",
                language.pick("interrupted and joined in", "interrompidas e aguardadas em"),
                ms,
                "ms",
            ),
        ],
        picture: Picture::Table(rows),
        because: None,
    })
}

const COUNTED_TASKS: usize = 3;
const COUNTED_EACH: u32 = 20;
/// Milliseconds between two numbers.
const BETWEEN: u64 = 5;

fn counting(language: Language) -> Measured {
    let mut counts = Vec::new();
    for is_process in [false, true] {
        let minha_lista = List::<u32>::new()?;
        let tarefas: Tasks = (0..COUNTED_TASKS)
            .map(|_| {
                let given = (minha_lista.clone(), COUNTED_EACH, BETWEEN);
                if is_process {
                    Box::new(Process::new(work::fill_shared, given)) as Box<dyn Task>
                } else {
                    Box::new(Thread::new(work::fill_shared, given))
                }
            })
            .collect();
        for task in &tarefas {
            task.start()?;
        }
        counts.push(minha_lista.len());
        join(&tarefas)?;
        counts.push(minha_lista.len());
    }
    let wanted = COUNTED_TASKS * COUNTED_EACH as usize;
    let labels = [
        ("threads_before", "threads, before join", "threads, antes"),
        ("threads_after", "threads, after join", "threads, depois"),
        ("processes_before", "processes, before join", "processos, antes"),
        ("processes_after", "processes, after join", "processos, depois"),
    ];
    let (a, b, c, d) = (counts[0], counts[1], counts[2], counts[3]);
    let rows =
        labels.iter().zip(&counts).map(|((key, en, pt), n)| (*key, language.pick(*en, *pt), *n));
    Ok(Outcome {
        holds: b == wanted && d == wanted && a < wanted && c < wanted,
        sentence: language.pick(
            format!(
                "Right after the start the list had {a} items with threads and {c} with processes; \
                 after join() it had {b} and {d}."
            ),
            format!(
                "Logo após a criação, a lista tinha {a} itens com threads e {c} com processos; \
                 depois de join(), {b} e {d}."
            ),
        ),
        figures: rows.clone().map(|(key, label, n)| Figure::count(key, label, n)).collect(),
        picture: Picture::Bars(rows.map(|(_, l, n)| (l.to_owned(), whole(n))).collect(), ""),
        because: Some(
            language
                .pick(
                    "the tasks were done before the list was looked at: this program was off its \
                     core for longer than they took",
                    "as tarefas terminaram antes de a lista ser vista: este programa ficou fora do \
                     núcleo por mais tempo do que elas levaram",
                )
                .to_owned(),
        ),
    })
}

/// In the lesson's order.
pub(super) const EXPERIMENTS: [Experiment; 5] = [
    Experiment {
        number: 5,
        key: "lists",
        title: [
            "Threads see one list, processes do not",
            "Threads veem uma lista só, processos não",
        ],
        lesson: [
            "In a program with several processes each has a memory space of its own.",
            "Em um programa com múltiplos processos, cada um tem seu próprio espaço de memória.",
        ],
        measure: lists,
    },
    Experiment {
        number: 7,
        key: "races",
        title: ["An unguarded change loses counts", "Uma mudança sem trava perde contagens"],
        lesson: [
            "[With processes] it is up to the programmer to see to the right access to the data.",
            "[Com processos] cabe ao programador garantir o acesso correto aos dados.",
        ],
        measure: races,
    },
    Experiment {
        number: 11,
        key: "cost",
        title: ["What a thread costs, and a process", "Quanto custam uma thread e um processo"],
        lesson: [
            "Creating new processes can be slow and use much memory, while creating threads is \
             faster and uses less memory.",
            "Criar novos processos pode ser lento e consumir muita memória, enquanto a criação de \
             threads é mais rápida e consome menos memória.",
        ],
        measure: cost,
    },
    Experiment {
        number: 12,
        key: "interrupting",
        title: ["Keep, look at, interrupt, join", "Guardar, ver, interromper, aguardar"],
        lesson: [
            "It is up to the programmer to keep a reference to the threads or processes, so that \
             we can look at their state or interrupt them. For that we keep each one in a list \
             called tarefas.",
            "É função do programador armazenar uma referência para as suas threads ou processos, \
             de maneira que possamos verificar seu estado ou interrompê-las. Para isso, \
             armazenamos cada thread ou processo criado em uma lista chamada tarefas.",
        ],
        measure: interrupting,
    },
    Experiment {
        number: 13,
        key: "counting",
        title: ["Count, join, count", "Contar, aguardar, contar"],
        lesson: [
            "Right after creating the threads or processes we print the number of items of \
             minha_lista; wait for the end of the threads or processes by join(); and print the \
             final number of items.",
            "Logo após a criação das threads ou processos, vamos imprimir o número de itens na \
             variável minha_lista; aguardar o término da execução utilizando o método join(); e, \
             por fim, imprimimos o número de itens final.",
        ],
        measure: counting,
    },
];
