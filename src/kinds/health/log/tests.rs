//! Files as programs and logrotate leave them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use super::*;
use crate::clock::SystemClock;
use crate::model::JobName;

/// A log, and who looks at it, run by run.
struct Watch {
    dir: tempfile::TempDir,
    run: std::cell::Cell<i64>,
}

impl Watch {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), run: std::cell::Cell::new(0) }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("app.log")
    }

    fn append(&self, bytes: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A look by a new run, whose looks all get stored: how many lines there are and which one matches last.
    async fn look(&self) -> String {
        self.run.set(self.run.get() + 1);
        self.look_as(self.run.get(), None).await
    }

    async fn look_as(&self, run: i64, stored: Option<i64>) -> String {
        let found = read(Ask {
            place: Where::File(self.log()),
            sieve: Sieve {
                patterns: vec![Pattern::parse("ERROR|^bad").unwrap()],
                ignored: vec![Pattern::parse("ERROR 42").unwrap()],
            },
            recall: Recall::of(self.dir.path(), &JobName::parse("job").unwrap(), "check"),
            run: (RunId(run), stored.map(RunId)),
            clock: &SystemClock,
        });
        shown(found.await)
    }
}

fn shown(found: Found) -> String {
    match found {
        Found::Judged(_, said, reading, _) => {
            let number = |name| reading.get(name).unwrap().shown(None);
            format!("{} of {} {said}", number("matches"), number("lines")).trim_end().to_owned()
        }
        Found::Unknown(why, cause) => {
            format!("unknown {} {why}", cause.fault.map_or("-", Fault::word))
        }
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn the_first_look_begins_at_the_end_and_each_line_is_looked_at_once() {
    let watch = Watch::new();
    watch.append("ERROR old\nbad\n");
    assert_eq!(watch.look().await, "0 of 0");
    assert_eq!(watch.look().await, "0 of 0");
    watch.append("fine\nERROR 1\nERROR 42\nbad luck\nnot bad\n");
    assert_eq!(watch.look().await, "2 of 5 \"bad luck\"");
    assert_eq!(watch.look().await, "0 of 0");
}

#[tokio::test]
async fn half_a_line_waits_for_its_other_half_but_not_for_ever() {
    let watch = Watch::new();
    // The first look comes in the middle of a line, which is not looked at.
    watch.append("fine\nERR");
    assert_eq!(watch.look().await, "0 of 0");
    watch.append("OR of old\nERR");
    assert_eq!(watch.look().await, "0 of 0");
    watch.append("OR");
    assert_eq!(watch.look().await, "0 of 0");
    watch.append(" 1\n");
    assert_eq!(watch.look().await, "1 of 1 \"ERROR 1\"");
    // Whoever wrote this died in the middle of it.
    watch.append("ERROR and then noth");
    assert_eq!(watch.look().await, "0 of 0");
    assert_eq!(watch.look().await, "1 of 1 \"ERROR and then noth\"");
    assert_eq!(watch.look().await, "0 of 0");
    watch.append("ing ERROR\nERROR 2\n");
    assert_eq!(watch.look().await, "1 of 1 \"ERROR 2\"");
}

#[tokio::test]
async fn what_was_rotated_away_is_looked_at_too() {
    type Rotate = fn(&Watch);
    let rename: Rotate = |watch| fs::rename(watch.log(), watch.path("app.log.1")).unwrap();
    let copy: Rotate = |watch| {
        fs::copy(watch.log(), watch.path("app.log-20261125")).unwrap();
        OpenOptions::new().write(true).truncate(true).open(watch.log()).unwrap();
    };
    for (name, rotate) in [("renamed", rename), ("copied and cut", copy)] {
        let watch = Watch::new();
        watch.append("a first line that both begin with\n");
        assert_eq!(watch.look().await, "0 of 0", "{name}");
        watch.append("ERROR before\nERROR half");
        rotate(&watch);
        watch.append("ERROR after\n");
        assert_eq!(watch.look().await, "3 of 3 \"ERROR after\"", "{name}");
        assert_eq!(watch.look().await, "0 of 0", "{name}");
        watch.append("fine\n");
        assert_eq!(watch.look().await, "0 of 1", "{name}");
        // Twice between two looks: what was in between is gone.
        watch.append("ERROR x\n");
        fs::remove_file(watch.log()).unwrap();
        watch.append("a wholly new file that is longer than all that was there before\n");
        let told = watch.look().await;
        assert!(
            told.starts_with("unknown truncated ") && told.contains("may be missing"),
            "{told}"
        );
        assert_eq!(watch.look().await, "0 of 0", "{name}");
    }
}

#[tokio::test]
async fn a_file_that_is_cut_and_has_grown_again_is_known_by_its_beginning() {
    let watch = Watch::new();
    watch.append("one line\n");
    assert_eq!(watch.look().await, "0 of 0");
    fs::write(watch.log(), "ERROR in another file, the same inode, and longer\n").unwrap();
    assert_eq!(watch.look().await, "1 of 1 \"ERROR in another file, the same inode, and longer\"");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_well_and_read_from_its_beginning_later() {
    let watch = Watch::new();
    let told = watch.look().await;
    assert!(
        told.starts_with("unknown not_found ") && told.ends_with("app.log does not exist"),
        "{told}"
    );
    watch.append("ERROR at once\n");
    assert_eq!(watch.look().await, "1 of 1 \"ERROR at once\"");
    // Between renaming and the first line of the new file.
    watch.append("ERROR late\n");
    fs::rename(watch.log(), watch.path("app.log.1")).unwrap();
    assert!(watch.look().await.starts_with("unknown not_found "));
    watch.append("fine\n");
    assert_eq!(watch.look().await, "1 of 2 \"ERROR late\"");
    fs::remove_file(watch.log()).unwrap();
    fs::create_dir(watch.log()).unwrap();
    let told = watch.look().await;
    assert!(told.ends_with("app.log: it is no plain file"), "{told}");
}

#[tokio::test]
async fn huge_lines_and_bytes_that_are_no_text_are_taken_as_they_are() {
    let watch = Watch::new();
    watch.append("");
    assert_eq!(watch.look().await, "0 of 0");
    let huge = [b"ERROR ".as_slice(), &vec![b'x'; 1 << 20]].concat();
    watch.append(&huge);
    // It is no whole line yet, but no more of it will be looked at.
    let told = watch.look().await;
    assert!(told.starts_with("1 of 1 \"ERROR xxx") && told.len() < 1100, "{told}");
    watch.append(b"ERROR still the same line\n\xff\xfe ERROR \xf0\x28\n\0\nbad\r\n");
    assert_eq!(watch.look().await, "2 of 3 \"bad\"");
}

#[tokio::test]
async fn a_look_that_was_never_stored_is_made_again() {
    let watch = Watch::new();
    watch.append("");
    assert_eq!(watch.look_as(1, None).await, "0 of 0");
    watch.append("ERROR 1\n");
    assert_eq!(watch.look_as(2, Some(1)).await, "1 of 1 \"ERROR 1\"");
    // The same run tries again, as after a kill.
    assert_eq!(watch.look_as(2, Some(1)).await, "1 of 1 \"ERROR 1\"");
    // Another one, while nobody knows of the looks of run 2.
    assert_eq!(watch.look_as(3, Some(1)).await, "1 of 1 \"ERROR 1\"");
    assert_eq!(watch.look_as(4, Some(3)).await, "0 of 0");
    watch.append("ERROR 2\n");
    assert_eq!(watch.look_as(5, None).await, "1 of 1 \"ERROR 2\"");
    assert_eq!(watch.look_as(6, Some(5)).await, "0 of 0");
    // A mark that somebody broke is none.
    fs::write(watch.path("checks/job/check.json"), "{").unwrap();
    watch.append("ERROR 3\n");
    assert_eq!(watch.look_as(7, Some(6)).await, "0 of 0");
    watch.append("ERROR 4\n");
    assert_eq!(watch.look_as(8, Some(7)).await, "1 of 1 \"ERROR 4\"");
    // Nothing is told that can't be marked: it would be told again and again.
    fs::remove_dir_all(watch.path("checks")).unwrap();
    fs::write(watch.path("checks"), "").unwrap();
    let told = watch.look_as(9, Some(8)).await;
    assert!(told.contains("can't remember what was seen, in "), "{told}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// However a log is written, cut into looks and rotated, each line is seen exactly once.
    #[test]
    fn each_line_is_seen_once_whatever_happens(steps in proptest::collection::vec(0_u8..5, 1..24)) {
        let watch = Watch::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        watch.append("the beginning\n");
        let look = |watch: &Watch| runtime.block_on(watch.look());
        assert_eq!(look(&watch), "0 of 0");
        let (mut written, mut seen, mut rotations) = (0_u64, 0_u64, 0);
        let mut rotated_since = false;
        let count = |told: &str| told.split(' ').next().unwrap().parse::<u64>().unwrap();
        for (index, step) in steps.iter().enumerate() {
            match step {
                0 | 1 => {
                    watch.append(format!("ERROR number {index}\n"));
                    written += 1;
                }
                2 if !rotated_since && Path::new(&watch.log()).exists() => {
                    rotations += 1;
                    rotated_since = true;
                    fs::rename(watch.log(), watch.path(&format!("app.log.{rotations}"))).unwrap();
                    watch.append(format!("file {rotations}\n"));
                }
                _ => {
                    seen += count(&look(&watch));
                    rotated_since = false;
                }
            }
        }
        seen += count(&look(&watch));
        proptest::prop_assert_eq!(seen, written);
    }
}
