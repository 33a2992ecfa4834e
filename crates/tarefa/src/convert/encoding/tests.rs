#![allow(clippy::option_option)]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{from_bytes, text_in, to_bytes};

fn back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let bytes = to_bytes(&value).unwrap();
    assert_eq!(from_bytes::<T>(&bytes).unwrap(), value, "{bytes:?}");
    assert_eq!(to_bytes(&value).unwrap(), bytes);
    // Whole or not at all.
    for end in 0..bytes.len() {
        assert!(from_bytes::<T>(&bytes[..end]).is_err());
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(u8);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Outer {
    Nothing,
    One(i64),
    Two(u8, String),
    Fields { x: f32, y: Option<Option<u8>> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Small(i8),
    Float(f64),
    Text(String),
    Address(IpAddr),
    Inner(Outer),
    List(Vec<Untagged>),
    Fields { a: u8, b: Option<String> },
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Plain,
    Of(Flat),
    Fields { n: u32, inner: Outer },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Plain,
    Pair(u8, u16),
    Fields { n: Option<u32> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(flatten)]
    inner: Inner,
    #[serde(flatten)]
    rest: BTreeMap<String, Untagged>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    address: IpAddr,
    maybe: Option<i32>,
}

fn flat() -> Flat {
    Flat {
        id: 300,
        note: None,
        tags: Vec::new(),
        inner: Inner { address: "10.0.0.1".parse().unwrap(), maybe: Some(-3) },
        rest: BTreeMap::from([("more".to_owned(), Untagged::Text("x".to_owned()))]),
    }
}

#[test]
fn all_of_the_data_model_comes_back() {
    back(());
    back(Unit);
    back(Wrapped(7));
    back((true, false));
    back((i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
    back((u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
    back((0i128, 0u128, -1i64, 1i64));
    back((1.5f32, f64::MIN, -0.0f64));
    back(['a', '\u{1f40d}']);
    back("text".to_owned());
    back(Some(Some(Some(()))));
    back::<Option<Option<u8>>>(Some(None));
    back::<Option<Option<u8>>>(None);
    back::<Option<()>>(Some(()));
    back::<Vec<Option<()>>>(vec![None, Some(())]);
    back(HashMap::from([(1u8, "one".to_owned()), (2, "two".to_owned())]));
    back(BTreeMap::from([((1, 'a'), vec![Unit]), ((2, 'b'), vec![])]));
    back(vec![
        Outer::Nothing,
        Outer::One(-5),
        Outer::Two(1, "two".to_owned()),
        Outer::Fields { x: 0.5, y: Some(None) },
        Outer::Fields { x: 0.5, y: None },
    ]);
    back(Ok::<u8, String>(3));
    back(Err::<u8, String>("no".to_owned()));
    assert!(from_bytes::<f64>(&to_bytes(&f64::NAN).unwrap()).unwrap().is_nan());
}

#[test]
fn types_may_ask_what_is_there() {
    for value in [
        Untagged::Number(7),
        Untagged::Small(-7),
        Untagged::Float(0.25),
        Untagged::Text("n".to_owned()),
        Untagged::Inner(Outer::Two(1, "b".to_owned())),
        Untagged::Inner(Outer::Fields { x: 1.0, y: Some(Some(2)) }),
        Untagged::List(vec![Untagged::Number(1), Untagged::Number(2), Untagged::Nothing]),
        Untagged::Fields { a: 1, b: None },
        Untagged::Fields { a: 1, b: Some("b".to_owned()) },
        Untagged::Nothing,
    ] {
        back(value);
    }
    back(Tagged::Plain);
    back(Tagged::Fields { n: 1, inner: Outer::Nothing });
    back(vec![Adjacent::Plain, Adjacent::Pair(1, 2), Adjacent::Fields { n: None }]);
    back(flat());
    let mut more = flat();
    more.note = Some("note".to_owned());
    more.tags = vec!["a".to_owned()];
    more.inner.maybe = None;
    back(more.clone());
    back(vec![flat(), more.clone(), flat()]);
    back(Tagged::Of(Flat { rest: BTreeMap::new(), ..more }));
}

#[test]
fn sequences_of_one_sort_are_packed() {
    let bytes: Vec<u8> = (0..=255).collect();
    assert!(to_bytes(&bytes).unwrap().len() <= 256 + 4);
    back(bytes);
    back(vec![0u64, 1, u64::MAX, 300]);
    back(vec![-1i32, 5, -7]);
    back(vec![1i32, 5, -7]);
    back(vec![0.5f32; 9]);
    back((1u8, 2u8, 300u16, -1i8, "a".to_owned()));
    back((0.5f64, 1u8, 0.5f32, 2u8));
    back(vec![vec![1u8, 2], vec![], vec![3]]);
    back(vec![Some(1u8), None]);
    back(vec![Wrapped(1), Wrapped(2)]);
    // Names are written once.
    let fields = || Outer::Fields { x: 0.5, y: Some(Some(1)) };
    let one = to_bytes(&[fields()]).unwrap().len();
    assert!(to_bytes(&vec![fields(); 50]).unwrap().len() < 50 * (one - 12));
}

#[test]
fn what_is_another_type_is_told() {
    let error = |bytes: Vec<u8>| from_bytes::<Outer>(&bytes).unwrap_err().to_string();
    assert!(error(to_bytes(&3u8).unwrap()).contains('3'));
    assert!(from_bytes::<u8>(&to_bytes(&300u16).unwrap()).is_err());
    assert!(from_bytes::<(u8, u8)>(&to_bytes(&(1u8, 2u8, 3u8)).unwrap()).is_err());
    assert!(from_bytes::<String>(&to_bytes(&1u8).unwrap()).is_err());
    // A length that nothing stands behind takes no memory.
    assert!(from_bytes::<Vec<u64>>(&[14, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_err());
}

#[test]
fn an_error_shows_its_text() {
    #[derive(Serialize)]
    enum Why {
        NotFound,
        Bad { path: &'static str, code: u8, cause: Option<&'static str> },
    }
    let text = |why: Result<u8, Why>| text_in(&to_bytes(&why).unwrap());
    assert_eq!(text(Ok(1)), None);
    assert_eq!(text(Err(Why::NotFound)).unwrap(), "NotFound");
    let bad = Why::Bad { path: "/a", code: 3, cause: Some("no such file") };
    assert_eq!(text(Err(bad)).unwrap(), "/a: no such file");
    assert!(text_in(&to_bytes(&Err::<(), u8>(3)).unwrap()).is_some());
    assert_eq!(text_in(&to_bytes(&"Err").unwrap()), None);
}

fn any_outer() -> impl Strategy<Value = Outer> {
    prop_oneof![
        Just(Outer::Nothing),
        any::<i64>().prop_map(Outer::One),
        (any::<u8>(), ".*").prop_map(|(n, text)| Outer::Two(n, text)),
        (-1e6f32..1e6, any::<Option<Option<u8>>>()).prop_map(|(x, y)| Outer::Fields { x, y }),
    ]
}

proptest! {
    #[test]
    fn whatever_it_is_comes_back(
        outers in prop::collection::vec(any_outer(), 0..9),
        numbers: Vec<i64>,
        wide: (u128, i128, char, bool),
        map: BTreeMap<String, Vec<u8>>,
        deep: Option<Option<Vec<Option<u16>>>>,
    ) {
        let value = (outers, numbers, wide, map, deep);
        let bytes = to_bytes(&value).unwrap();
        prop_assert_eq!(from_bytes::<_>(&bytes).ok(), Some(value));
    }

    #[test]
    fn other_bytes_do_no_harm(bytes: Vec<u8>) {
        let _ = from_bytes::<(Vec<Outer>, Untagged)>(&bytes);
        let _ = from_bytes::<Flat>(&bytes);
        let _ = text_in(&bytes);
    }
}

#[test]
fn arguments_are_shown() {
    fn shown<T: Serialize>(args: T) -> String {
        super::arguments(&to_bytes(&args).unwrap())
    }
    assert_eq!(shown(()), "()");
    assert_eq!(shown((7,)), "(7)");
    assert_eq!(shown((1, -2)), "(1, -2)");
    assert_eq!(shown(("a", Some(1.5), 'é', vec![1_u8, 2])), "(\"a\", Some(1.5), 'é', [1, 2])");
    assert_eq!(shown((Err::<u8, _>("no"), None::<u8>, true)), "(Err(\"no\"), None, true)");
    assert_eq!(shown((i128::MIN, u128::MAX)), format!("({}, {})", i128::MIN, u128::MAX));
    let long = shown((vec!["x"; 10_000],));
    assert!(long.starts_with("((\"x\", \"x\"") && long.ends_with('…') && long.len() < 1000);
    assert_eq!(super::arguments(&[200]), "");
}
