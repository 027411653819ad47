//! The fault bench: injected faults, and what the doctor and the incidents must say of each.
//!
//! A scenario is data (`cases/*.yaml`): jobs, when what failed and how, what the doctor's own looks see, and the
//! expected roots, commands and incidents. It runs through the real engine and the real store in simulated time,
//! only the work is scripted. `JADA_FAULTS` names a further folder with scenarios of the same form.

#![expect(clippy::unwrap_used, reason = "a test may stop at what must not happen")]

mod office;
mod scenario;

use std::fs;
use std::path::{Path, PathBuf};

use jada::diagnosis::answer::{Confidence, Diagnosis};

use office::Office;
use scenario::{Expected, Scenario};

fn folders() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/cases");
    let more = std::env::var_os("JADA_FAULTS").map(PathBuf::from);
    std::iter::once(own).chain(more).collect()
}

fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for folder in folders() {
        let mut files: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let found: Vec<Scenario> = serde_saphyr::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            all.extend(found);
        }
    }
    all
}

/// What differs from what is expected.
fn wrong(expected: &Expected, answer: &Diagnosis, open: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let told: Vec<&str> = answer.roots.iter().map(|root| root.node.as_str()).collect();
    let wanted: Vec<&str> = expected.roots.iter().map(|root| root.node.as_str()).collect();
    let sorted = |names: &[&str]| {
        let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        names
    };
    if sorted(&told) != sorted(&wanted) {
        wrong.push(format!("roots are {told:?}, not {wanted:?}"));
    }
    for want in &expected.roots {
        let Some(root) = answer.roots.iter().find(|root| root.node == want.node) else { continue };
        if root.class != want.class {
            wrong.push(format!("{} is {}, not {}", root.node, root.class, want.class));
        }
        let confidence = Confidence::from_word(&want.confidence).unwrap();
        let enough = want.at_most || root.confidence == confidence;
        if root.confidence > confidence || !enough {
            let (found, doubt) = (root.confidence.word(), root.doubt.as_deref().unwrap_or(""));
            wrong.push(format!("{} is {found} ({doubt}), not {}", root.node, want.confidence));
        }
        if !want.fix.is_empty() && !root.fix.starts_with(&want.fix) {
            wrong.push(format!("{} is mended by `{}`, not `{}`", root.node, root.fix, want.fix));
        }
        for hit in want.hits.iter().filter(|hit| !root.affected.contains(hit)) {
            wrong.push(format!("{} does not hit {hit}: {:?}", root.node, root.affected));
        }
        let told = root.avoid.as_deref().unwrap_or_default();
        if !told.contains(&want.avoid) {
            wrong.push(format!("{}: avoid is `{told}`, not `{}`", root.node, want.avoid));
        }
    }
    let mut incidents = expected.incidents.clone();
    incidents.sort();
    if open != incidents {
        wrong.push(format!("open incidents are {open:?}, not {incidents:?}"));
    }
    for (what, notes, wanted) in [
        ("other", &answer.other, &expected.other),
        ("warnings", &answer.warnings, &expected.warnings),
    ] {
        for node in wanted.iter().filter(|node| !notes.iter().any(|note| note.node == **node)) {
            wrong.push(format!("{what} lacks {node}: {notes:?}"));
        }
    }
    wrong
}

#[tokio::test(flavor = "current_thread")]
async fn every_injected_fault_has_its_root() {
    let all = scenarios();
    let (mut good, mut complaints) = (0, Vec::new());
    for scenario in &all {
        let mut office = Office::open(scenario).await;
        office.live().await;
        let answer = office.doctor().await;
        let open = office.open_roots().await;
        let wrong = wrong(&scenario.expect, &answer, &open);
        if wrong.is_empty() {
            good += 1;
        } else {
            complaints.push(format!("{}:\n    {}", scenario.name, wrong.join("\n    ")));
        }
    }
    println!("fault bench: {good} of {}", all.len());
    assert!(all.len() >= 40, "only {} scenarios", all.len());
    assert!(complaints.is_empty(), "{good} of {}\n{}", all.len(), complaints.join("\n"));
}
