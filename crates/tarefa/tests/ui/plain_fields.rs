use tarefa::Plain;

#[derive(Clone, Copy, Plain)]
#[repr(C)]
struct Borrowed {
    ok: i32,
    name: &'static str,
    next: *const Borrowed,
    call: fn(i32) -> i32,
}

#[derive(Clone, Plain)]
#[repr(C)]
struct Owned {
    name: String,
    values: Vec<i32>,
}

#[derive(Clone, Copy)]
struct Other(i32);

#[derive(Clone, Copy, Plain)]
#[repr(C)]
struct Holds {
    ok: [f64; 3],
    other: Other,
    time: std::time::Instant,
}

fn main() {}
