//! Arrays of all sorts of items, in one process.

use super::pep3118::Scalar;
use super::*;
use crate::shm::Runtime;

fn array(me: &Member, format: &[u8], item: u64, extents: &[u64]) -> Off {
    create(me, Form { format, item, extents, guarded: false }).unwrap()
}

#[test]
fn it_is_what_was_asked_for() {
    let me = Runtime::default().unwrap().me();
    super::super::register();
    for (format, item, extents) in [
        (&b"i"[..], 4, &[][..]),
        (b"d", 8, &[1000]),
        (b"Zd", 16, &[3, 5]),
        (b"T{<b:a:}", 1, &[0]),
        (b"q", 8, &[5, 0, 3]),
        (b"3x", 3, &[7]),
    ] {
        let off = array(&me, format, item, extents);
        let it = Array::at(&me, off);
        assert_eq!(
            (it.format(), it.item(), it.extents()),
            (format.to_vec(), item, extents.to_vec())
        );
        assert_eq!(it.len(), extents.iter().product::<u64>());
        let bytes = it.len() * item;
        let align = if bytes >= 64 { 64 } else { 16 };
        assert_eq!(it.address() as usize % align, 0);
        let mut all = vec![1; bytes as usize];
        it.read(0, &mut all);
        assert!(all.iter().all(|b| *b == 0));
        let pattern: Vec<u8> = (0..bytes).map(|i| (i * 7 + 1) as u8).collect();
        it.write(0, &pattern);
        it.read(0, &mut all);
        assert_eq!(all, pattern);
        it.fill(&pattern);
        refcount::release(&me, off);
    }
}

#[test]
fn a_record_takes_no_place_of_the_items() {
    let me = Runtime::default().unwrap().me();
    super::super::register();
    for (item, extents) in [(16, &[][..]), (3, &[7]), (24, &[5]), (100, &[2, 2]), (16, &[0])] {
        let form = Form { format: b"x", item, extents, guarded: true };
        let off = create(&me, form).unwrap();
        let neighbour = create(&me, form).unwrap();
        let it = Array::at(&me, off);
        let all = |of: u64| {
            let mut bytes = vec![0; (it.len() * item) as usize];
            Array::at(&me, Off(of)).read(0, &mut bytes);
            bytes
        };
        for i in 0..it.len() {
            it.put(i, &vec![i as u8 + 1; item as usize]);
            it.apply_redo();
        }
        let expected: Vec<u8> =
            (0..it.len()).flat_map(|i| vec![i as u8 + 1; item as usize]).collect();
        assert_eq!(all(off.0), expected);
        assert!(all(neighbour.0).iter().all(|b| *b == 0));
        refcount::release(&me, neighbour);
        refcount::release(&me, off);
    }
}

#[test]
#[should_panic(expected = "not the bytes of one item")]
fn a_part_of_an_item_is_not_put() {
    let me = Runtime::default().unwrap().me();
    super::super::register();
    let off = create(&me, Form { format: b"x", item: 16, extents: &[2], guarded: true }).unwrap();
    Array::at(&me, off).put(0, &[1; 8]);
}

#[test]
fn the_note_is_kept_and_freed() {
    let me = Runtime::default().unwrap().me();
    super::super::register();
    let objects = || me.header().objects.load(Ordering::Relaxed);
    let mentioned = array(&me, b"i", 4, &[]);
    let off = array(&me, b"i", 4, &[2]);
    assert_eq!(Array::at(&me, off).note(), None);
    Array::at(&me, off).set_note(17, b"a note", &[mentioned]).unwrap();
    refcount::release(&me, mentioned);
    let before = objects();
    assert_eq!(Array::at(&me, off).note(), Some((17, b"a note".to_vec())));
    refcount::release(&me, off);
    assert!(objects() < before);
}

#[test]
fn sums_stay_in_range() {
    let me = Runtime::default().unwrap().me();
    super::super::register();
    for code in [&b"b"[..], b"B", b"h", b"H", b"i", b"I", b"q", b"Q"] {
        let scalar = Scalar::of(code).unwrap();
        let off = array(&me, code, scalar.size(), &[3]);
        let it = Array::at(&me, off);
        let (least, greatest) = scalar.range().unwrap();
        if let Ok(most) = i64::try_from(greatest) {
            let small = |n: i64| it.add_small(1, scalar, n);
            assert_eq!(small(most), Ok(most));
            assert_eq!(small(1), Err(most));
            assert_eq!(small(i64::MAX), Err(most));
            assert_eq!(small(-most), Ok(0));
            assert_eq!(small(least as i64), Ok(least as i64));
            assert_eq!(small(-1), Err(least as i64));
            it.store(1, 0);
        }
        assert_eq!(it.add(1, scalar, greatest), Ok(greatest));
        assert_eq!(it.add(1, scalar, 1), Err(greatest));
        assert_eq!(it.add(1, scalar, least - greatest), Ok(least));
        assert_eq!(it.add(1, scalar, -1), Err(least));
        assert_eq!(it.add(1, scalar, i128::MIN), Err(least));
        assert_eq!(it.load(0) | it.load(2), 0);
        it.store(0, 5);
        assert_eq!((it.swap(0, 7), it.load(0)), (5, 7));
        assert_eq!(it.compare_exchange(0, 5, 9), Err(7));
        assert_eq!(it.compare_exchange(0, 7, 9), Ok(7));
        assert_eq!(it.update(0, |n| (n == 9).then_some(1)), Ok(9));
        assert_eq!(it.update(0, |n| (n == 9).then_some(1)), Err(1));
        refcount::release(&me, off);
    }
}

#[test]
fn too_much_is_refused() {
    let me = Runtime::default().unwrap().me();
    let make = |item, extents: &[u64]| {
        create(&me, Form { format: b"x", item, extents, guarded: false }).unwrap_err()
    };
    for extents in [&[u64::MAX][..], &[1 << 40, 1 << 40], &[1 << 40], &[1 << 50]] {
        assert!(matches!(make(8, extents), ArrayError::Memory(_)));
    }
    assert_eq!(make(1, &[1; 65]), ArrayError::Dimensions(65));
}
