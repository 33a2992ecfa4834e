//! What derives `Plain`.

use tarefa::{Format, Plain};

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(C)]
struct Point {
    x: i8,
    y: f64,
    r#type: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(i16)]
enum Kind {
    Near = -1,
    Far = 300,
}

#[derive(Clone, Copy, Debug, PartialEq, Plain)]
#[repr(transparent)]
struct Meters(f32);

#[derive(Clone, Copy, Plain)]
#[repr(C, packed(2))]
struct Packed {
    small: u8,
    large: u64,
    grid: [[Meters; 2]; 3],
}

#[derive(Clone, Copy, Plain)]
#[repr(C, align(16))]
struct Pair<A, B>(A, B);

fn main() {
    assert_eq!(Format::of::<Point>().as_str(), "T{<b:x:7x<d:y:<h:type:6x}");
    assert_eq!(Format::of::<Packed>().as_str(), "T{<B:small:1x<Q:large:(3,2)T{<f:field0:}:grid:}");
    assert_eq!(Format::of::<Pair<u8, bool>>().as_str(), "T{<B:field0:<?:field1:14x}");
    let point = Point { x: -1, y: 0.5, r#type: Kind::Far };
    let mut bytes = [0; 24];
    point.put(&mut bytes);
    assert_eq!(Point::take(&bytes), Some(point));
    bytes[16..18].copy_from_slice(&0i16.to_ne_bytes());
    assert_eq!(Point::take(&bytes), None);
    let packed = Packed { small: 3, large: 1 << 40, grid: [[Meters(1.0), Meters(2.0)]; 3] };
    let mut bytes = [0; 34];
    packed.put(&mut bytes);
    let back = Packed::take(&bytes).unwrap();
    assert_eq!(({ back.small }, { back.large }, { back.grid }), (3, 1 << 40, packed.grid));
}
