fn double(n: u64) -> u64 {
    n * 2
}

fn main() {
    let target: fn(u64) -> u64 = double;
    let _ = tarefa::Thread::new(target, (1,));
}
