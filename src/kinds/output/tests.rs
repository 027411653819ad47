//! Output as its readers see it, on real files.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Output, Outputs};
use crate::model::RunId;

const RUN: RunId = RunId(1234);

async fn whole(outputs: &Outputs) -> Vec<u8> {
    let mut reader = outputs.reader(RUN, 1);
    let mut all = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        all.extend(piece);
    }
    all
}

fn on_disk(dir: &Path) -> u64 {
    let Ok(entries) = dir.join("output/1").read_dir() else { return 0 };
    entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

fn fresh(cap: u64) -> (TempDir, Outputs, Output) {
    let dir = tempfile::tempdir().unwrap();
    let outputs = Outputs::at(dir.path());
    let output = outputs.open(RUN, 1, Some(cap));
    (dir, outputs, output)
}

#[tokio::test]
async fn an_attempt_without_output_leaves_no_file() {
    let (dir, outputs, output) = fresh(4096);
    output.append(Vec::new()).await;
    assert!(!dir.path().join("output").exists());
    assert_eq!(whole(&outputs).await, b"");
}

#[tokio::test]
async fn bytes_that_are_no_text_come_back_as_they_were() {
    let (_dir, outputs, output) = fresh(4096);
    output.append(vec![0xff, 0x00, 0xfe]).await;
    output.append(b"\xc3".to_vec()).await;
    output.append(b"\xa4\n".to_vec()).await;
    assert_eq!(whole(&outputs).await, b"\xff\x00\xfe\xc3\xa4\n");
}

#[tokio::test]
async fn past_the_cap_the_middle_is_left_out_and_counted() {
    let line = |n: u32| format!("{n:07}\n").into_bytes();
    // Chunk sizes that divide the segments, that don't, and one chunk larger than the whole cap.
    for lines_per_chunk in [1, 7, 128, 100_000] {
        let (dir, outputs, output) = fresh(4096);
        let lines: Vec<Vec<u8>> = (0..10_000).map(line).collect();
        for chunk in lines.chunks(lines_per_chunk) {
            output.append(chunk.concat()).await;
        }
        let all = String::from_utf8(whole(&outputs).await).unwrap();
        let (head, rest) = all.split_once("\n\n… ").unwrap();
        let (omitted, tail) = rest.split_once(" bytes omitted …\n").unwrap();
        assert!(head.starts_with("0000000\n") && head.len() == 2047, "{lines_per_chunk}");
        assert!(tail.ends_with("0009999\n") && tail.len() >= 1024, "{lines_per_chunk}");
        let omitted: usize = omitted.parse().unwrap();
        assert_eq!(head.len() + 1 + omitted + tail.len(), 80_000, "{lines_per_chunk}");
        assert!(on_disk(dir.path()) <= 4096 + 2 * 21, "{lines_per_chunk}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever is written in whatever chunks: the head is a prefix, the tail a suffix, and what lies
    /// between is counted to the byte.
    #[test]
    fn head_omission_and_tail_add_up(
        cap in 0_u64..20_000,
        chunks in proptest::collection::vec(0_usize..9000, 0..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (dir, outputs, output) = fresh(cap);
        // No line feed and no byte of the marker occurs in it.
        let all: Vec<u8> = (0..chunks.iter().sum()).map(|n| b'A' + u8::try_from(n % 23).unwrap()).collect();
        let mut from = 0;
        for len in chunks {
            runtime.block_on(output.append(&all[from..from + len]));
            from += len;
        }
        let kept = runtime.block_on(whole(&outputs));
        let kept = String::from_utf8(kept).unwrap();
        proptest::prop_assert!(on_disk(dir.path()) <= cap.max(4096) + 2 * 21);
        match kept.split_once("\n… ") {
            None => proptest::prop_assert_eq!(kept.as_bytes(), &all[..]),
            Some((head, rest)) => {
                let (omitted, tail) = rest.split_once(" bytes omitted …\n").unwrap();
                let omitted: usize = omitted.parse().unwrap();
                proptest::prop_assert!(all.starts_with(head.as_bytes()));
                proptest::prop_assert!(all.ends_with(tail.as_bytes()));
                proptest::prop_assert_eq!(head.len() + omitted + tail.len(), all.len());
            }
        }
    }
}

#[tokio::test]
async fn a_reader_goes_on_from_the_offset_it_was_told() {
    let (_dir, outputs, output) = fresh(4096);
    output.append(b"one\n".to_vec()).await;
    let mut first = outputs.reader(RUN, 1);
    assert_eq!(first.next().await.unwrap().unwrap(), b"one\n");
    output.append(b"two\n".to_vec()).await;
    let mut second = outputs.reader(RUN, 1);
    second.seek(first.offset());
    assert_eq!(second.next().await.unwrap().unwrap(), b"two\n");
    assert_eq!(second.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_follower_gets_everything_and_ends_with_the_attempt() {
    let (_dir, outputs, output) = fresh(1 << 20);
    let mut reader = outputs.reader(RUN, 1);
    let follower = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(piece) = reader.follow().await.unwrap() {
            all.extend(piece);
        }
        all
    });
    let mut expected: Vec<u8> = Vec::new();
    for n in 0..50 {
        let line = format!("line {n}\n").into_bytes();
        expected.extend(&line);
        output.append(line).await;
        tokio::task::yield_now().await;
    }
    drop(output);
    assert_eq!(follower.await.unwrap(), expected);
}

#[tokio::test]
async fn following_an_attempt_that_is_over_reads_it_and_ends() {
    let (_dir, outputs, output) = fresh(4096);
    output.append(b"done\n".to_vec()).await;
    drop(output);
    let mut reader = outputs.reader(RUN, 1);
    assert_eq!(reader.follow().await.unwrap().unwrap(), b"done\n");
    assert_eq!(reader.follow().await.unwrap(), None);
    assert_eq!(outputs.0.live().len(), 0);
}

#[tokio::test]
async fn a_full_disk_is_told_and_does_not_stop_the_attempt() {
    let (_dir, outputs, output) = fresh(4096);
    let path = outputs.path(RUN, 1);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    output.append(b"gone\n".to_vec()).await;
    output.append(b"too\n".to_vec()).await;
    let trouble = output.trouble().unwrap();
    assert_eq!(
        trouble,
        "9 bytes of output could not be kept: No space left on device (os error 28)"
    );
    // Space has come back.
    fs::remove_file(&path).unwrap();
    output.append(b"kept\n".to_vec()).await;
    assert_eq!(whole(&outputs).await, b"kept\n");
}

#[tokio::test]
async fn output_left_by_a_lost_store_is_not_mixed_in() {
    let (_dir, outputs, old) = fresh(4096);
    old.append(vec![b'x'; 9000]).await;
    drop(old);
    outputs.open(RUN, 1, None).append(b"new\n".to_vec()).await;
    assert_eq!(whole(&outputs).await, b"new\n");
}

#[tokio::test]
async fn removing_runs_takes_all_their_files_and_no_others() {
    let (dir, outputs, output) = fresh(4096);
    output.append(vec![b'x'; 9000]).await;
    let other = outputs.open(RunId(1235), 2, None);
    other.append(b"stays".to_vec()).await;
    outputs.remove(&[RUN, RunId(77)]).unwrap();
    let left: Vec<_> = dir.path().join("output/1").read_dir().unwrap().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].as_ref().unwrap().file_name(), "1235-2.log");
    outputs.remove(&[RunId(1235)]).unwrap();
    assert!(!dir.path().join("output/1").exists());
}

#[tokio::test]
async fn trimming_takes_the_oldest_first_and_spares_who_still_writes() {
    let dir = tempfile::tempdir().unwrap();
    let outputs = Outputs::at(dir.path());
    assert_eq!(outputs.trim(0, &HashSet::new()).unwrap(), 0);
    let runs = [9, 10, 999, 1000, 2345].map(RunId);
    let mut open: Vec<Output> = runs.iter().map(|run| outputs.open(*run, 1, None)).collect();
    for output in &open {
        output.append(vec![b'x'; 64 << 10]).await;
    }
    open.truncate(1);
    let waits = HashSet::from([RunId(10)]);
    assert_eq!(outputs.trim(5 * (64 << 10), &waits).unwrap(), 0);
    assert_eq!(outputs.trim(4 * (64 << 10) - 1, &waits).unwrap(), 2 * (64 << 10));
    let left = runs.map(|run| outputs.path(run, 1).exists());
    assert_eq!(left, [true, true, false, false, true]);
}
