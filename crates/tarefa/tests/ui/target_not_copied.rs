//! A value without bytes that exists once does not exist a second time in a process.
struct Once(());

fn main() {
    let token = Once(());
    let _ = tarefa::Process::spawn(
        move |_: u32| {
            let _token = &token;
        },
        (1,),
    );
}
