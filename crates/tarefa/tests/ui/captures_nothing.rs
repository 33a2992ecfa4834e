fn double(n: u64) -> u64 {
    n * 2
}

fn main() {
    let _ = tarefa::Thread::new(double, (1,));
    let _ = tarefa::Process::new(|n: u64| double(n), (1,));
}
