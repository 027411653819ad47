//! Rows go through files and come back as they were, sorted where that is asked.

use proptest::prelude::*;

use super::sort::{Entry, Sorter};
use super::*;

#[test]
fn entries_come_back_sorted_however_many_runs_they_take() {
    let dir = tempfile::tempdir().unwrap();
    for count in [0_u64, 1, 5, 70_000, 200_000] {
        let mut sorter = Sorter::beside(&dir.path().join("a"));
        for row in 0..count {
            let key = row.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            sorter.push(Entry { key: [key, 0], row, digest: [row, 7] }).unwrap();
        }
        for _again in 0..2 {
            let mut sorted = sorter.sorted().unwrap();
            let (mut seen, mut last) = (0, None);
            while let Some(entry) = sorted.next().unwrap() {
                assert!(last < Some(entry.key));
                assert_eq!(entry.digest, [entry.row, 7]);
                (last, seen) = (Some(entry.key), seen + 1);
            }
            assert_eq!(seen, count);
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_stage_is_gone_with_its_attempt_unless_it_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("sync/a");
    let mut stage = Stage::create(&folder, "1-1.stage").unwrap();
    stage.push(b"one").unwrap();
    drop(stage);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    let mut stage = Stage::create(&folder, "1-1.stage").unwrap();
    stage.push(b"one").unwrap();
    stage.push(b"").unwrap();
    let (path, sum) = (stage.keep().unwrap(), stage.sum().unwrap());
    drop(stage);
    let mut again = Stage::open(&path).unwrap();
    assert_eq!((again.rows(), again.sum().unwrap()), (2, sum.clone()));
    let mut rows = Vec::new();
    again
        .each(&mut |at, row| {
            rows.push((at, row.to_vec()));
            Ok(())
        })
        .unwrap();
    assert_eq!(rows, [(0, b"one".to_vec()), (1, Vec::new())]);
    // A byte that went bad shows.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    assert_ne!(Stage::open(&path).unwrap().sum().unwrap(), sum);
    bytes.truncate(6);
    std::fs::write(&path, &bytes).unwrap();
    assert!(Stage::open(&path).is_err());
}

#[test]
fn the_folder_and_its_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("sync");
    let stage = Stage::create(&folder, "1-1.stage").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(stage.path())), (0o700, 0o600));
}

proptest! {
    #[test]
    fn short_keys_are_as_different_as_the_keys(
        a in prop::collection::vec(any::<u8>(), 0..24),
        b in prop::collection::vec(any::<u8>(), 0..24),
    ) {
        let same = sort::short_key(&a, None) == sort::short_key(&b, None);
        prop_assert_eq!(same, a == b);
    }

    #[test]
    fn fates_are_kept_apart(fates in prop::collection::vec(0_u8..4, 0..40)) {
        let all = [Fate::Insert, Fate::Update, Fate::Same, Fate::Dropped];
        let mut kept = Fates::default();
        for (row, fate) in fates.iter().enumerate().rev() {
            kept.set(row as u64, all[usize::from(*fate)]);
        }
        for (row, fate) in fates.iter().enumerate() {
            prop_assert_eq!(kept.get(row as u64), all[usize::from(*fate)]);
        }
    }
}
