//! The house rules that a compiler does not know: who may import whom, how long a file may be, what each
//! file must say of itself. Function length, parameters, time and panics are clippy's (`Cargo.toml`,
//! `clippy.toml`).

use std::fs;
use std::path::{Path, PathBuf};

/// The folders of `src/` in dependency order: each imports only from those before it.
const ORDER: &[&str] = &[
    "model",
    "clock",
    "plan",
    "yaml",
    "store",
    "credentials",
    "alerts",
    "kinds",
    "spec",
    "diagnosis",
    "engine",
    "web",
    "cli",
    "daemon",
    "bin",
];

/// What a folder must not import although it stands before it, with the reason.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    ("plan", &["clock"], "decisions get `now` as an argument"),
    ("yaml", &["clock", "plan"], "text knows nothing of jobs"),
    ("alerts", &["yaml"], "notifiers get typed settings"),
    ("kinds", &["store", "alerts"], "a kind is given one attempt and answers with an outcome"),
    ("cli", &["engine", "store"], "jadactl speaks to the daemon through web::client only"),
];

/// Folders that only compute.
const PURE: &[&str] = &["model", "plan", "yaml", "spec"];

const LINES_MAX: usize = 500;
const BIN_LINES_MAX: usize = 30;

struct File {
    path: PathBuf,
    /// The folder or file below `src/`.
    module: String,
    text: String,
}

impl File {
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Lines before the first test module; of a file that is tests as a whole, all.
    fn body_lines(&self) -> usize {
        self.text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count()
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            walk(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
}

fn sources() -> Vec<File> {
    let src = root().join("src");
    let mut paths = Vec::new();
    walk(&src, "rs", &mut paths);
    assert!(paths.len() > 30, "the walk finds the sources");
    let file = |path: PathBuf| {
        let below = path.strip_prefix(&src).expect("below src");
        let first = below.components().next().expect("a name").as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        let text = fs::read_to_string(&path).expect("readable");
        File { path, module, text }
    };
    paths.into_iter().map(file).collect()
}

/// Panics with every complaint at once.
fn report(rule: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{rule}:\n  {}", complaints.join("\n  "));
}

fn place(file: &File, line: usize) -> String {
    let path = file.path.strip_prefix(root()).unwrap_or(&file.path);
    format!("{}:{line}", path.display())
}

#[test]
fn imports_go_upwards_only() {
    let rank = |module: &str| ORDER.iter().position(|name| *name == module);
    let mut complaints = Vec::new();
    for file in sources().iter().filter(|file| file.module != "lib") {
        let Some(own) = rank(&file.module) else {
            complaints.push(format!("{}: '{}' is no known folder", place(file, 1), file.module));
            continue;
        };
        for (number, line) in file.code() {
            for (at, _) in line.match_indices("crate::") {
                let rest = &line[at + "crate::".len()..];
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
                let target = &rest[..end.unwrap_or(rest.len())];
                let Some(other) = rank(target) else { continue };
                if other > own {
                    complaints.push(format!(
                        "{}: {} imports {target}, which stands below it",
                        place(file, number),
                        file.module
                    ));
                }
                for (module, not, why) in FORBIDDEN {
                    if file.module == *module && not.contains(&target) {
                        complaints.push(format!(
                            "{}: {module} must not import {target}: {why}",
                            place(file, number)
                        ));
                    }
                }
            }
        }
    }
    report("the import law of src/lib.rs", &complaints);
}

#[test]
fn pure_folders_know_no_async() {
    let mut complaints = Vec::new();
    for file in sources().iter().filter(|file| PURE.contains(&file.module.as_str())) {
        for (number, line) in file.code() {
            if line.contains("tokio") || line.contains("async fn") {
                complaints.push(place(file, number));
            }
        }
    }
    report("model, plan, yaml and spec are without tokio", &complaints);
}

#[test]
fn files_are_short_and_say_what_they_own() {
    let mut complaints = Vec::new();
    for file in &sources() {
        if !file.text.starts_with("//! ") {
            complaints.push(format!("{}: opens without `//!`", place(file, 1)));
        }
        let lines = file.body_lines();
        if lines > LINES_MAX {
            complaints.push(format!("{}: {lines} lines, at most {LINES_MAX}", place(file, lines)));
        }
        if file.module == "bin" && lines > BIN_LINES_MAX {
            complaints
                .push(format!("{}: a binary only parses, runs and exits", place(file, lines)));
        }
    }
    report("a file is at most 500 lines outside its tests and opens with //!", &complaints);
}

#[test]
fn names_that_say_nothing_are_not_used() {
    let mut complaints = Vec::new();
    for file in &sources() {
        let stem = file.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
        let folder = file.path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        for name in [Some(stem), folder].into_iter().flatten() {
            if ["util", "utils", "common", "helper", "helpers", "manager", "imp"].contains(&name) {
                complaints.push(place(file, 1));
            }
        }
    }
    report("a file's name says what it owns", &complaints);
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    let mut complaints = Vec::new();
    for file in &sources() {
        for (number, line) in file.code() {
            if line.contains("#[allow(") || line.contains("#![allow(") {
                complaints.push(place(file, number));
            }
        }
    }
    report("#[expect(lint, reason = …)], never #[allow]", &complaints);
}

#[test]
fn nothing_read_from_yaml_is_buffered_by_serde() {
    let mut complaints = Vec::new();
    let sections = ["yaml", "kinds", "spec", "credentials", "alerts"];
    for file in sources().iter().filter(|file| sections.contains(&file.module.as_str())) {
        for (number, line) in file.code().filter(|(_, line)| line.contains("serde(")) {
            let lost = ["flatten", "untagged", "tag ="].iter().any(|word| line.contains(word));
            if lost {
                complaints.push(place(file, number));
            }
        }
    }
    report("serde's flatten, untagged and tag lose line numbers", &complaints);
}

#[test]
fn sql_reads_no_clock() {
    let mut paths = Vec::new();
    walk(&root().join("src/store"), "sql", &mut paths);
    walk(&root().join("src/store"), "rs", &mut paths);
    let clocks =
        ["current_timestamp", "now()", "datetime(", "julianday(", "unixepoch(", "strftime("];
    let mut complaints = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("readable").to_lowercase();
        for (index, line) in text.lines().enumerate() {
            let comment =
                line.trim_start().starts_with("--") || line.trim_start().starts_with("//");
            // A method of ours is no function of the database.
            let line = line.replace(".now()", "");
            if !comment && clocks.iter().any(|clock| line.contains(clock)) {
                complaints.push(format!("{}:{}", path.display(), index + 1));
            }
        }
    }
    report("time in the store comes from Clock", &complaints);
}

#[test]
fn tests_do_not_sleep() {
    let mut paths = Vec::new();
    walk(&root().join("tests"), "rs", &mut paths);
    let mut complaints = Vec::new();
    // A bench measures real time, and waits for it to pass.
    let bench = root().join("tests/bench");
    let tests = paths.iter().filter(|path| !path.ends_with("tidy.rs") && !path.starts_with(&bench));
    for path in tests {
        let text = fs::read_to_string(path).expect("readable");
        for (index, line) in text.lines().enumerate() {
            if line.contains("thread::sleep") || line.contains("time::sleep") {
                complaints.push(format!("{}:{}", path.display(), index + 1));
            }
        }
    }
    report("a test that needs to sleep has its seam in the wrong place", &complaints);
}
