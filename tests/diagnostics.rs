//! The whole report on every kind of mistake, beside the files that make it.
//!
//! Each file or folder in `tests/diagnostics/` is a case and is named by the code that it shows; what
//! can't be kept in a repository is made here. `INSTA_UPDATE=always cargo test --test diagnostics` writes
//! the reports anew; read them before they are committed.

#![expect(clippy::unwrap_used, reason = "a test may stop at what must not happen")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use jada::spec::{self, Config, Settings};
use jada::yaml::{Code, Diagnostic, render};
use jiff::Timestamp;

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

/// The cases in the repository, sorted.
fn cases() -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/diagnostics").unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with('J'));
    paths.retain(|path| path.extension().is_none_or(|ending| ending != "snap"));
    paths.sort();
    paths
}

/// What is told about a case under the settings beside it.
fn told(path: &Path) -> Vec<Diagnostic> {
    let config = spec::config::read(Path::new("tests/diagnostics/jada.yaml"));
    spec::check(&[path.to_owned()], &config, now()).diagnostics
}

/// Compares a report with the one that is kept; `root` is where the repository happens to lie.
fn compare(name: &str, diagnostics: &[Diagnostic], root: &Path) {
    let root = root.to_string_lossy();
    let mut diagnostics = diagnostics.to_vec();
    for diagnostic in &mut diagnostics {
        // Before it is rendered, since a longer path would break lines elsewhere.
        diagnostic.help = diagnostic.help.take().map(|help| help.replace(root.as_ref(), "ROOT"));
    }
    let report = render::human(&diagnostics, false);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("diagnostics");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, report));
}

#[test]
fn reports_read_well() {
    for path in cases() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let diagnostics = told(&path);
        let code = Code::parse(&name[..4]).unwrap_or_else(|| panic!("{name} begins with a code"));
        assert!(diagnostics.iter().any(|d| d.code == code), "{name} must show {code}");
        compare(&name, &diagnostics, &std::env::current_dir().unwrap());
    }
}

#[test]
fn every_code_has_a_case() {
    let made = made().into_iter().flat_map(|(_, diagnostics)| diagnostics);
    let kept = cases().into_iter().flat_map(|path| told(&path));
    let shown: BTreeSet<Code> = made.chain(kept).map(|diagnostic| diagnostic.code).collect();
    let missing: Vec<&Code> = Code::ALL.iter().filter(|code| !shown.contains(code)).collect();
    assert!(missing.is_empty(), "without a case in tests/diagnostics: {missing:?}");
}

#[test]
fn reports_on_what_no_repository_can_keep() {
    for (name, diagnostics) in made() {
        compare(name, &diagnostics, Path::new("there is no such folder"));
    }
}

#[test]
fn no_report_repeats_a_secret() {
    let path = Path::new("tests/diagnostics/J052-secret.yaml");
    let diagnostics = told(path);
    let all = [
        render::human(&diagnostics, false),
        format!("{diagnostics:?}"),
        serde_json::to_string(&render::findings(&diagnostics)).unwrap(),
        render::sarif(&diagnostics).to_string(),
        render::github(&diagnostics),
    ]
    .concat();
    for secret in ["ghp_0aB1", "abc123", "hunter2", "s3cr3t"] {
        assert!(fs::read_to_string(path).unwrap().contains(secret));
        assert!(!all.contains(secret), "{secret} is in\n{all}");
    }
}

/// Cases of files that are special, huge or many.
fn made() -> Vec<(&'static str, Vec<Diagnostic>)> {
    let alias_bomb = {
        let levels = (1..9).map(|level| {
            let items = vec![format!("*l{}", level - 1); 9].join(", ");
            format!("l{level}: &l{level} [{items}]\n")
        });
        format!("l0: &l0 [x]\n{}", levels.collect::<String>())
    };
    let one =
        |n| format!("name: j{n}\nschedule: \"0 3 * * *\"\ncommand: {{ run: [\"true\"] }}\n---\n");
    let crowd = (0..51).map(one).collect::<Vec<_>>().concat();
    vec![
        (
            "J001-pipe-and-folder",
            in_folder(|dir| {
                fs::create_dir(dir.join("folder.yaml")).unwrap();
                let (here, mode) = (rustix::fs::CWD, rustix::fs::Mode::RUSR);
                let kind = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(here, dir.join("pipe.yaml"), kind, mode, 0).unwrap();
            }),
        ),
        ("J002-dangling-link", in_folder(|dir| symlink("nowhere", dir.join("link.yaml")).unwrap())),
        ("J003-jobs-dir", in_folder(|dir| fs::remove_dir(dir).unwrap())),
        (
            "J004-binary",
            in_folder(|dir| {
                fs::write(dir.join("latin.yaml"), b"name: caf\xe9\n").unwrap();
                fs::write(dir.join("nul.yaml"), b"name: a\0b\n").unwrap();
                fs::write(dir.join("utf16.yaml"), b"\xff\xfen\0a\0m\0e\0").unwrap();
            }),
        ),
        (
            "J005-too-big",
            in_folder(|dir| {
                fs::write(dir.join("big.yaml"), vec![b'#'; 10 << 20]).unwrap();
            }),
        ),
        (
            "J006-too-deep",
            in_folder(|dir| {
                fs::write(dir.join("deep.yaml"), "[".repeat(10_000)).unwrap();
            }),
        ),
        (
            "J007-alias-bomb",
            in_folder(|dir| {
                fs::write(dir.join("bomb.yaml"), alias_bomb).unwrap();
            }),
        ),
        ("J008-empty", in_folder(|dir| fs::write(dir.join("empty.yaml"), "\n").unwrap())),
        ("J009-too-many", last_of_many()),
        ("J075-crowded-minute", in_folder(|dir| fs::write(dir.join("many.yaml"), crowd).unwrap())),
        ("J088-copy-unusable", copy_unusable()),
    ]
}

/// What the daemon tells of a bad file whose copy was damaged.
fn copy_unusable() -> Vec<Diagnostic> {
    let dir = tempfile::tempdir().unwrap();
    let (settings, kept) = (Settings::defaults(dir.path()), spec::Kept::at(dir.path()));
    let file = settings.jobs_dir.join("sync.yaml");
    fs::create_dir(&settings.jobs_dir).unwrap();
    fs::write(&file, "command: { run: [\"true\"] }\n").unwrap();
    kept.keep(&spec::load(&settings, now(), None)).unwrap();
    fs::write(&file, "comand: { run: [\"true\"] }\n").unwrap();
    let copies = fs::read_dir(dir.path().join("last-good")).unwrap();
    copies.for_each(|copy| fs::write(copy.unwrap().path(), "").unwrap());
    let mut told: Vec<_> = spec::start(&settings, now(), &kept).diagnostics().cloned().collect();
    for told in &mut told {
        // Neither the folder nor the hash of its path is the same twice.
        told.help = told.help.take().map(|help| match help.split_once("copy is ") {
            Some((before, _)) => format!("{before}copy is COPY"),
            None => help,
        });
    }
    relative(told, dir.path())
}

/// The last thing that is told of a file with more mistakes than are told.
fn last_of_many() -> Vec<Diagnostic> {
    let keys = (0..1500).map(|n| format!("key_{n}: 1\n")).collect::<Vec<_>>().concat();
    let told = in_folder(|dir| fs::write(dir.join("many.yaml"), keys).unwrap());
    told.into_iter().last().into_iter().collect()
}

/// What is told about a jobs folder that `fill` fills; paths start there.
fn in_folder(fill: impl FnOnce(&Path)) -> Vec<Diagnostic> {
    let dir = tempfile::tempdir().unwrap();
    let jobs = dir.path().join("jobs.d");
    fs::create_dir(&jobs).unwrap();
    fill(&jobs);
    let settings = Settings::defaults(dir.path());
    let config = Config::of(settings);
    relative(spec::check(&[], &config, now()).diagnostics, dir.path())
}

fn relative(mut diagnostics: Vec<Diagnostic>, root: &Path) -> Vec<Diagnostic> {
    for diagnostic in &mut diagnostics {
        let source = &diagnostic.source;
        let path = source.path().replace(&*root.to_string_lossy(), "ROOT");
        diagnostic.source = jada::yaml::Source::new(path, source.text());
    }
    diagnostics
}
