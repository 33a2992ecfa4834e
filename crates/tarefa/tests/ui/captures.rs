fn main() {
    let n = 3u64;
    let _ = tarefa::Process::new(move |x: u64| x + n, (1,));
}
