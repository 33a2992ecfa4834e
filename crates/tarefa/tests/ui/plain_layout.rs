use tarefa::Plain;

#[derive(Clone, Copy, Plain)]
struct Anywhere {
    x: i32,
}

#[derive(Clone, Copy, Plain)]
enum Unnumbered {
    One,
}

#[derive(Clone, Copy, Plain)]
#[repr(C)]
struct Nothing;

fn main() {}
