//! `address` and `attach`; `tests/python/convert/test_address.py` does it between the languages.
#![allow(missing_docs)]

use std::error::Error;

use tarefa::{
    Array, Barrier, Condvar, Dict, Event, List, Lock, Mutex, Object, Process, ReentrantLock,
    Semaphore, Set, Value, address, attach,
};

type Outcome = Result<(), Box<dyn Error>>;

fn there_and_back<T: Object>(object: &T) -> T {
    let text = address(object);
    let found: T = attach(&text).unwrap();
    assert_eq!(address(&found), text);
    found
}

#[test]
fn every_object_has_an_address() -> Outcome {
    let list = List::from_values([1, 2])?;
    there_and_back(&list).append(3)?;
    assert_eq!(list.len(), 3);
    there_and_back(&Dict::from_pairs([("a".to_owned(), 1)])?);
    there_and_back(&Set::<i64>::new()?);
    let value = Value::new([1u8; 24])?;
    there_and_back(&value).store([2; 24])?;
    assert_eq!(value.load()?, [2; 24]);
    there_and_back(&Array::filled(0.5, 3)?);
    there_and_back(&Mutex::new(7u64)?);
    there_and_back(&Lock::new()?);
    there_and_back(&ReentrantLock::new()?);
    there_and_back(&Event::new()?);
    there_and_back(&Semaphore::new(2)?);
    there_and_back(&Barrier::new(2)?);
    there_and_back(&Condvar::new()?);
    Ok(())
}

#[test]
fn what_leads_nowhere_says_why() -> Outcome {
    let error = |text: &str| attach::<List<i64>>(text).unwrap_err().to_string();
    assert!(error("a list").contains("\"a list\" is no address"));
    let event = Event::new()?;
    assert!(error(&address(&event)).contains("a handle of the event was given"));
    let list = List::<i64>::new()?;
    let text = address(&list);
    let (place, _) = text.rsplit_once(':').ok_or("six numbers")?;
    assert!(error(&format!("{place}:fffffff")).contains("gone"));
    drop(list);
    assert!(error(&text).contains("gone"));
    let floats = address(&Value::new(0.5)?);
    assert!(attach::<Value<f64>>(&floats).is_err(), "nobody keeps it");
    let value = Value::new(0.5)?;
    let wrong = attach::<Value<i64>>(&address(&value)).unwrap_err().to_string();
    assert!(wrong.contains("items that are"), "{wrong}");
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_text_goes_where_a_handle_goes() -> Outcome {
    let list = List::from_values([20i64])?;
    let double = |text: String| -> Result<i64, String> {
        let list: List<i64> = attach(&text).map_err(|e| e.to_string())?;
        let first = list.get(0).map_err(|e| e.to_string())?;
        list.append(first * 2).map_err(|e| e.to_string())?;
        Ok(first)
    };
    let task = Process::spawn(double, (address(&list),))?;
    assert_eq!(task.result(None)??, 20);
    assert_eq!(list.get(1)?, 40);
    Ok(())
}

/// Mappings and descriptors of this process, as far as they can be another program's objects.
fn mapped() -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let maps = maps.lines().filter(|line| line.contains("memfd:tarefa")).count();
    (maps, std::fs::read_dir("/proc/self/fd").unwrap().count())
}

/// In another program: joins the runtime of `TAREFA_TEST_ADDRESS` for nothing, and then for something.
#[test]
#[ignore = "run by `nothing_is_left_of_a_refused_attach`"]
fn a_visitor() {
    let whole = std::env::var("TAREFA_TEST_ADDRESS").unwrap();
    let error = |text: &str| attach::<List<i64>>(text).unwrap_err().to_string();
    let (place, _) = whole.rsplit_once(':').unwrap();
    // Once for what the standard library opens for itself.
    error(&format!("{place}:fffffff"));
    let before = mapped();
    for _ in 0..20 {
        assert!(error(&format!("{place}:fffffff")).contains("gone"));
        assert!(attach::<Lock>(&whole).is_err());
        // It says that it is a lock, and is a list.
        let mut words: Vec<_> = whole.split(':').collect();
        words[5] = "1";
        let error = attach::<Lock>(&words.join(":")).unwrap_err().to_string();
        assert!(error.contains("a handle of the lock that is the list"), "{error}");
        assert_eq!(mapped(), before);
    }
    let list: List<i64> = attach(&whole).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(mapped().0, before.0 + 1);
    // A member already: it stays one.
    assert!(error(&format!("{place}:fffffff")).contains("gone"));
    list.append(2).unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "Miri has one process")]
fn nothing_is_left_of_a_refused_attach() -> Outcome {
    let list = List::from_values([1])?;
    let mut visitor = std::process::Command::new(std::env::current_exe()?);
    visitor.args(["--exact", "a_visitor", "--ignored", "--nocapture"]);
    let output = visitor.env("TAREFA_TEST_ADDRESS", address(&list)).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(list.to_vec()?, [1, 2]);
    Ok(())
}
