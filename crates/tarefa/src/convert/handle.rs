//! How a handle of a shared object is written among serde's values: as the place of its object.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tarefa_engine::kinds;
use tarefa_engine::shm::Off;
use tarefa_engine::shm::member::runtime::Address;
use tarefa_engine::shm::object::address::ObjectAddress;
use tarefa_engine::shm::object::attach::Refused;
use tarefa_engine::shm::object::handle::Handle;

use crate::convert::codec;

/// The name under which a handle serialises: the shared list knows it by this.
pub(crate) const NAME: &str = "tarefa::Handle";

/// Where a handle's object is: kind, root process, its descriptor, the runtime's id, the
/// object's offset and id.
pub(crate) type Wire = (u64, u64, u64, u64, u64, u64);

/// A handle, for serde.
#[derive(Debug)]
pub(crate) struct Written<'a>(pub(crate) &'a Handle);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        codec::mention(self.0);
        let ObjectAddress { runtime: at, off, kind, id } = self.0.address();
        let wire: Wire = (kind, at.root as u64, at.memory_fd as u64, at.id, off.0, id);
        serializer.serialize_newtype_struct(NAME, &wire)
    }
}

/// Serialises a handle; the object is noted for an encoding that is going on.
pub(crate) fn serialize<S: Serializer>(handle: &Handle, serializer: S) -> Result<S::Ok, S::Error> {
    Written(handle).serialize(serializer)
}

/// Deserialises a handle of an object of `kind`.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
    kind: u64,
) -> Result<Handle, D::Error> {
    deserialize_any(deserializer, &[kind])
}

/// The same of an object of one of these kinds.
pub(crate) fn deserialize_any<'de, D: Deserializer<'de>>(
    deserializer: D,
    wanted: &[u64],
) -> Result<Handle, D::Error> {
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
    attach(wire, wanted).map_err(|text| {
        codec::note_fault(&text);
        de::Error::custom(text)
    })
}

/// The object at that place, which is to be of one of the kinds `wanted`.
fn attach(wire: Wire, wanted: &[u64]) -> Result<Handle, String> {
    let (kind, root, memory_fd, runtime, off, id) = wire;
    if !wanted.contains(&kind) {
        return Err(format!("a handle of {} was given", kinds::words(kind)));
    }
    tarefa_engine::task::register();
    let runtime = Address { root: root as i32, memory_fd: memory_fd as i32, id: runtime };
    let at = ObjectAddress { runtime, off: Off(off), kind, id };
    Handle::attach(&at).map_err(|refused| match refused {
        Refused::Kind(is) => {
            format!("a handle of {} that is {}", kinds::words(kind), kinds::words(is))
        }
        Refused::Gone => format!(
            "{} that a handle leads to is gone: nobody held it any more; keep a handle \
             alive until the receiver has its own",
            kinds::words(kind)
        ),
        other => other.to_string(),
    })
}
