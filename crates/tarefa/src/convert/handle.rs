//! A reference to an object in shared memory, which serialises.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tarefa_engine::kinds;
use tarefa_engine::shm::member::runtime::Address;
use tarefa_engine::shm::object::address::ObjectAddress;
use tarefa_engine::shm::object::attach::{self, Refused};
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Off, Runtime, TooManyThreads, object};

use crate::convert::codec;

/// The name under which a handle serialises: the shared list knows it by this.
pub(crate) const NAME: &str = "tarefa::Handle";

/// Where a handle's object is: kind, root process, its descriptor, the runtime's id, the
/// object's offset and id.
pub(crate) type Wire = (u64, u64, u64, u64, u64, u64);

/// Keeps its object alive.
#[derive(Debug)]
pub(crate) struct Handle {
    runtime: &'static Runtime,
    off: Off,
    id: u64,
}

impl Handle {
    /// Takes over the reference that making the object gave this process.
    pub(crate) fn adopt(me: &Member, off: Off) -> Self {
        let id = object::header(me, off).id.load(tarefa_engine::atomic::Ordering::Relaxed);
        Self { runtime: me.runtime(), off, id }
    }

    /// The object at `off`, which somebody else keeps alive meanwhile.
    pub(crate) fn of(me: &Member, off: Off) -> Option<Self> {
        let id = object::header(me, off).id.load(tarefa_engine::atomic::Ordering::Relaxed);
        matches!(refcount::acquire(me, off, id), Ok(true)).then(|| Self {
            runtime: me.runtime(),
            off,
            id,
        })
    }

    /// The calling thread's slot.
    ///
    /// # Errors
    /// The thread has none, and none is free.
    #[inline]
    pub(crate) fn try_me(&self) -> Result<Member, TooManyThreads> {
        self.runtime.try_me()
    }

    /// The same for a thread that has a slot already: it has called [`Handle::try_me`] before.
    #[inline]
    pub(crate) fn me(&self) -> Member {
        self.runtime.me()
    }

    /// For what must not fail, whatever thread it is: see [`Runtime::with_me`].
    #[inline]
    pub(crate) fn with_me<T>(&self, act: impl FnOnce(&Member) -> T) -> T {
        self.runtime.with_me(act)
    }

    #[inline]
    pub(crate) fn off(&self) -> Off {
        self.off
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    pub(crate) fn kind(&self) -> u64 {
        let header: &object::ObjectHeader = self.runtime.arena().at(self.off);
        header.kind.load(tarefa_engine::atomic::Ordering::Relaxed)
    }

    fn from_wire(wire: Wire, wanted: u64) -> Result<Self, String> {
        let (kind, root, memory_fd, runtime, off, id) = wire;
        if kind != wanted {
            return Err(format!("a handle of {} was given", kinds::words(kind)));
        }
        tarefa_engine::task::register();
        let runtime = Address { root: root as i32, memory_fd: memory_fd as i32, id: runtime };
        let at = ObjectAddress { runtime, off: Off(off), kind: wanted, id };
        match attach::attach(&at) {
            Ok(runtime) => Ok(Self { runtime, off: at.off, id }),
            Err(Refused::Kind(is)) => {
                Err(format!("a handle of {} that is {}", kinds::words(kind), kinds::words(is)))
            }
            Err(Refused::Gone) => Err(format!(
                "{} that a handle leads to is gone: nobody held it any more; keep a handle \
                 alive until the receiver has its own",
                kinds::words(kind)
            )),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Deserialises a handle of an object of `kind`.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        kind: u64,
    ) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Wire;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a handle of a shared object")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<Wire, D::Error> {
                Wire::deserialize(d)
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<Wire, A::Error> {
                Wire::deserialize(de::value::SeqAccessDeserializer::new(seq))
            }
        }
        let wire = deserializer.deserialize_newtype_struct(NAME, Visitor)?;
        Self::from_wire(wire, kind).map_err(|text| {
            codec::note_fault(&text);
            de::Error::custom(text)
        })
    }
}

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        codec::mention(self);
        let at = self.runtime.address();
        let wire: Wire =
            (self.kind(), at.root as u64, at.memory_fd as u64, at.id, self.off.0, self.id);
        serializer.serialize_newtype_struct(NAME, &wire)
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        // This process holds the object, so one more handle is a number in its own memory.
        let held = self.with_me(|me| refcount::acquire(me, self.off, self.id));
        debug_assert!(matches!(held, Ok(true)));
        Self { runtime: self.runtime, off: self.off, id: self.id }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.with_me(|me| refcount::release(me, self.off));
    }
}

impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        self.off == other.off && self.id == other.id && self.runtime.id() == other.runtime.id()
    }
}

impl Eq for Handle {}
