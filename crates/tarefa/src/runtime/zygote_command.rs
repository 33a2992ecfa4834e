//! How the supervisor makes a zygote of a Rust program: what that does then is in
//! [`crate::task::zygote`].

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use tarefa_engine::settings;
use tarefa_engine::task::supervisor;

use crate::runtime::environment;
use crate::runtime::own_copy::own;

/// Tells the supervisor how to make a zygote: this executable again, with an address in its
/// environment.
pub(crate) fn plan() {
    // Else processes are refused.
    let Some(own) = own().filter(|own| own.linked) else { return };
    environment::note_base();
    let envp: Vec<CString> = std::env::vars_os()
        .filter_map(|(k, v)| CString::new([k.as_bytes(), b"=", v.as_bytes()].concat()).ok())
        .collect();
    let mut argv = vec![c"/proc/self/exe".to_owned()];
    // The whole command line follows, so that a task sees the arguments its program had.
    argv.extend(std::env::args_os().filter_map(|a| CString::new(a.as_bytes()).ok()));
    let rest = format!(",{},{}", own.anchor, own.loaded_as);
    let address_in = supervisor::AddressIn::Variable(settings::ZYGOTE, rest);
    supervisor::set_zygote(supervisor::Zygote::Execute(argv, envp, address_in));
}
