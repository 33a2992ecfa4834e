//! Values as bytes, with the shared objects that the bytes mention.

use std::cell::RefCell;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Off, Runtime};

use crate::convert::encoding;
use crate::convert::errors::{DecodeError, EncodeError};

/// The tag of bytes of [`encoding`].
pub(crate) const SERDE: u8 = tarefa_engine::collections::value::tag::FRONT + 1;

thread_local! {
    /// Handles met while something is being encoded; `None` when nothing is.
    static MENTIONED: RefCell<Option<Vec<Handle>>> = const { RefCell::new(None) };
    /// Why a handle could not be read, which is no fault of the bytes.
    static FAULT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Bytes, and the objects they lead to, held until this is dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    handles: Vec<Handle>,
}

impl Encoded {
    pub(crate) fn of_text(text: String) -> Self {
        Self { bytes: text.into_bytes(), handles: Vec::new() }
    }

    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes, handles: Vec::new() }
    }

    /// Adds another value behind it.
    pub(crate) fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), EncodeError> {
        let mut more = encode(value)?;
        if self.bytes.is_empty() {
            self.bytes = more.bytes;
        } else {
            self.bytes.append(&mut more.bytes);
        }
        self.handles.append(&mut more.handles);
        Ok(())
    }

    /// For bytes that are written among others: all objects are noted for an encoding that goes on.
    pub(crate) fn mention_all(&self) {
        self.handles.iter().for_each(mention);
    }

    /// The kind and id of the first object mentioned: how an object by reference is written.
    pub(crate) fn first_object(&self) -> Option<Vec<u8>> {
        let handle = self.handles.first()?;
        Some([handle.kind().to_le_bytes(), handle.id().to_le_bytes()].concat())
    }

    /// The objects of `runtime` among those mentioned: what a blob there must refer to.
    pub(crate) fn references(&self, runtime: &Runtime) -> Vec<Off> {
        let own = self.handles.iter().filter(|h| h.runtime().id() == runtime.id());
        own.map(Handle::off).collect()
    }
}

/// Remembers that the value being encoded mentions an object.
pub(crate) fn mention(handle: &Handle) {
    MENTIONED.with_borrow_mut(|all| {
        if let Some(all) = all {
            all.push(handle.clone());
        }
    });
}

/// Runs `body` and returns the handles that were serialised in it.
pub(crate) fn collecting<T>(body: impl FnOnce() -> T) -> (T, Vec<Handle>) {
    let outer = MENTIONED.replace(Some(Vec::new()));
    let result = body();
    let handles = MENTIONED.replace(outer).unwrap_or_default();
    (result, handles)
}

/// Remembers why a handle could not be read.
pub(crate) fn note_fault(text: &str) {
    FAULT.set(Some(text.to_owned()));
}

pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Encoded, EncodeError> {
    let (bytes, handles) = collecting(|| encoding::to_bytes(value));
    match bytes {
        Ok(bytes) => Ok(Encoded { bytes, handles }),
        Err(e) => Err(EncodeError { what: std::any::type_name::<T>(), source: e.into() }),
    }
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    FAULT.set(None);
    encoding::from_bytes(bytes).map_err(|e| match FAULT.take() {
        Some(text) => DecodeError::Handle(text),
        None => DecodeError::Bytes { what: std::any::type_name::<T>(), source: e.into() },
    })
}
