//! The pages that `jadactl explain` prints keep their word: the bad YAML of each page gets the page's
//! code, and the good YAML is taken.

use std::path::Path;

use jada::spec::{self, FILE};
use jada::yaml::Code;
use jiff::Timestamp;

/// Checks the files that a part of a page shows, and gives the codes of what is said, errors and warnings.
fn codes(blocks: &[&str]) -> Vec<Code> {
    let folder = tempfile::tempdir().expect("a folder for the files");
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("a file is written");
    std::fs::create_dir(folder.path().join("jobs.d")).expect("a folder is made");
    for block in blocks {
        let path = match block.strip_prefix("# jada.yaml\n") {
            Some(_) => folder.path().join(FILE),
            None => folder.path().join("jobs.d/job.yaml"),
        };
        write(&path, block);
    }
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().expect("an instant");
    let config = spec::config::read(&folder.path().join(FILE));
    let checked = spec::check(&[], &config, now);
    checked.diagnostics.iter().map(|found| found.code).collect()
}

/// The YAML of the part of a page that begins with `title`, up to the next title.
fn blocks<'p>(page: &'p str, title: &str) -> Vec<&'p str> {
    let Some((_, part)) = page.split_once(title) else { return Vec::new() };
    let part = part.split("\nGood:\n").next().unwrap_or_default();
    let fenced = part.split("```yaml\n").skip(1);
    fenced.filter_map(|block| block.split("```").next()).collect()
}

#[test]
fn bad_examples_get_their_code_and_good_ones_are_taken() {
    let mut told = Vec::new();
    for &code in Code::ALL {
        let (bad, good) = (blocks(code.explain(), "\nBad:\n"), blocks(code.explain(), "\nGood:\n"));
        if bad.is_empty() && good.is_empty() {
            continue;
        }
        let (bad, good) = (codes(&bad), codes(&good));
        if !bad.contains(&code) || bad.iter().any(|other| *other != code) {
            told.push(format!("{code} bad: {bad:?}"));
        }
        let tolerated = |found: &Code| *found == Code::NotDelivered;
        if good.iter().any(|found| !tolerated(found)) {
            told.push(format!("{code} good: {good:?}"));
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}
