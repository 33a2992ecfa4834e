//! The arguments, and their help in both languages.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use crate::act::{map, run};
use crate::look::{timeline, top};
use crate::terminal::{Language, Output};

/// The flag for reports as JSON.
pub(super) const JSON: &str = "json";
const LANGUAGE: &str = "lang";

/// The language that the arguments ask for. They are looked at before anything is said, their own
/// faults included, so what follows the program of `run` or `map` counts as little as what follows `--`.
pub(super) fn asked_language(arguments: &[OsString]) -> Option<Language> {
    let mut rest = arguments.iter().skip(1).map(|a| a.to_string_lossy());
    let mut runs = false;
    while let Some(argument) = rest.next() {
        let name = match argument.as_ref() {
            "--" => return None,
            "--lang" => rest.next()?,
            other => match other.strip_prefix("--lang=") {
                Some(name) => name.to_owned().into(),
                None if !other.starts_with('-') && runs => return None,
                None => {
                    runs |= other == "run" || other == "map";
                    continue;
                }
            },
        };
        return Language::by_name(&name);
    }
    None
}

/// The whole command, with its help in the language of `out`.
pub(super) fn command(out: &Output) -> Command {
    let t =
        |english: &'static str, portuguese: &'static str| out.language.pick(english, portuguese);
    let command = Command::new("tarefa")
        .version(env!("CARGO_PKG_VERSION"))
        .about(t(
            "Threads and processes with one interface: a tour, and a look inside",
            "Threads e processos com uma só interface: uma visita, e um olhar por dentro",
        ))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        // Who says it twice means the last, as an alias with an option in it needs.
        .args_override_self(true)
        .arg(
            Arg::new(LANGUAGE)
                .long(LANGUAGE)
                .value_name(t("LANGUAGE", "IDIOMA"))
                .value_parser(language)
                .global(true)
                .help(t(
                    "en or pt; without it the locale decides",
                    "en ou pt; sem isso decide o locale",
                )),
        )
        .arg(
            Arg::new(JSON)
                .long(JSON)
                .action(ArgAction::SetTrue)
                .global(true)
                .help(t("The report as JSON, on one line", "O relatório em JSON, numa linha")),
        )
        .subcommand(tour(&t))
        .subcommands(looks(&t))
        .subcommand(doctor(&t))
        .subcommand(runs(&t))
        .subcommand(maps(&t))
        .subcommands([watches(), interrupts(), guards()])
        .subcommand(
            Command::new("completions")
                .about(t(
                    "Print the completions for a shell",
                    "Escreve as completações para um shell",
                ))
                .arg(
                    Arg::new("shell")
                        .required(true)
                        .value_parser(clap::value_parser!(clap_complete::Shell))
                        .help(t("The shell", "O shell")),
                ),
        )
        .subcommand(
            Command::new("man").about(t("Print the manual page", "Escreve a página de manual")),
        );
    with_own_words(command, out)
}

/// A name that `--lang` takes.
fn language(name: &str) -> Result<String, String> {
    let known = Language::by_name(name).map(|_| name.to_owned());
    known.ok_or_else(|| Language::NAMES.join(", "))
}

type Words<'a> = dyn Fn(&'static str, &'static str) -> &'static str + 'a;

/// What looks into a running program.
fn looks(t: &Words<'_>) -> [Command; 6] {
    let wanted = t(
        "a process's number is wanted, as tarefa ps shows them",
        "quer-se o número de um processo, como tarefa ps os mostra",
    );
    let pid = || {
        Arg::new("pid")
            .value_name("PID")
            .value_parser(move |text: &str| {
                let number = text.parse::<i32>().ok().filter(|pid| *pid > 0);
                number.ok_or_else(|| wanted.to_owned())
            })
            .help(t("Any process of the program", "Qualquer processo do programa"))
    };
    let ps = Command::new("ps").about(t(
        "The programs that use tarefa, or the tasks of one",
        "Os programas que usam tarefa, ou as tarefas de um",
    ));
    let top = Command::new("top").about(t(
        "A running program on the screen: tasks, locks, queues, pools",
        "Um programa que roda, na tela: tarefas, travas, filas, pools",
    ));
    let every = Arg::new("every")
        .long("every")
        .value_name(t("SECONDS", "SEGUNDOS"))
        .value_parser(run::seconds)
        .allow_negative_numbers(true)
        .help(t("Look so often (0.25)", "Olha a cada tanto tempo (0.25)"));
    let stacks = Command::new("stacks").about(t(
        "What all its threads do now, line by line",
        "O que todas as suas threads fazem agora, linha a linha",
    ));
    let no_stacks = Arg::new("no-stacks").long("no-stacks").action(ArgAction::SetTrue).help(t(
        "Ask no thread for its lines: only what the system says",
        "Não pergunta nada às threads: só o que o sistema diz",
    ));
    let locks = Command::new("locks").about(t(
        "Who holds what, who waits for whom; code 1: a deadlock",
        "Quem segura o quê, quem espera por quem; código 1: deadlock",
    ));
    let memory = Command::new("memory").about(t(
        "What the shared memory holds, and for whom",
        "O que a memória compartilhada guarda, e para quem",
    ));
    let trace = Command::new("trace").about(t(
        "Who runs what when in it, as a timeline in a file",
        "Quem roda o quê quando nele, como linha do tempo num arquivo",
    ));
    let seconds = Arg::new("seconds")
        .long("seconds")
        .value_name(t("SECONDS", "SEGUNDOS"))
        .value_parser(run::seconds)
        .allow_negative_numbers(true)
        .help(t("Record for so long (5)", "Registra durante esse tempo (5)"));
    let output = Arg::new("output")
        .short('o')
        .long("output")
        .value_name(t("FILE", "ARQUIVO"))
        .required(true)
        .value_parser(timeline::file)
        .help(t(
            "As .pftrace or .json (Perfetto), .svg, .html, .txt",
            "Como .pftrace ou .json (Perfetto), .svg, .html, .txt",
        ));
    [
        ps.arg(pid()),
        top.arg(pid()).arg(every).arg(no_stacks.clone()),
        stacks.arg(pid().required(true)).arg(no_stacks),
        locks.arg(pid().required(true)).arg(
            Arg::new("svg")
                .long("svg")
                .value_name(t("FILE", "ARQUIVO"))
                .value_parser(clap::value_parser!(std::path::PathBuf))
                .help(t("Draw it there, too", "Desenha também ali")),
        ),
        memory.arg(pid().required(true)),
        trace.arg(pid().required(true)).args([seconds, output, sampled(t)]),
    ]
}

/// When threads are on a core.
fn sampled(t: &Words<'_>) -> Arg {
    Arg::new("sampled")
        .long("sampled")
        .action(ArgAction::SetTrue)
        .help(t("Sample when threads are on a core", "Por amostras, quem está num núcleo"))
}

/// Which interpreter.
fn python(t: &Words<'_>) -> Arg {
    Arg::new("python")
        .long("python")
        .value_name(t("PROGRAM", "PROGRAMA"))
        .value_parser(clap::value_parser!(std::path::PathBuf))
        .help(t(
            "The interpreter that runs it, with tarefa in it",
            "O interpretador que a executa, com tarefa",
        ))
}

/// What runs a program.
fn runs(t: &Words<'_>) -> Command {
    let seconds = |name: &'static str, english, portuguese| {
        Arg::new(name)
            .long(name)
            .value_name(t("SECONDS", "SEGUNDOS"))
            .value_parser(run::seconds)
            .allow_negative_numbers(true)
            .help(t(english, portuguese))
    };
    Command::new("run")
        .about(t(
            "Run a program with limits, reports of long waits, a timeline",
            "Roda um programa com limites, relatórios, linha do tempo",
        ))
        .arg(seconds("limit-time", "End it after so long", "Encerra-o depois desse tempo"))
        .arg(
            Arg::new("limit-memory")
                .long("limit-memory")
                .value_name(t("SIZE", "TAMANHO"))
                .value_parser(run::size)
                .help(t(
                    "Private memory of each of its processes, as 512M",
                    "Memória privada de cada processo, como 512M",
                )),
        )
        .arg(seconds(
            "report-after",
            "Who waits for whom when a wait lasts so long",
            "Quem espera por quem se uma espera dura tanto",
        ))
        .arg(
            Arg::new("kind")
                .long("kind")
                .value_name(t("KIND", "TIPO"))
                .value_parser(run::kind)
                .help(t(
                    "What pools have: process, thread, auto",
                    "O que os pools têm: process, thread, auto",
                )),
        )
        .arg(
            Arg::new("trace")
                .long("trace")
                .value_name(t("FILE", "ARQUIVO"))
                .value_parser(timeline::file)
                .help(t(
                    "A timeline: .pftrace, .json, .svg, .html, .txt",
                    "Linha do tempo: .pftrace, .json, .svg, .html",
                )),
        )
        .arg(sampled(t).requires("trace"))
        .arg(
            Arg::new("program")
                .value_name(t("PROGRAM", "PROGRAMA"))
                .required(true)
                .num_args(1..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(clap::value_parser!(OsString))
                .help(t("The program and its arguments", "O programa e seus argumentos")),
        )
}

/// What `run` starts beside a program: nobody types it.
fn watches() -> Command {
    Command::new(run::WATCH)
        .hide(true)
        .arg(Arg::new("start-it").long("start").action(ArgAction::SetTrue))
        .args(["pid", "start", "seconds"].map(|name| Arg::new(name).required(true)))
}

/// What `top` has another process do: nobody types it.
fn interrupts() -> Command {
    Command::new(top::INTERRUPT).hide(true).arg(Arg::new("address").required(true))
}

/// What `map` starts beside its jobs: nobody types it.
fn guards() -> Command {
    Command::new(map::GUARD).hide(true)
}

/// What runs a command for many arguments.
fn maps(t: &Words<'_>) -> Command {
    let flag = |name: &'static str, english, portuguese| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(t(english, portuguese))
    };
    let valued = |name: &'static str, value: &'static str, english, portuguese| {
        Arg::new(name).long(name).value_name(value).help(t(english, portuguese))
    };
    let seconds = t("SECONDS", "SEGUNDOS");
    Command::new("map")
        .about(t(
            "Run a command for each of many arguments, several at once",
            "Roda um comando para cada um de muitos argumentos",
        ))
        .arg(
            Arg::new("jobs")
                .short('j')
                .long("jobs")
                .value_name("N")
                .value_parser(map::at_once)
                .allow_negative_numbers(true)
                .help(t(
                    "So many at once; else one a core",
                    "Tantos de uma vez; senão um por núcleo",
                )),
        )
        .arg(
            valued("retry", "N", "Try failures so often again", "Tenta de novo as falhas N vezes")
                .value_parser(map::number)
                .allow_negative_numbers(true),
        )
        .arg(
            valued("timeout", seconds, "End each after so long", "Encerra cada um depois disso")
                .value_parser(run::seconds)
                .allow_negative_numbers(true),
        )
        .arg(
            valued(
                "memory",
                t("SIZE", "TAMANHO"),
                "Private memory of each, as 512M",
                "Memória privada de cada um, como 512M",
            )
            .value_parser(run::size),
        )
        .arg(
            valued(
                "joblog",
                t("FILE", "ARQUIVO"),
                "Log how each ends",
                "Registra como cada um acaba",
            )
            .value_parser(clap::value_parser!(std::path::PathBuf)),
        )
        .arg(
            flag(
                "resume",
                "Leave out what the log says is done",
                "Omite o que o registro diz feito",
            )
            .requires("joblog"),
        )
        .arg(flag("progress", "Tell how far it is", "Diz até onde chegou"))
        .arg(
            Arg::new("command")
                .value_name(t("COMMAND", "COMANDO"))
                .required(true)
                .num_args(1..)
                .trailing_var_arg(true)
                .value_parser(clap::value_parser!(OsString))
                .help(t(
                    "{} in it, ::: and arguments; else lines of standard input",
                    "com {}, ::: e argumentos; senão linhas da entrada padrão",
                )),
        )
}

fn doctor(t: &Words<'_>) -> Command {
    Command::new("doctor")
        .about(t(
            "What this machine allows, and how to get more; code 1: a problem",
            "O que esta máquina permite, e como obter mais; código 1: problema",
        ))
        .arg(python(t))
}

fn tour(t: &Words<'_>) -> Command {
    Command::new("tour")
        .about(t(
            "See what a lesson says of threads and processes, measured here",
            "Ver o que uma lição diz de threads e processos, medido aqui",
        ))
        .arg(Arg::new("number").value_name("N").num_args(0..).help(t(
            "Only these experiments; without a number all of them",
            "Só estas experiências; sem número, todas",
        )))
        .arg(
            Arg::new("list")
                .long("list")
                .action(ArgAction::SetTrue)
                .help(t("Only say which there are", "Só diz quais existem")),
        )
        .arg(
            Arg::new("save")
                .long("save")
                .value_name(t("FOLDER", "PASTA"))
                .value_parser(clap::value_parser!(std::path::PathBuf))
                .help(t(
                    "Write SVG pictures there, and one HTML page",
                    "Escreve ali figuras SVG e uma página HTML",
                )),
        )
        .arg(python(t))
}

/// The words that clap says itself.
fn with_own_words(command: Command, out: &Output) -> Command {
    let t =
        |english: &'static str, portuguese: &'static str| out.language.pick(english, portuguese);
    let template = format!(
        "{{before-help}}{{about-with-newline}}\n{}: {{usage}}\n\n{{all-args}}{{after-help}}",
        t("Usage", "Uso")
    );
    let options = t("Options", "Opções");
    let has_subcommands = command.has_subcommands();
    let mut command = command
        .help_template(template)
        .disable_help_flag(true)
        .subcommand_help_heading(t("Commands", "Comandos"))
        .subcommand_value_name(t("COMMAND", "COMANDO"))
        .mut_args(|arg| {
            let is_option = arg.get_long().is_some();
            arg.help_heading(if is_option { options } else { t("Arguments", "Argumentos") })
        })
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .action(ArgAction::Help)
                .help_heading(options)
                .help(t("Say this", "Diz isto")),
        );
    if has_subcommands {
        command = command
            .disable_version_flag(true)
            .arg(
                Arg::new("version")
                    .short('V')
                    .long("version")
                    .action(ArgAction::Version)
                    .help_heading(options)
                    .help(t("Say the version", "Diz a versão")),
            )
            .mut_subcommands(|sub| with_own_words(sub, out));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Option<Language> {
        let all: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        asked_language(&all)
    }

    #[test]
    fn the_arguments_are_whole_in_both_languages() {
        for language in [Language::English, Language::Portuguese] {
            command(&Output::new(Some(language), false)).debug_assert();
        }
    }

    #[test]
    fn what_a_program_is_given_is_not_ours() {
        assert_eq!(asked(&["tarefa", "tour", "--lang=pt"]), Some(Language::Portuguese));
        assert_eq!(asked(&["tarefa", "--lang", "pt", "run"]), Some(Language::Portuguese));
        assert_eq!(asked(&["tarefa", "run", "program", "--lang", "pt"]), None);
        assert_eq!(asked(&["tarefa", "run", "--", "--lang", "pt"]), None);
        assert_eq!(asked(&["tarefa", "ps"]), None);
    }
}
