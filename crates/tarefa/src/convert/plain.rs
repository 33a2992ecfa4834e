//! Data that means the same in every process and language: what arrays hold.

use std::fmt::Write as _;

/// Data that can lie in shared memory as it is: of a fixed size, without addresses.
///
/// Numbers, `bool`, `char`, arrays of plain data, and what derives it:
///
/// ```
/// use tarefa::{Array, Plain};
///
/// #[derive(Clone, Copy, Debug, PartialEq, Plain)]
/// #[repr(C)]
/// struct Point {
///     x: i32,
///     y: f64,
///     color: Color,
/// }
///
/// #[derive(Clone, Copy, Debug, PartialEq, Plain)]
/// #[repr(u8)]
/// enum Color {
///     Red = 1,
///     Blue = 2,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let points = Array::filled(Point { x: 1, y: 0.5, color: Color::Blue }, 3)?;
/// points.set(2, Point { x: 3, y: 1.5, color: Color::Red })?;
/// assert_eq!(points.get(2)?.color, Color::Red);
/// # Ok(())
/// # }
/// ```
///
/// The derive wants
///
/// - of a structure: `#[repr(C)]` or `#[repr(transparent)]`, so that its layout is the same in
///   every program, and fields that are [`Plain`], each of which it checks;
/// - of an enum: no data in its variants, and a `#[repr(u8)]` or another integer's.
///
/// It takes no reference, pointer or box, for an address means nothing in another process, and no
/// union, for nobody could say which of its fields is there.
///
/// Values go into the memory field by field, and come out of it the same way. So padding is
/// never read, and is zero; and what others may have written that no value looks like (a `bool`
/// of 2, a `char` that is none, an enum's unknown number) is told, not assumed away. Nothing
/// unsafe relies on an implementation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not plain data, so it cannot lie in shared memory as it is",
    label = "not plain data",
    note = "numbers, bool, char and arrays of these are plain; for a structure of your own write \
            `#[derive(Clone, Copy, tarefa::Plain)]` and `#[repr(C)]` above it",
    note = "text and everything else that has an address inside goes into a `tarefa::List`"
)]
pub trait Plain: Copy + Send + Sync + 'static {
    /// Writes down how a value looks, for others who read it.
    fn describe(format: &mut Format);

    /// Writes the value into as many bytes as it has; those of padding stay as they are.
    fn put(&self, bytes: &mut [u8]);

    /// The value that these bytes are; `None` if they are none.
    fn take(bytes: &[u8]) -> Option<Self>;
}

/// How a plain type looks, in the notation of PEP 3118, which Python, NumPy and C have.
#[derive(Clone, Debug, Default)]
pub struct Format {
    text: String,
    inside: bool,
}

impl Format {
    /// The format of `T`.
    #[must_use]
    pub fn of<T: Plain>() -> Self {
        let mut format = Self::default();
        T::describe(&mut format);
        format
    }

    /// The notation.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A scalar, by its letter.
    fn scalar(&mut self, code: char) {
        if self.inside {
            // Of a size that does not depend on the machine, and no alignment but what is said.
            self.text.push('<');
        }
        self.text.push(code);
    }

    /// So many of what `item` describes.
    fn several(&mut self, count: usize, item: fn(&mut Self)) {
        let mut inner = Self { text: String::new(), inside: self.inside };
        item(&mut inner);
        let _ = match inner.text.strip_prefix('(') {
            Some(rest) => write!(self.text, "({count},{rest}"),
            None => write!(self.text, "({count}){}", inner.text),
        };
    }

    /// A structure of `size` bytes.
    #[doc(hidden)]
    pub fn structure(&mut self, size: usize, fields: &[Field]) {
        let (mut end, outer) = (0, std::mem::replace(&mut self.inside, true));
        self.text.push_str("T{");
        for field in fields {
            self.padding(field.offset - end);
            (field.describe)(self);
            let _ = write!(self.text, ":{}:", field.name);
            end = field.offset + field.size;
        }
        self.padding(size - end);
        self.text.push('}');
        self.inside = outer;
    }

    fn padding(&mut self, bytes: usize) {
        if bytes > 0 {
            let _ = write!(self.text, "{bytes}x");
        }
    }
}

/// A field of a structure: what the derive makes.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub offset: usize,
    pub size: usize,
    pub describe: fn(&mut Format),
}

macro_rules! numbers {
    ($($type:ident $code:literal)*) => {$(
        impl Plain for $type {
            fn describe(format: &mut Format) {
                format.scalar($code);
            }

            #[inline]
            fn put(&self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_ne_bytes());
            }

            #[inline]
            fn take(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_ne_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}

numbers! {
    i8 'b' u8 'B' i16 'h' u16 'H' i32 'i' u32 'I' i64 'q' u64 'Q' isize 'q' usize 'Q' f32 'f' f64 'd'
}

impl Plain for bool {
    fn describe(format: &mut Format) {
        format.scalar('?');
    }

    #[inline]
    fn put(&self, bytes: &mut [u8]) {
        bytes[0] = u8::from(*self);
    }

    #[inline]
    fn take(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

impl Plain for char {
    fn describe(format: &mut Format) {
        format.scalar('w');
    }

    #[inline]
    fn put(&self, bytes: &mut [u8]) {
        u32::from(*self).put(bytes);
    }

    #[inline]
    fn take(bytes: &[u8]) -> Option<Self> {
        u32::take(bytes).and_then(char::from_u32)
    }
}

impl<T: Plain, const N: usize> Plain for [T; N] {
    fn describe(format: &mut Format) {
        format.several(N, T::describe);
    }

    fn put(&self, bytes: &mut [u8]) {
        // Of nothing there is nothing to put, and no piece of that size.
        for (value, bytes) in self.iter().zip(bytes.chunks_exact_mut(size_of::<T>().max(1))) {
            value.put(bytes);
        }
    }

    fn take(bytes: &[u8]) -> Option<Self> {
        let size = size_of::<T>();
        let mut values = (0..N).map(|i| T::take(bytes.get(i * size..(i + 1) * size)?));
        let mut made = [const { None }; N];
        for place in &mut made {
            *place = Some(values.next()??);
        }
        // All of them are there.
        Some(made.map(|value| value.unwrap_or_else(|| unreachable!("filled in just above"))))
    }
}

/// Numbers and arrays of them, of which any bytes are one: slices of these are looked at where they lie.
///
/// It is for the types of the language alone: what a program's own type makes of bytes that it has not
/// written is nobody's to promise.
pub trait Number: Plain + sealed::Number {}

macro_rules! any_bytes {
    ($($type:ty)*) => {$(
        impl sealed::Number for $type {}
        impl Number for $type {}
    )*};
}

any_bytes! { i8 u8 i16 u16 i32 u32 i64 u64 isize usize f32 f64 }

impl<T: Number, const N: usize> sealed::Number for [T; N] {}
impl<T: Number, const N: usize> Number for [T; N] {}

mod sealed {
    pub trait Number {}

    use tarefa_engine::collections::array::pep3118::Scalar;

    pub trait Integer {
        const SCALAR: Scalar;
        fn bits(self) -> u64;
        fn of_bits(bits: u64) -> Self;
    }
}

pub(crate) use sealed::Integer as Bits;

/// The integers that have atomic operations: of 8, 16, 32 and 64 bits.
pub trait Integer: Plain + sealed::Integer {
    #[doc(hidden)]
    #[must_use]
    fn wrapping_sum(self, other: Self) -> Self;
    #[doc(hidden)]
    #[must_use]
    fn wrapping_difference(self, other: Self) -> Self;
    #[doc(hidden)]
    fn checked_sum(self, other: Self) -> Option<Self>;
}

macro_rules! integers {
    ($($type:ident $scalar:ident)*) => {$(
        impl sealed::Integer for $type {
            const SCALAR: tarefa_engine::collections::array::pep3118::Scalar =
                tarefa_engine::collections::array::pep3118::Scalar::$scalar;

            #[inline]
            fn bits(self) -> u64 {
                self as u64
            }

            #[inline]
            fn of_bits(bits: u64) -> Self {
                bits as Self
            }
        }

        impl Integer for $type {
            #[inline]
            fn wrapping_sum(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            #[inline]
            fn wrapping_difference(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }

            #[inline]
            fn checked_sum(self, other: Self) -> Option<Self> {
                self.checked_add(other)
            }
        }
    )*};
}

integers! {
    i8 I8 u8 U8 i16 I16 u16 U16 i32 I32 u32 U32 i64 I64 u64 U64 isize I64 usize U64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        assert_eq!(Format::of::<i32>().as_str(), "i");
        assert_eq!(Format::of::<usize>().as_str(), "Q");
        assert_eq!(Format::of::<[[f64; 3]; 2]>().as_str(), "(2,3)d");
    }

    #[test]
    fn what_is_put_is_taken() {
        fn back<T: Plain + PartialEq + std::fmt::Debug>(value: T) {
            let mut bytes = vec![0xaa; size_of::<T>()];
            value.put(&mut bytes);
            assert_eq!(T::take(&bytes), Some(value));
        }
        back(-5i8);
        back(u64::MAX);
        back(0.1f32);
        back([1u16, 2, 3]);
        back([['a', '\u{1f40d}'], ['é', '\0']]);
        back([true, false]);
        back(isize::MIN);
        back([[0u8; 0]; 3]);
        back([[7u8; 2]; 0]);
    }

    #[test]
    fn what_is_none_is_told() {
        assert_eq!(bool::take(&[2]), None);
        assert_eq!(char::take(&0xd800u32.to_ne_bytes()), None);
        assert_eq!(<[bool; 2]>::take(&[1, 7]), None);
    }
}
