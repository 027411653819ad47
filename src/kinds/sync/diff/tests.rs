//! Differences of rows, applied to what they are from.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::columns::ColumnType;
use super::super::value::{Value, encode};
use super::*;

fn columns() -> Vec<Column> {
    let column = |name: &str, kind, key| Column { name: name.into(), kind, key, required: key };
    vec![column("id", ColumnType::Int, true), column("port", ColumnType::Text, false)]
}

fn row(id: i64, port: &str) -> Vec<u8> {
    let mut row = Vec::new();
    encode(Value::Int(id), &mut row);
    encode(Value::Text(port), &mut row);
    row
}

fn key(id: i64) -> Vec<u8> {
    let mut key = Vec::new();
    encode(Value::Int(id), &mut key);
    key
}

type Rows = BTreeMap<i64, String>;

struct Compared {
    stage: Stage,
    base: Base,
    diff: Diff,
    _dir: tempfile::TempDir,
}

fn compared(read: &[(i64, String)], there: &[(i64, String)], deletes: bool) -> Compared {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = Stage::create(dir.path(), "a.stage").unwrap();
    stage.index(&columns()).unwrap();
    for (id, port) in read {
        stage.push(&row(*id, port)).unwrap();
    }
    let mut show = |each: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>| {
        there.iter().try_for_each(|(id, port)| each(&row(*id, port)))
    };
    let (mut base, sorter) = Base::of(&stage, &columns(), true, &mut show).unwrap();
    let diff = compare(&mut stage, &mut base, sorter, deletes).unwrap();
    Compared { stage, base, diff, _dir: dir }
}

fn list(rows: &Rows) -> Vec<(i64, String)> {
    rows.iter().map(|(id, port)| (*id, port.clone())).collect()
}

fn any_rows() -> impl Strategy<Value = Rows> {
    prop::collection::btree_map(0_i64..20, "[ab]", 0..16)
}

proptest! {
    #[test]
    fn a_diff_applied_is_what_was_read(read in any_rows(), there in any_rows(), deletes in any::<bool>()) {
        let mut compared = compared(&list(&read), &list(&there), deletes);
        let mut wanted = if deletes { Rows::new() } else { there.clone() };
        wanted.extend(read.clone());
        let encoded: BTreeMap<Vec<u8>, Vec<u8>> =
            wanted.iter().map(|(id, port)| (key(*id), row(*id, port))).collect();

        // By its moves.
        let mut after: BTreeMap<Vec<u8>, Vec<u8>> =
            there.iter().map(|(id, port)| (key(*id), row(*id, port))).collect();
        let columns = columns();
        let Compared { stage, base, diff, .. } = &mut compared;
        let mut work = Work { effect: Effect::Merge, columns: &columns, stage, base: Some(base) };
        let mut counted = Changes::default();
        let of = |row: &[u8]| { let mut key = Vec::new(); Keys::at(vec![0]).append(row, &mut key); key };
        work.moves(&mut |step| {
            match step {
                Move::Insert(row) => {
                    counted.inserted += 1;
                    assert!(after.insert(of(row), row.to_vec()).is_none());
                }
                Move::Update(row) => {
                    counted.updated += 1;
                    assert!(after.insert(of(row), row.to_vec()).is_some_and(|old| old != row));
                }
                Move::Delete(key) => {
                    counted.deleted += 1;
                    assert!(after.remove(key).is_some());
                }
            }
            Ok(())
        }).unwrap();
        prop_assert_eq!(&after, &encoded);
        counted.same = diff.changes.same;
        prop_assert_eq!(counted, diff.changes);

        // By the whole of it.
        let mut whole = BTreeMap::new();
        work.whole(&mut |row| {
            assert!(whole.insert(of(row), row.to_vec()).is_none(), "a row comes once");
            Ok(())
        }).unwrap();
        prop_assert_eq!(&whole, &encoded);
    }

    #[test]
    fn a_digest_hangs_on_the_changes_alone(read in any_rows(), there in any_rows(), other in any_rows()) {
        let one = compared(&list(&read), &list(&there), true).diff;
        let backwards: Vec<_> = list(&read).into_iter().rev().collect();
        prop_assert_eq!(&compared(&backwards, &list(&there), true).diff, &one);
        let another = compared(&list(&other), &list(&there), true).diff;
        prop_assert_eq!(another.digest == one.digest, other == read);
    }
}

#[test]
fn a_key_that_the_destination_has_twice_is_made_one() {
    let there = [(1, "a".to_owned()), (1, "b".to_owned()), (2, "a".to_owned())];
    let read = [(1, "a".to_owned()), (2, "a".to_owned())];
    let mut compared = compared(&read, &there, true);
    let Changes { inserted, updated, deleted, same } = compared.diff.changes;
    assert_eq!((inserted, updated, deleted, same), (0, 1, 1, 1));
    let columns = columns();
    let Compared { stage, base, .. } = &mut compared;
    let mut work = Work { effect: Effect::Merge, columns: &columns, stage, base: Some(base) };
    let mut moves = Vec::new();
    work.moves(&mut |step| {
        moves.push(format!("{step:?}"));
        Ok(())
    })
    .unwrap();
    assert!(moves[0].starts_with("Delete") && moves[1].starts_with("Insert"), "{moves:?}");
    assert_eq!(moves.len(), 2);
}

#[test]
fn samples_name_keys() {
    let there = [(1, "a".to_owned()), (2, "b".to_owned())];
    let read = [(2, "c".to_owned()), (3, "a".to_owned())];
    let mut compared = compared(&read, &there, true);
    let found = samples(&mut compared.stage, Some(&mut compared.base), &columns()).unwrap();
    let (inserted, updated, deleted) = (found.inserted, found.updated, found.deleted);
    assert_eq!(
        (inserted, updated, deleted),
        (vec!["3".into()], vec!["2".into()], vec!["1".into()])
    );
}
