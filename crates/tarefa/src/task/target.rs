//! Targets: what a task runs.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::NonNull;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::ser::{self, Impossible};
use tarefa_engine::collections::value::tag;
use tarefa_engine::task::State;

use crate::convert::codec;
use crate::convert::codec::{Encoded, SERDE};
use crate::runtime::interrupt::INTERRUPTED;
use crate::task::panics;

/// A function, or a closure that captures nothing, that takes the arguments `A`.
///
/// It runs on another thread, or in another process, from nothing but its type. So it must be
/// [`Send`] and [`Copy`]: a closure that captures a value without bytes (a token, a guard) would
/// otherwise take to another thread what must stay where it is, or make twice what exists once.
///
/// # Tokens of a process
/// Rust does not tell a closure that captures a value without bytes from one that captures nothing, so
/// one such value still gets into a target: one that may be copied and sent. In another process it is
/// made from its type, although nobody has made it there. For what it proves of the machine or of the
/// program (that the processor has an instruction, that a type is in order) that is right. What it
/// proves of *this process* (that a library was initialised in it, that a static has its value) does
/// not hold in another, whose statics are as at a program's start: code that relies on such a token,
/// by `unsafe`, must not be called with one that a target has captured. Capture none, and make the token
/// inside the target.
///
/// The arguments are a tuple, as many as the function takes: `(x, y)` for a function of two,
/// `(x,)` for a function of one, `()` for none. `Form` tells functions of one argument from
/// those of two; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no target for the arguments `{A}`",
    label = "not a function of these arguments",
    note = "a target is a function or a non-capturing closure whose parameters are the tuple's \
            elements: `fn f(x: u32, y: String)` goes with `(1, \"one\".to_owned())`, and a \
            function of one parameter with `(x,)`"
)]
pub trait Target<A, Form>: of_functions::Only<A, Form> + Copy + Send + 'static {
    /// What the function returns.
    type Output: Serialize + DeserializeOwned + 'static;

    /// Calls the function.
    fn call(&self, args: A) -> Self::Output;
}

/// A target is made from its type alone; so no type but those of functions is one.
mod of_functions {
    pub trait Only<A, Form> {}
}

/// What a target may return: any serde value that is its own, and nothing, of one that does not
/// return. `Form` tells the two apart; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a task",
    label = "does not travel between processes",
    note = "a result is a value that implements `serde::Serialize` and `serde::Deserialize`, and \
            borrows nothing; of an error that does not, make a `tarefa::Failure`"
)]
pub trait Returned<Form> {
    /// What whoever asks for the result gets.
    type Value: Serialize + DeserializeOwned + 'static;

    /// The same value.
    fn value(self) -> Self::Value;
}

/// See [`Returned`]: a value.
#[derive(Debug)]
pub enum Returns {}

/// See [`Returned`]: never, as [`std::process::abort`].
#[derive(Debug)]
pub enum Diverges {}

impl<R: Serialize + DeserializeOwned + 'static> Returned<Returns> for R {
    type Value = R;

    fn value(self) -> R {
        self
    }
}

mod never {
    pub trait Output {
        type Of;
    }

    impl<R> Output for fn() -> R {
        type Of = R;
    }
}

/// The type `!`, which has no other name in stable Rust.
type Never = <fn() -> ! as never::Output>::Of;

impl Returned<Diverges> for Never {
    type Value = ();

    fn value(self) {
        self
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        impl<F, R, Form, $($name),*> of_functions::Only<($($name,)*), (fn($($name),*), Form)> for F
        where
            F: Fn($($name),*) -> R + Copy + Send + 'static,
            R: Returned<Form>,
        {
        }

        impl<F, R, Form, $($name),*> Target<($($name,)*), (fn($($name),*), Form)> for F
        where
            F: Fn($($name),*) -> R + Copy + Send + 'static,
            R: Returned<Form>,
        {
            type Output = R::Value;

            #[allow(non_snake_case)]
            fn call(&self, ($($name,)*): ($($name,)*)) -> R::Value {
                self($($name),*).value()
            }
        }
    };
}

targets!();
targets!(A);
targets!(A B);
targets!(A B C);
targets!(A B C D);
targets!(A B C D E);
targets!(A B C D E G);
targets!(A B C D E G H);
targets!(A B C D E G H I);

/// What came out of a target.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) state: State,
    pub(crate) tag: u8,
    pub(crate) outcome: Encoded,
    /// Whether it panicked.
    pub(crate) panicked: bool,
}

impl Ended {
    /// The exit code that goes with it.
    pub(crate) fn code(&self) -> i32 {
        match self.state {
            State::Finished => 0,
            State::Interrupted => 130,
            _ => 1,
        }
    }

    pub(crate) fn failed(text: String) -> Self {
        let outcome = Encoded::of_text(text);
        Self { state: State::Failed, tag: tag::STR, outcome, panicked: false }
    }
}

/// Refuses a target that captures something. Evaluated when the program is compiled.
pub(crate) const fn check_captures_nothing<F>() {
    assert!(
        size_of::<F>() == 0 && align_of::<F>() == 1,
        "a target of tarefa captures nothing: hand over what the closure uses as arguments, \
         as in Process::new(|x: u64| x + 1, (x,)), and name a function itself instead of a \
         pointer to it"
    );
}

/// Runs a target: what every task does, on a thread or in a process.
pub(crate) fn run<F, A, M>(args: A) -> Ended
where
    F: Target<A, M>,
{
    match panic::catch_unwind(AssertUnwindSafe(|| ended(call::<F, A, M>(args)))) {
        Ok(ended) => ended,
        Err(payload) => panicked(payload),
    }
}

/// Calls a target that was found to [capture nothing](check_captures_nothing).
pub(crate) fn call<F, A, M>(args: A) -> F::Output
where
    F: Target<A, M>,
{
    // SAFETY: who takes a target refuses an F with a size, so an aligned address is all that a
    // reference to it needs; and was given a value of it. That is `Copy` and `Send`, so one more of
    // it may be here, whatever thread this is. It is only lent, so nothing of it is dropped.
    let target: &F = unsafe { NonNull::dangling().as_ref() };
    target.call(args)
}

/// What a panic that was caught makes of the task.
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Ended {
    let text = panics::caught(&*payload);
    drop_quietly(payload);
    Ended { panicked: true, ..Ended::failed(text) }
}

/// Drops it; what panics in its destructor is left where it is.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| drop(value))) {
        std::mem::forget(payload);
    }
}

/// What a value makes of the task that returns it.
pub(crate) fn ended<R: Serialize>(value: R) -> Ended {
    let state = verdict(&value);
    match codec::encode(&value) {
        Ok(outcome) => Ended { state, tag: SERDE, outcome, panicked: false },
        Err(e) => Ended::failed(format!("the result cannot be sent: {e}")),
    }
}

/// How a task that returned this ended: an `Err` is a failure, or an interruption if it
/// carries [`Interrupted`](crate::Interrupted).
pub(crate) fn verdict<R: Serialize>(value: &R) -> State {
    match value.serialize(Probe { inside_error: false }) {
        Err(Seen::Error) => State::Failed,
        Err(Seen::Interrupted) => State::Interrupted,
        _ => State::Finished,
    }
}

/// A serialiser that only looks: is it `Err`, and is there an `Interrupted` in it?
#[derive(Clone, Copy)]
struct Probe {
    inside_error: bool,
}

#[derive(Debug)]
enum Seen {
    Nothing,
    Error,
    Interrupted,
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("looked at")
    }
}

impl std::error::Error for Seen {}

impl ser::Error for Seen {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self::Nothing
    }
}

impl Probe {
    fn seen(self) -> Seen {
        if self.inside_error { Seen::Error } else { Seen::Nothing }
    }
}

macro_rules! plain {
    ($($method:ident($type:ty))*) => {$(
        fn $method(self, _: $type) -> Result<(), Seen> {
            Err(self.seen())
        }
    )*};
}

impl ser::Serializer for Probe {
    type Ok = ();
    type Error = Seen;
    type SerializeSeq = Impossible<(), Seen>;
    type SerializeTuple = Impossible<(), Seen>;
    type SerializeTupleStruct = Impossible<(), Seen>;
    type SerializeTupleVariant = Variant;
    type SerializeMap = Impossible<(), Seen>;
    type SerializeStruct = Impossible<(), Seen>;
    type SerializeStructVariant = Variant;

    plain! {
        serialize_bool(bool) serialize_i8(i8) serialize_i16(i16) serialize_i32(i32)
        serialize_i64(i64) serialize_i128(i128) serialize_u8(u8) serialize_u16(u16)
        serialize_u32(u32) serialize_u64(u64) serialize_u128(u128) serialize_f32(f32)
        serialize_f64(f64) serialize_char(char) serialize_str(&str) serialize_bytes(&[u8])
    }

    fn serialize_none(self) -> Result<(), Seen> {
        Err(self.seen())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Seen> {
        if self.inside_error { value.serialize(self) } else { Err(Seen::Nothing) }
    }

    fn serialize_unit(self) -> Result<(), Seen> {
        Err(self.seen())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<(), Seen> {
        if self.inside_error && name == INTERRUPTED {
            return Err(Seen::Interrupted);
        }
        Err(self.seen())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &str) -> Result<(), Seen> {
        Err(self.seen())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Seen> {
        if self.inside_error { value.serialize(self) } else { Err(Seen::Nothing) }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Seen> {
        if self.inside_error {
            value.serialize(self)
        } else if name == "Result" && variant == "Err" {
            value.serialize(Self { inside_error: true })
        } else {
            Err(Seen::Nothing)
        }
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Seen> {
        Err(self.seen())
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Seen> {
        Err(self.seen())
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Seen> {
        Err(self.seen())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Variant, Seen> {
        if self.inside_error { Ok(Variant) } else { Err(Seen::Nothing) }
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Seen> {
        Err(self.seen())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Seen> {
        Err(self.seen())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Variant, Seen> {
        if self.inside_error { Ok(Variant) } else { Err(Seen::Nothing) }
    }
}

/// Looks at the fields of an error's variant.
struct Variant;

impl Variant {
    fn look<T: Serialize + ?Sized>(value: &T) -> Result<(), Seen> {
        match value.serialize(Probe { inside_error: true }) {
            Err(Seen::Interrupted) => Err(Seen::Interrupted),
            _ => Ok(()),
        }
    }
}

impl ser::SerializeTupleVariant for Variant {
    type Ok = ();
    type Error = Seen;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Seen> {
        Self::look(value)
    }

    fn end(self) -> Result<(), Seen> {
        Err(Seen::Error)
    }
}

impl ser::SerializeStructVariant for Variant {
    type Ok = ();
    type Error = Seen;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Seen> {
        Self::look(value)
    }

    fn end(self) -> Result<(), Seen> {
        Err(Seen::Error)
    }
}
