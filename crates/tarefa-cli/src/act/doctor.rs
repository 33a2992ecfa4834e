//! `tarefa doctor`: what this machine and this process allow, and what to do where that is little.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use clap::ArgMatches;
use serde_json::{Value, json};
use tarefa_engine::os::{cgroup, machine};

use super::python;
use crate::terminal::{EXIT_FOUND, Language, Output, sized};

/// How good what was found is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// As it should be.
    Fine,
    /// It works, and could be better, or somebody may wonder.
    Note,
    /// Something does not work, or works badly.
    Problem,
}

/// One thing that was looked at.
struct Finding {
    key: &'static str,
    level: Level,
    what: String,
    remedy: Option<String>,
}

/// What is looked at: files below a root, and the environment.
struct Machine<'a> {
    language: Language,
    read: &'a dyn Fn(&str) -> Option<String>,
    variable: &'a dyn Fn(&str) -> Option<String>,
}

/// The findings; exit code 1 where one of them is a problem.
#[must_use]
pub fn run(out: &Output, given: &ArgMatches) -> ExitCode {
    let here = Machine {
        language: out.language,
        read: &|path| std::fs::read_to_string(path).ok(),
        variable: &|name| std::env::var(name).ok().filter(|value| !value.is_empty()),
    };
    let mut findings = here.findings();
    findings.push(here.interpreter(python::named_or_found(given).as_deref()));
    if out.json {
        out.say_json(&findings.iter().map(as_json).collect());
    } else {
        for finding in &findings {
            tell(out, finding);
        }
    }
    let bad = findings.iter().any(|finding| finding.level == Level::Problem);
    if bad { ExitCode::from(EXIT_FOUND) } else { ExitCode::SUCCESS }
}

fn as_json(finding: &Finding) -> Value {
    json!({
        "name": finding.key,
        "level": match finding.level {
            Level::Fine => "fine",
            Level::Note => "note",
            Level::Problem => "problem",
        },
        "what": finding.what,
        "remedy": finding.remedy,
    })
}

fn tell(out: &Output, finding: &Finding) {
    let mark = match finding.level {
        Level::Fine => "✓",
        Level::Note => "·",
        Level::Problem => "✗",
    };
    for (i, line) in wrapped(&finding.what, out.width.saturating_sub(2)).iter().enumerate() {
        out.say(format_args!("{} {line}", if i == 0 { mark } else { " " }));
    }
    let remedy = finding.remedy.iter().flat_map(|r| wrapped(r, out.width.saturating_sub(6)));
    for (i, line) in remedy.enumerate() {
        out.say(format_args!("    {} {line}", if i == 0 { "→" } else { " " }));
    }
}

/// A text in lines of at most so many characters, broken at blanks.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one from the start");
        let length = line.chars().count() + 1 + word.chars().count();
        if line.is_empty() {
            line.push_str(word);
        } else if length <= width {
            line.extend([" ", word]);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

impl Machine<'_> {
    fn pick(&self, english: &str, portuguese: &str) -> String {
        self.language.pick(english, portuguese).to_owned()
    }

    fn number(&self, path: &str) -> Option<i64> {
        (self.read)(path)?.trim().parse().ok()
    }

    fn findings(&self) -> Vec<Finding> {
        let all: [Option<Finding>; 11] = [
            Some(self.cores()),
            Some(self.memory()),
            Some(self.kernel()),
            self.overcommit(),
            self.limit("descriptors", "Max open files", 1024, ("descriptors", "descritores", "-n")),
            self.limit("processes", "Max processes", 1024, ("processes", "processos", "-u")),
            self.limit(
                "file-size",
                "Max file size",
                1 << 30,
                ("bytes a file", "bytes por arquivo", "-f"),
            ),
            self.huge_pages(),
            self.perf(),
            self.ptrace(),
            self.threads_of_blas(),
        ];
        all.into_iter().flatten().chain(self.proc()).collect()
    }

    /// How many cores this process may use, and why not all.
    fn cores(&self) -> Finding {
        let usable = machine::cpu_count();
        let online = (self.read)("/proc/cpuinfo")
            .map_or(usable, |t| t.lines().filter(|l| l.starts_with("processor")).count().max(1));
        let quota = cgroup::cpu_quota();
        let granted = self.language.number(&format!("{:.1}", quota.unwrap_or_default()));
        let what = self.language.pick(
            format!("{usable} of {online} cores may be used"),
            format!("{usable} de {online} núcleos podem ser usados"),
        );
        let because = match quota {
            Some(quota) if quota.ceil() < f64::from(u32::try_from(online).unwrap_or(u32::MAX)) => {
                self.language.pick(
                    format!(" (a cgroup grants {granted})"),
                    format!(" (um cgroup concede {granted})"),
                )
            }
            _ if usable < online => self.pick(" (by its affinity)", " (pela afinidade)"),
            _ => String::new(),
        };
        let remedy = match usable {
            1 => Some(self.pick(
                "on one core tasks take turns, and none runs faster for being parallel: taskset -p \
                 and the container's limit on processors say who decided it",
                "num núcleo as tarefas se revezam, e nada fica mais rápido em paralelo: taskset -p e \
                 o limite de processadores do contêiner dizem quem decidiu",
            )),
            _ => None,
        };
        let level = if usable == 1 { Level::Problem } else { Level::Fine };
        Finding { key: "cores", level, what: what + &because, remedy }
    }

    fn memory(&self) -> Finding {
        let all = machine::physical_memory();
        let cgroup = cgroup::memory().filter(|limit| *limit < all);
        let of_all = self.language.number(&sized(all));
        let what = match cgroup {
            Some(limit) => {
                let limit = self.language.number(&sized(limit));
                self.language.pick(
                    format!("{limit} of memory by the cgroup, of {of_all} that the machine has"),
                    format!("{limit} de memória pelo cgroup, dos {of_all} da máquina"),
                )
            }
            None => self.language.pick(
                format!("{of_all} of memory, no cgroup limits it"),
                format!("{of_all} de memória, sem limite de cgroup"),
            ),
        };
        Finding { key: "memory", level: Level::Fine, what, remedy: None }
    }

    fn kernel_version(&self) -> (u32, u32) {
        let release = (self.read)("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
        (next(), next())
    }

    /// What the engine uses, and since when Linux has it.
    fn kernel(&self) -> Finding {
        let version = self.kernel_version();
        let release = (self.read)("/proc/sys/kernel/osrelease").unwrap_or_default();
        let release = release.trim();
        if version < (5, 4) {
            return Finding {
                key: "kernel",
                level: Level::Problem,
                what: format!("Linux {release}"),
                remedy: Some(self.pick(
                    "tarefa needs pidfd_open and more of Linux 5.4: update the kernel",
                    "tarefa precisa de pidfd_open e mais do Linux 5.4: atualize o kernel",
                )),
            };
        }
        let (level, remedy) = if version < (5, 16) {
            let text = self.pick(
                "from Linux 5.16 on a wait sleeps on two words with one system call (futex_waitv)",
                "a partir do Linux 5.16 uma espera dorme em duas palavras com uma chamada \
                 (futex_waitv)",
            );
            (Level::Note, Some(text))
        } else {
            (Level::Fine, None)
        };
        let what = format!("Linux {release}");
        Finding { key: "kernel", level, what, remedy }
    }

    fn overcommit(&self) -> Option<Finding> {
        let strict = self.number("/proc/sys/vm/overcommit_memory")? == 2;
        strict.then(|| Finding {
            key: "overcommit",
            level: Level::Note,
            what: self.pick(
                "the system commits memory strictly (vm.overcommit_memory = 2)",
                "o sistema compromete memória estritamente (vm.overcommit_memory = 2)",
            ),
            remedy: Some(self.pick(
                "forks of large processes may be refused: sysctl vm.overcommit_memory=0",
                "forks de processos grandes podem ser recusados: sysctl vm.overcommit_memory=0",
            )),
        })
    }

    /// A soft limit that is low; nothing where it is unlimited.
    fn limit(
        &self,
        key: &'static str,
        row: &str,
        least: u64,
        (english, portuguese, option): (&str, &str, &str),
    ) -> Option<Finding> {
        let text = (self.read)("/proc/self/limits")?;
        let line = text.lines().find_map(|line| line.strip_prefix(row))?;
        let mut words = line.split_whitespace();
        let (soft, hard) = (words.next()?.parse::<u64>().ok()?, words.next()?.to_owned());
        let what = self.language.pick(
            format!("limit: {soft} {english} (hard: {hard})"),
            format!("limite: {soft} {portuguese} (rígido: {hard})"),
        );
        if soft >= least {
            return Some(Finding { key, level: Level::Fine, what, remedy: None });
        }
        let remedy = self.language.pick(
            format!("raise it before the program starts: ulimit {option} {}", 4 * least),
            format!("aumente antes de iniciar o programa: ulimit {option} {}", 4 * least),
        );
        Some(Finding { key, level: Level::Problem, what, remedy: Some(remedy) })
    }

    fn huge_pages(&self) -> Option<Finding> {
        let text = (self.read)("/sys/kernel/mm/transparent_hugepage/shmem_enabled")?;
        let chosen = text.split(['[', ']']).nth(1)?.to_owned();
        let what = self.language.pick(
            format!("huge pages for shared memory: {chosen}"),
            format!("páginas grandes para memória compartilhada: {chosen}"),
        );
        let by_themselves = ["always", "within_size", "force"].contains(&&*chosen);
        let remedy = if chosen == "deny" {
            Some(self.pick(
                "large arrays are slower without them, as root: echo never > \
                 /sys/kernel/mm/transparent_hugepage/shmem_enabled; tarefa asks for its own then",
                "arrays grandes ficam mais lentos sem elas, como root: echo never > \
                 /sys/kernel/mm/transparent_hugepage/shmem_enabled; assim a tarefa pede as suas",
            ))
        } else if !by_themselves && self.kernel_version() < (6, 1) {
            Some(self.pick(
                "from Linux 6.1 on large arrays have them whatever is set there",
                "a partir do Linux 6.1 arrays grandes as têm, seja qual for esse valor",
            ))
        } else {
            None
        };
        let level = if remedy.is_some() { Level::Note } else { Level::Fine };
        Some(Finding { key: "huge-pages", level, what, remedy })
    }

    fn perf(&self) -> Option<Finding> {
        let paranoid = self.number("/proc/sys/kernel/perf_event_paranoid")?;
        let what = self.language.pick(
            format!("events of the kernel for profilers (perf): perf_event_paranoid = {paranoid}"),
            format!("eventos do kernel para perfis (perf): perf_event_paranoid = {paranoid}"),
        );
        let remedy = (paranoid > 2).then(|| {
            self.pick(
                "nobody but root sees them: sysctl kernel.perf_event_paranoid=2; tarefa needs none",
                "só root os vê: sysctl kernel.perf_event_paranoid=2; tarefa não precisa deles",
            )
        });
        let level = if remedy.is_some() { Level::Note } else { Level::Fine };
        Some(Finding { key: "perf", level, what, remedy })
    }

    fn ptrace(&self) -> Option<Finding> {
        let scope = self.number("/proc/sys/kernel/yama/ptrace_scope")?;
        let what = format!("ptrace_scope = {scope}");
        let remedy = (scope > 0).then(|| {
            self.pick(
                "debuggers attach to their children only (sysctl kernel.yama.ptrace_scope=0 lifts \
                 that); tarefa ps, locks and memory do not use ptrace",
                "depuradores só se ligam aos seus filhos (sysctl kernel.yama.ptrace_scope=0 muda \
                 isso); tarefa ps, locks e memory não usam ptrace",
            )
        });
        let level = if remedy.is_some() { Level::Note } else { Level::Fine };
        Some(Finding { key: "ptrace", level, what, remedy })
    }

    /// Libraries of linear algebra start a thread a core in each process, unless they are told.
    fn threads_of_blas(&self) -> Option<Finding> {
        const NAMES: [&str; 4] =
            ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"];
        let set: BTreeMap<&str, String> =
            NAMES.iter().filter_map(|name| Some((*name, (self.variable)(name)?))).collect();
        let cores = machine::cpu_count();
        if set.is_empty() && cores == 1 {
            return None;
        }
        if !set.is_empty() {
            let list: Vec<String> = set.iter().map(|(name, n)| format!("{name}={n}")).collect();
            let what = self.language.pick(
                format!("threads of BLAS: {}", list.join(", ")),
                format!("threads do BLAS: {}", list.join(", ")),
            );
            return Some(Finding { key: "blas", level: Level::Fine, what, remedy: None });
        }
        Some(Finding {
            key: "blas",
            level: Level::Note,
            what: self.language.pick(
                format!("threads of BLAS: not set, so NumPy may start {cores} in each process"),
                format!("threads do BLAS: não definido, e o NumPy pode criar {cores} por processo"),
            ),
            remedy: Some(self.pick(
                "where several processes compute with NumPy at once: export OMP_NUM_THREADS=1 \
                 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1",
                "onde vários processos calculam com NumPy ao mesmo tempo: export OMP_NUM_THREADS=1 \
                 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1",
            )),
        })
    }

    /// Whether processes can see one another.
    fn proc(&self) -> Option<Finding> {
        let mounts = (self.read)("/proc/self/mounts");
        let Some(mounts) = mounts else {
            return Some(Finding {
                key: "proc",
                level: Level::Problem,
                what: self.pick("/proc is not mounted", "/proc não está montado"),
                remedy: Some(self.pick(
                    "programs join shared memory, and are looked at, through it: mount -t proc proc \
                     /proc",
                    "é por ele que programas entram na memória compartilhada e são observados: mount \
                     -t proc proc /proc",
                )),
            });
        };
        let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/proc"))?;
        let options = line.split(' ').nth(3)?;
        let hides = options
            .split(',')
            .any(|o| o.strip_prefix("hidepid=").is_some_and(|value| !matches!(value, "0" | "off")));
        hides.then(|| Finding {
            key: "proc",
            level: Level::Note,
            what: self.pick(
                "/proc hides the processes of other users (hidepid)",
                "/proc esconde os processos de outros usuários (hidepid)",
            ),
            remedy: Some(self.pick(
                "tarefa ps shows your own as always",
                "tarefa ps mostra os seus como sempre",
            )),
        })
    }

    /// The interpreter with the package, its lock and the package's version.
    fn interpreter(&self, python: Option<&Path>) -> Finding {
        const ASKED: &str = "import sys, tarefa; g = getattr(sys, '_is_gil_enabled', None); \
             print(sys.version.split()[0], 'gil' if g is None or g() else 'free', \
             tarefa.__version__)";
        let key = "python";
        let Some(python) = python else {
            return Finding {
                key,
                level: Level::Note,
                what: self.pick(
                    "no Python with tarefa was found beside this command or on PATH",
                    "nenhum Python com tarefa ao lado deste comando ou no PATH",
                ),
                remedy: Some("pip install tarefa".to_owned()),
            };
        };
        let shown = python.display();
        let mut command = Command::new(python);
        let done = command.args(["-c", ASKED]).stdin(Stdio::null()).output();
        let said = match done {
            Ok(done) if done.status.success() => String::from_utf8_lossy(&done.stdout).into_owned(),
            Ok(done) => {
                let errors = String::from_utf8_lossy(&done.stderr).into_owned();
                let last = errors.lines().last().unwrap_or_default().to_owned();
                if !python::runs(python) {
                    return self.no_python(key, python, &last);
                }
                return self.broken(key, format!("{shown}: {last}"));
            }
            Err(error) => return self.no_python(key, python, &error.to_string()),
        };
        let words: Vec<&str> = said.split_whitespace().collect();
        let [version, gil, package] = words[..] else {
            return self.no_python(key, python, said.lines().last().unwrap_or_default());
        };
        let gil = match gil {
            "gil" => self.pick(
                "with its GIL: threads take turns, processes compute at once",
                "com o GIL: threads se revezam, processos calculam ao mesmo tempo",
            ),
            _ => self.pick("free-threaded, without a GIL", "free-threaded, sem GIL"),
        };
        let own = env!("CARGO_PKG_VERSION");
        let same = package == own;
        let remedy = (!same).then(|| {
            self.language.pick(
                format!("this command is of tarefa {own}: use the one that is beside {shown}"),
                format!("este comando é de tarefa {own}: use o que está ao lado de {shown}"),
            )
        });
        let level = if same { Level::Fine } else { Level::Problem };
        let what = format!("Python {version} ({shown}), tarefa {package}, {gil}");
        Finding { key, level, what, remedy }
    }

    /// What was named is another program, or cannot be executed.
    fn no_python(&self, key: &'static str, named: &Path, why: &str) -> Finding {
        let shown = named.display();
        let what = self.language.pick(
            format!("{shown} is no Python that has the package tarefa"),
            format!("{shown} não é um Python com o pacote tarefa"),
        );
        let what = if why.is_empty() { what } else { format!("{what}: {why}") };
        let remedy = Some(self.pick(
            "name one with --python, or install the package: pip install tarefa",
            "indique um com --python, ou instale o pacote: pip install tarefa",
        ));
        Finding { key, level: Level::Problem, what, remedy }
    }

    fn broken(&self, key: &'static str, what: String) -> Finding {
        let remedy = Some(self.pick(
            "install the package anew: pip install --force-reinstall tarefa",
            "instale o pacote de novo: pip install --force-reinstall tarefa",
        ));
        Finding { key, level: Level::Problem, what, remedy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)], variables: &[(&str, &str)], key: &str) -> Option<Finding> {
        let of = |all: &[(&str, &str)], name: &str| {
            all.iter().find(|(n, _)| *n == name).map(|(_, text)| (*text).to_owned())
        };
        let machine = Machine {
            language: Language::English,
            read: &|path| of(files, path),
            variable: &|name| of(variables, name),
        };
        machine.findings().into_iter().find(|finding| finding.key == key)
    }

    #[test]
    fn what_is_little_has_a_remedy() {
        let limits = "Limit  Soft Hard Units\nMax open files  256  4096  files\n\
                      Max processes  unlimited unlimited processes\n";
        let few = found(&[("/proc/self/limits", limits)], &[], "descriptors").unwrap();
        assert_eq!(
            (few.level, few.what.as_str()),
            (Level::Problem, "limit: 256 descriptors (hard: 4096)")
        );
        assert!(few.remedy.unwrap().contains("ulimit -n 4096"));
        assert!(found(&[("/proc/self/limits", limits)], &[], "processes").is_none());
        for (set, release, level) in [
            ("always [never] deny", "6.1\n", Level::Fine),
            ("always [never] deny", "5.10\n", Level::Note),
            ("[always] never deny", "5.10\n", Level::Fine),
            ("always never [deny]", "6.1\n", Level::Note),
        ] {
            let files = [
                ("/sys/kernel/mm/transparent_hugepage/shmem_enabled", set),
                ("/proc/sys/kernel/osrelease", release),
            ];
            assert_eq!(found(&files, &[], "huge-pages").unwrap().level, level, "{set} {release}");
        }
        for (release, level) in
            [("4.19.0-x\n", Level::Problem), ("5.10.1\n", Level::Note), ("6.1\n", Level::Fine)]
        {
            let kernel = found(&[("/proc/sys/kernel/osrelease", release)], &[], "kernel").unwrap();
            assert_eq!(kernel.level, level, "{release}");
        }
        let hidden = [("/proc/self/mounts", "proc /proc proc rw,hidepid=2 0 0\n")];
        assert_eq!(found(&hidden, &[], "proc").unwrap().level, Level::Note);
        assert_eq!(found(&[], &[], "proc").unwrap().level, Level::Problem);
    }

    #[test]
    fn what_is_set_is_told() {
        let blas = found(&[], &[("OMP_NUM_THREADS", "2")], "blas").unwrap();
        assert_eq!(blas.what, "threads of BLAS: OMP_NUM_THREADS=2");
        let traced = [("/proc/sys/kernel/yama/ptrace_scope", "1\n")];
        assert!(found(&traced, &[], "ptrace").unwrap().remedy.is_some());
        let open = [("/proc/sys/kernel/perf_event_paranoid", "-1\n")];
        assert_eq!(found(&open, &[], "perf").unwrap().level, Level::Fine);
    }

    #[test]
    fn lines_are_broken_at_blanks() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("indivisible", 3), ["indivisible"]);
    }
}
