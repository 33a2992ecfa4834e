//! A function and its arguments, on their way to a worker; and what comes of the call there.

use std::any::type_name;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::os::code_place::CodePlace;
use tarefa_engine::shm::trace::Ended;
use tarefa_engine::task::State;

use super::running;
use crate::convert::codec::{self, Encoded};
use crate::convert::element;
use crate::convert::errors::EncodeError;
use crate::runtime::own_copy::{self, Unreachable};
use crate::task::panics;
use crate::task::target::{self, Target};

/// A function, as a worker has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Callee {
    /// Calls it with the arguments in these bytes.
    pub(super) call: fn(&[u8]) -> Called,
    /// What it is called, for people.
    pub(super) name: &'static str,
}

/// What gives a [`Callee`]: its place is what travels.
pub(super) type Trampoline = fn() -> Callee;

/// What came of a call.
#[derive(Debug)]
pub(super) enum Called {
    /// A value that is a word.
    Word(u64),
    /// Another value, and what it says of how the function has ended.
    Value(Encoded, State),
    Panicked(String),
    /// The arguments cannot be read.
    Unread(String),
    /// The value cannot be written.
    Unsent(String),
}

impl Called {
    /// How the call has ended, for timelines.
    pub(super) fn how(&self) -> Ended {
        match self {
            Self::Word(_) => Ended::Returned,
            Self::Value(_, verdict) => running::ended(*verdict),
            Self::Panicked(_) | Self::Unread(_) | Self::Unsent(_) => Ended::Failed,
        }
    }
}

/// The largest type whose values may be words.
const WORDLIKE: usize = 16;

/// What calls `F`.
pub(super) fn trampoline<F, A, M>() -> Callee
where
    F: Target<A, M>,
    A: DeserializeOwned,
{
    Callee { call: call::<F, A, M>, name: type_name::<F>() }
}

fn call<F, A, M>(bytes: &[u8]) -> Called
where
    F: Target<A, M>,
    A: DeserializeOwned,
{
    let act = || match codec::decode::<A>(bytes) {
        Ok(args) => called(&target::call::<F, A, M>(args)),
        Err(e) => Called::Unread(e.to_string()),
    };
    panic::catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|payload| {
        let text = panics::caught(&*payload);
        target::drop_quietly(payload);
        Called::Panicked(text)
    })
}

fn called<R: Serialize>(value: &R) -> Called {
    if size_of::<R>() <= WORDLIKE {
        if let Some(word) = element::word(value) {
            return Called::Word(word);
        }
    }
    match codec::encode(value) {
        Ok(encoded) => Called::Value(encoded, target::verdict(value)),
        Err(e) => Called::Unsent(e.to_string()),
    }
}

/// A function that is called once in each worker, with its arguments.
#[derive(Clone)]
pub(super) struct Call {
    place: CodePlace,
    args: Encoded,
}

impl Call {
    pub(super) fn new<F, A, M>(args: &A) -> Result<Self, BadCall>
    where
        F: Target<A, M>,
        A: Serialize + DeserializeOwned,
    {
        let trampoline: Trampoline = trampoline::<F, A, M>;
        let place = own_copy::place(trampoline as usize)?;
        Ok(Self { place, args: codec::encode(args)? })
    }

    /// Calls it here.
    pub(super) fn call(&self) -> Result<(), String> {
        let Some(callee) = Known::default().find(self.place) else {
            return Err("its code is not in this process".to_owned());
        };
        match (callee.call)(&self.args.bytes) {
            Called::Word(_) => Ok(()),
            Called::Value(value, _) => match crate::convert::encoding::text_in(&value.bytes) {
                Some(error) => Err(error),
                None => Ok(()),
            },
            Called::Panicked(text) => Err(format!("it panicked: {text}")),
            Called::Unread(text) | Called::Unsent(text) => Err(text),
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({})", self.place)
    }
}

/// Why a call cannot travel.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadCall {
    #[error(transparent)]
    Arguments(#[from] EncodeError),
    #[error(transparent)]
    Target(#[from] Unreachable),
}

impl Serialize for Call {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.args.mention_all();
        (self.place.to_bytes(), &self.args.bytes).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Call {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (place, bytes) = <([u8; CodePlace::BYTES], Vec<u8>)>::deserialize(deserializer)?;
        Ok(Self { place: CodePlace::from_bytes(&place), args: Encoded::of_bytes(bytes) })
    }
}

/// The last function that was looked for: most tasks of a pool have the same.
#[derive(Debug, Default)]
pub(super) struct Known(Option<(CodePlace, Callee)>);

impl Known {
    /// The function at that place, which [`own_copy::place`] has given for a [`Trampoline`], in
    /// this process or another of the program.
    pub(super) fn find(&mut self, place: CodePlace) -> Option<Callee> {
        if let Some((_, found)) = self.0.filter(|(known, _)| *known == place) {
            return Some(found);
        }
        let address = own_copy::address(place)?;
        // SAFETY: who made the message had this place of a `Trampoline`, and this process maps that byte
        // of that very file as code. A worker is started by the copy of this crate that made the pool, and
        // takes messages of that pool alone, so the type is the same.
        let found = unsafe { std::mem::transmute::<usize, Trampoline>(address) };
        let found = found();
        self.0 = Some((place, found));
        Some(found)
    }
}
