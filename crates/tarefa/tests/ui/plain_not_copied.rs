use tarefa::{Plain, Value};

#[derive(Plain)]
#[repr(C)]
struct Moves {
    x: i32,
}

fn main() {
    let _ = Value::new("text");
}
