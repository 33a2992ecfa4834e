//! `#[derive(Plain)]`.

use proc_macro2::TokenStream as Tokens;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DataEnum, DataStruct, DeriveInput, Error, Field, Fields, GenericParam, Ident,
    Index, Member, Result, Type,
};

const LAYOUT: &str = "#[derive(Plain)] needs #[repr(C)] above the structure: without it every \
                      program may lay its fields out differently";
const NUMBERS: &str = "#[derive(Plain)] needs #[repr(u8)], or another integer, above the enum: \
                       without it every program may number its variants differently";
const ADDRESS: &str = "an address means nothing in another process: keep the data itself here, \
                       or an index into a shared Array, or put it into a tarefa::List";

pub(crate) fn derive(input: &DeriveInput) -> Result<Tokens> {
    for parameter in &input.generics.params {
        if let GenericParam::Lifetime(lifetime) = parameter {
            return Err(Error::new_spanned(lifetime, format!("a type that borrows: {ADDRESS}")));
        }
    }
    let representation = Representation::of(&input.attrs)?;
    match &input.data {
        Data::Struct(data) => structure(input, data, &representation),
        Data::Enum(data) => enumeration(input, data, &representation),
        Data::Union(data) => Err(Error::new_spanned(
            data.union_token,
            "a union is not plain data: nobody could say which of its fields is there; use an \
             array of bytes, or a structure with a field that tells",
        )),
    }
}

/// What the `repr` attributes say.
#[derive(Default)]
struct Representation {
    fixed: bool,
    integer: Option<Ident>,
}

impl Representation {
    fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attribute in attributes.iter().filter(|a| a.path().is_ident("repr")) {
            attribute.parse_nested_meta(|meta| {
                let Some(name) = meta.path.get_ident() else { return Ok(()) };
                match name.to_string().as_str() {
                    "C" | "transparent" => found.fixed = true,
                    "packed" | "align" => {
                        // Their numbers are in brackets, or not there.
                        if meta.input.peek(syn::token::Paren) {
                            let number;
                            syn::parenthesized!(number in meta.input);
                            number.parse::<syn::LitInt>()?;
                        }
                    }
                    "u128" | "i128" => {
                        return Err(meta.error("plain data has integers of at most 64 bits"));
                    }
                    _ => found.integer = Some(name.clone()),
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}

fn structure(
    input: &DeriveInput,
    data: &DataStruct,
    representation: &Representation,
) -> Result<Tokens> {
    if !representation.fixed {
        return Err(Error::new_spanned(&input.ident, LAYOUT));
    }
    if matches!(&data.fields, Fields::Unit) || data.fields.is_empty() {
        let text = "a structure without fields has nothing to share";
        return Err(Error::new_spanned(&input.ident, text));
    }
    refuse_addresses(data)?;
    let types: Vec<_> = data.fields.iter().map(|field| &field.ty).collect();
    let members = members(data);
    let names = members.iter().map(shown);
    // Each trait bound is reported where the field's type stands.
    let describe =
        types.iter().map(|ty| quote_spanned!(ty.span()=> <#ty as ::tarefa::Plain>::describe));
    let put = members.iter().zip(&types).map(|(member, ty)| {
        quote_spanned! {ty.span()=>
            let at = ::core::mem::offset_of!(Self, #member);
            let field: #ty = self.#member;
            ::tarefa::Plain::put(&field, &mut bytes[at..at + ::core::mem::size_of::<#ty>()]);
        }
    });
    let take = members.iter().zip(&types).map(|(member, ty)| {
        quote_spanned! {ty.span()=>
            #member: {
                let at = ::core::mem::offset_of!(Self, #member);
                <#ty as ::tarefa::Plain>::take(&bytes[at..at + ::core::mem::size_of::<#ty>()])?
            }
        }
    });
    let describe_body = quote! {
        format.structure(
            ::core::mem::size_of::<Self>(),
            &[#(::tarefa::__private::Field {
                name: #names,
                offset: ::core::mem::offset_of!(Self, #members),
                size: ::core::mem::size_of::<#types>(),
                describe: #describe,
            }),*],
        );
    };
    let put_body = quote!(#(#put)*);
    let take_body = quote!(::core::option::Option::Some(Self { #(#take),* }));
    Ok(implementation(input, &describe_body, &put_body, &take_body))
}

/// Refuses all fields that hold addresses, each where it stands.
fn refuse_addresses(data: &DataStruct) -> Result<()> {
    let refused = data.fields.iter().filter_map(|field| {
        let what = address(&field.ty)?;
        Some(Error::new_spanned(&field.ty, format!("{what}: {ADDRESS}")))
    });
    let all = refused.reduce(|mut all, error| {
        all.combine(error);
        all
    });
    all.map_or(Ok(()), Err)
}

/// How each field is written after a dot.
fn members(data: &DataStruct) -> Vec<Member> {
    let member = |(i, field): (usize, &Field)| match &field.ident {
        Some(name) => Member::Named(name.clone()),
        None => Member::Unnamed(Index::from(i)),
    };
    data.fields.iter().enumerate().map(member).collect()
}

/// What a field is called where its structure is described.
fn shown(member: &Member) -> String {
    match member {
        Member::Named(name) => {
            let name = name.to_string();
            name.strip_prefix("r#").unwrap_or(&name).to_owned()
        }
        Member::Unnamed(index) => format!("field{}", index.index),
    }
}

fn enumeration(
    input: &DeriveInput,
    data: &DataEnum,
    representation: &Representation,
) -> Result<Tokens> {
    if let Some(variant) = data.variants.iter().find(|v| !v.fields.is_empty()) {
        return Err(Error::new_spanned(
            variant,
            "a variant with data is not plain: use a structure with a field that tells, and one \
             field for each sort of data",
        ));
    }
    if data.variants.is_empty() {
        return Err(Error::new_spanned(&input.ident, "an enum without variants has no value"));
    }
    let Some(integer) = &representation.integer else {
        return Err(Error::new_spanned(&input.ident, NUMBERS));
    };
    let variants: Vec<_> = data.variants.iter().map(|v| &v.ident).collect();
    let describe = quote!(<#integer as ::tarefa::Plain>::describe(format););
    let put = quote!(::tarefa::Plain::put(&(*self as #integer), bytes););
    let take = quote! {
        let number = <#integer as ::tarefa::Plain>::take(bytes)?;
        #(if number == Self::#variants as #integer {
            return ::core::option::Option::Some(Self::#variants);
        })*
        ::core::option::Option::None
    };
    Ok(implementation(input, &describe, &put, &take))
}

fn implementation(input: &DeriveInput, describe: &Tokens, put: &Tokens, take: &Tokens) -> Tokens {
    let name = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in &mut generics.params {
        if let GenericParam::Type(parameter) = parameter {
            parameter.bounds.push(syn::parse_quote!(::tarefa::Plain));
        }
    }
    let (of, arguments, bounds) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #of ::tarefa::Plain for #name #arguments #bounds {
            fn describe(format: &mut ::tarefa::Format) {
                #describe
            }

            #[inline]
            fn put(&self, bytes: &mut [u8]) {
                #put
            }

            #[inline]
            fn take(bytes: &[u8]) -> ::core::option::Option<Self> {
                #take
            }
        }
    }
}

/// What a field's type is, if that is an address, as far as its name tells; what it does not
/// tell, the trait's bound does.
fn address(ty: &Type) -> Option<String> {
    match ty {
        Type::Reference(_) => Some("a reference".to_owned()),
        Type::Ptr(_) => Some("a pointer".to_owned()),
        Type::FnPtr(_) => Some("a function's address".to_owned()),
        Type::Array(array) => address(&array.elem),
        Type::Group(group) => address(&group.elem),
        Type::Paren(paren) => address(&paren.elem),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let name = last.ident.to_string();
            let owns = ["Box", "Rc", "Arc", "Vec", "String", "Cow"].contains(&name.as_str());
            owns.then(|| format!("a {name} holds its data elsewhere"))
        }
        _ => None,
    }
}
