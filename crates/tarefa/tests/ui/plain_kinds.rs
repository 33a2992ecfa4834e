use tarefa::Plain;

#[derive(Clone, Copy, Plain)]
#[repr(C)]
union Either {
    number: u32,
    bytes: [u8; 4],
}

#[derive(Clone, Copy, Plain)]
#[repr(u8)]
enum Data {
    Empty,
    Full(u8),
}

#[derive(Clone, Copy, Plain)]
#[repr(C)]
struct Lends<'a> {
    text: &'a [u8],
}

fn main() {}
