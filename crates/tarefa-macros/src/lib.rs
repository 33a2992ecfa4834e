//! The attributes `#[tarefa::main]` and `#[tarefa::test]`, and `#[derive(tarefa::Plain)]`.

mod plain;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{DeriveInput, Error, ItemFn, LitInt, parse_macro_input};

/// Marks the program's main function.
///
/// The zygote is made at the start, so that the first process starts as fast as the others;
/// at the end the program waits for all tasks that are no daemons, also when `main` returns
/// an error or panics.
///
/// ```ignore
/// #[tarefa::main]
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     tarefa::Process::spawn(|| println!("from a process"), ())?;
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn main(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    if !attributes.is_empty() {
        let error = Error::new_spanned(Tokens::from(attributes), "#[tarefa::main] takes nothing");
        return error.to_compile_error().into();
    }
    wrap(&function, &quote!(), &quote!(let _tasks = ::tarefa::__private::JoinAtExit::of_program();))
}

/// Marks a test that starts tasks. At its end those that are no daemons are waited for. Miri, which
/// has one process, ignores it.
///
/// With `#[tarefa::test(timeout = 60)]` a test that still runs after so many seconds ends the
/// test program with a message instead of hanging.
#[proc_macro_attribute]
pub fn test(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let mut seconds: Option<LitInt> = None;
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("timeout") {
            seconds = Some(meta.value()?.parse()?);
            return Ok(());
        }
        Err(meta.error("#[tarefa::test] knows only `timeout = seconds`"))
    });
    parse_macro_input!(attributes with parser);
    let function = parse_macro_input!(item as ItemFn);
    let name = &function.sig.ident;
    let watchdog = seconds.map(|seconds| {
        quote! {
            let _watchdog = ::tarefa::__private::Watchdog::new(
                ::core::stringify!(#name),
                ::core::time::Duration::from_secs(#seconds),
            );
        }
    });
    let before = quote! {
        #watchdog
        let _tasks = ::tarefa::__private::JoinAtExit::of_thread();
    };
    let test = quote! {
        #[::core::prelude::v1::test]
        #[cfg_attr(miri, ignore = "Miri has one process")]
    };
    wrap(&function, &test, &before)
}

/// Makes a type one that can lie in shared memory as it is: see the trait of the same name.
///
/// A structure needs `#[repr(C)]` or `#[repr(transparent)]` and fields that are plain; an enum
/// needs `#[repr(u8)]`, or another integer, and no data.
#[proc_macro_derive(Plain)]
pub fn plain(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    plain::derive(&input).unwrap_or_else(|e| e.to_compile_error()).into()
}

/// The function with tarefa around its body.
fn wrap(function: &ItemFn, attribute: &Tokens, before: &Tokens) -> TokenStream {
    let ItemFn { attrs, vis, sig, block, .. } = function;
    if let Some(keyword) = &sig.asyncness {
        return Error::new_spanned(keyword, "a function that starts tasks is not async")
            .to_compile_error()
            .into();
    }
    quote! {
        #attribute
        #(#attrs)*
        #vis #sig {
            #before
            #block
        }
    }
    .into()
}
