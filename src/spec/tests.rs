//! Looks at a jobs folder that changes between them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::model::JobName;
use crate::yaml::Code;

mod kept;

/// A jobs folder on disk, and what is in force.
struct World {
    dir: tempfile::TempDir,
    settings: Settings,
    catalog: Catalog,
}

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("jobs.d")).unwrap();
        let settings = Settings::defaults(dir.path());
        Self { dir, settings, catalog: Catalog::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("jobs.d").join(name)
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    /// Looks again; returns the names of the jobs in force and the codes of the errors by file.
    fn look(&mut self) -> (Vec<String>, Vec<String>) {
        self.catalog = load(&self.settings, now(), Some(&self.catalog));
        self.state()
    }

    fn kept(&self) -> Kept {
        Kept::at(self.dir.path())
    }

    fn keep(&self) {
        self.kept().keep(&self.catalog).unwrap();
    }

    /// Keeps the copies, forgets everything else, and looks for the first time.
    fn restart(&mut self) -> (Vec<String>, Vec<String>) {
        self.keep();
        self.start()
    }

    fn start(&mut self) -> (Vec<String>, Vec<String>) {
        self.catalog = start(&self.settings, now(), &self.kept());
        self.state()
    }

    /// The copies, sorted.
    fn copies(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path().join("last-good")).into_iter().flatten();
        let mut copies: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        copies.sort();
        copies
    }

    fn state(&self) -> (Vec<String>, Vec<String>) {
        let jobs = self.catalog.jobs.keys().map(ToString::to_string).collect();
        let told = self.catalog.diagnostics().filter(|d| d.is_error()).map(|diagnostic| {
            let path = Path::new(diagnostic.file());
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("{name} {}", diagnostic.code)
        });
        (jobs, told.collect())
    }

    fn revision(&self, job: &str) -> u64 {
        self.catalog.jobs[&JobName::parse(job).unwrap()].revision.0
    }
}

/// A job that runs `true` every minute, with some keys more.
fn job(name: &str, more: &str) -> String {
    format!("name: {name}\nschedule: {{ every: 60s }}\n{more}\ncommand: {{ run: [\"true\"] }}\n")
}

fn told(jobs: &[&str], errors: &[&str]) -> (Vec<String>, Vec<String>) {
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    (own(jobs), own(errors))
}

#[test]
fn a_file_comes_changes_and_goes() {
    let mut world = World::new();
    assert_eq!(world.look(), told(&[], &[]));
    world
        .write("a.yaml", &job("a", ""))
        .write("b.yml", &format!("{}---\n{}", job("b", ""), job("c", "")));
    assert_eq!(world.look(), told(&["a", "b", "c"], &[]));
    world.write("b.yml", &job("d", ""));
    assert_eq!(world.look(), told(&["a", "d"], &[]));
    fs::remove_file(world.path("a.yaml")).unwrap();
    assert_eq!(world.look(), told(&["d"], &[]));
}

#[test]
fn a_file_that_turned_bad_keeps_its_last_good_jobs() {
    let mut world = World::new();
    world.write("x.yaml", &format!("{}---\n{}", job("a", ""), job("b", "")));
    world.look();
    let before = world.revision("a");
    // One bad document is enough: the file takes effect as a whole.
    world.write("x.yaml", &format!("{}---\n{}", job("a", "timeout: 9m"), job("b", "timeout: 9")));
    assert_eq!(world.look(), told(&["a", "b"], &["x.yaml J027"]));
    assert_eq!(world.revision("a"), before);
    assert_eq!(world.look(), told(&["a", "b"], &["x.yaml J027"]), "it stays told");
    world.write("x.yaml", &format!("{}---\n{}", job("a", "timeout: 9m"), job("b", "timeout: 9s")));
    assert_eq!(world.look(), told(&["a", "b"], &[]));
    assert_ne!(world.revision("a"), before);
}

#[test]
fn a_file_that_was_never_good_serves_nothing() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", "tiemout: 1m")).write("b.yaml", &job("b", ""));
    assert_eq!(world.look(), told(&["b"], &["a.yaml J020"]));
    assert_eq!(world.catalog.bad_files().count(), 1);
}

#[test]
fn deleting_a_bad_file_takes_its_jobs_away() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", ""));
    world.look();
    world.write("a.yaml", "name: [");
    assert_eq!(world.look(), told(&["a"], &["a.yaml J010"]));
    fs::remove_file(world.path("a.yaml")).unwrap();
    assert_eq!(world.look(), told(&[], &[]));
}

#[test]
fn an_emptied_file_keeps_its_jobs_and_one_of_comments_does_not() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", ""));
    world.look();
    world.write("a.yaml", "\n");
    assert_eq!(world.look(), told(&["a"], &["a.yaml J008"]));
    world.write("a.yaml", "# name: a\n");
    assert_eq!(world.look(), told(&[], &[]));
    assert!(world.catalog.diagnostics().any(|d| d.code == Code::NoJob));
}

#[test]
fn a_name_belongs_to_who_had_it_first() {
    let mut world = World::new();
    world.write("m.yaml", &job("x", ""));
    world.look();
    // The newcomer yields, though its path comes first.
    world.write("a.yaml", &job("x", ""));
    assert_eq!(world.look(), told(&["x"], &["a.yaml J025"]));
    assert_eq!(world.catalog.jobs.values().next().unwrap().file.as_ref(), world.path("m.yaml"));
    // An edit of the first file keeps its right.
    world.write("m.yaml", &job("x", "timeout: 5m"));
    assert_eq!(world.look(), told(&["x"], &["a.yaml J025"]));
    // When the first one gives the name up, the newcomer gets it without being touched.
    world.write("m.yaml", &job("y", ""));
    assert_eq!(world.look(), told(&["x", "y"], &[]));
}

#[test]
fn files_may_swap_names_in_one_look() {
    let mut world = World::new();
    world.write("a.yaml", &job("x", "")).write("b.yaml", &job("y", ""));
    world.look();
    world.write("a.yaml", &job("y", "")).write("b.yaml", &job("x", ""));
    assert_eq!(world.look(), told(&["x", "y"], &[]));
}

#[test]
fn a_conflict_with_a_last_good_version_is_found_too() {
    let mut world = World::new();
    world.write("a.yaml", &job("x", ""));
    world.look();
    // a.yaml gives x up but is bad, so that x stays with it, and b.yaml may not take it.
    world.write("a.yaml", &job("y", "pool: nowhere")).write("b.yaml", &job("x", ""));
    assert_eq!(world.look(), told(&["x"], &["a.yaml J046", "b.yaml J025"]));
    world.write("a.yaml", &job("y", ""));
    assert_eq!(world.look(), told(&["x", "y"], &[]));
}

#[test]
fn who_waits_for_a_job_that_went_is_told() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", "")).write("b.yaml", &job("b", "after: [a]"));
    assert_eq!(world.look(), told(&["a", "b"], &[]));
    fs::remove_file(world.path("a.yaml")).unwrap();
    assert_eq!(world.look(), told(&["b"], &["b.yaml J047"]));
    // A bad file still counts as the home of its job: one mistake is told once.
    world.write("a.yaml", &job("a", "pool: nowhere"));
    assert_eq!(world.look(), told(&["b"], &["a.yaml J046"]));
    world.write("a.yaml", "not: [closed");
    assert_eq!(world.look(), told(&["b"], &["a.yaml J010"]));
    world.write("a.yaml", &job("a", ""));
    assert_eq!(world.look(), told(&["a", "b"], &[]));
}

#[test]
fn a_file_is_no_job_of_its_own() {
    let mut world = World::new();
    world.write("nightly.yaml", &job("backup", "")).write("b.yaml", &job("b", "after: [nightly]"));
    assert_eq!(world.look(), told(&["backup"], &["b.yaml J047"]));
    world.write("nightly.yaml", &job("backup", "").replace("name: backup\n", ""));
    assert_eq!(world.look(), told(&["b", "nightly"], &[]));
    world.write("nightly.yaml", "# nothing\n");
    assert_eq!(world.look(), told(&["b"], &["b.yaml J047"]));
}

#[test]
fn the_file_that_closes_a_circle_is_refused() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", "after: [b]")).write("b.yaml", &job("b", ""));
    assert_eq!(world.look(), told(&["a", "b"], &[]));
    world.write("b.yaml", &job("b", "after: [a]"));
    assert_eq!(world.look(), told(&["a", "b"], &["b.yaml J048"]));
    assert!(world.catalog.jobs[&JobName::parse("b").unwrap()].policy.after.is_empty());
    // Seen for the first time, one file of the circle yields and the other stays.
    world.catalog = Catalog::default();
    assert_eq!(world.look(), told(&["b"], &["a.yaml J048"]));
}

#[test]
fn a_folder_that_cannot_be_read_changes_nothing() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", ""));
    world.look();
    fs::rename(world.dir.path().join("jobs.d"), world.dir.path().join("away")).unwrap();
    assert_eq!(world.look(), told(&["a"], &["jobs.d J003"]));
    assert_eq!(world.look(), told(&["a"], &["jobs.d J003"]));
    fs::rename(world.dir.path().join("away"), world.dir.path().join("jobs.d")).unwrap();
    assert_eq!(world.look(), told(&["a"], &[]));
}

#[test]
fn hostile_entries_neither_hang_nor_touch_the_others() {
    let mut world = World::new();
    for name in ["a", "link", "locked"] {
        world.write(&format!("{name}.yaml"), &job(name, ""));
    }
    world.look();
    fs::create_dir(world.path("folder.yaml")).unwrap();
    fs::remove_file(world.path("link.yaml")).unwrap();
    symlink("nowhere", world.path("link.yaml")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        world.path("pipe.yaml"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    world.write("junk.yaml", "\u{0}\u{1}\u{2}");
    fs::write(world.path("latin.yaml"), b"name: caf\xe9").unwrap();
    fs::write(world.path("large.yaml"), vec![b'#'; 10 << 20]).unwrap();
    world.write("deep.yaml", &"[".repeat(10_000));
    fs::create_dir(world.path("team")).unwrap();
    world.write("team/x.yaml", &job("x", ""));
    let (jobs, errors) = world.look();
    assert_eq!(jobs, ["a", "link", "locked"]);
    assert_eq!(
        errors,
        [
            "deep.yaml J006",
            "folder.yaml J001",
            "junk.yaml J004",
            "large.yaml J005",
            "latin.yaml J004",
            "link.yaml J002",
            "pipe.yaml J001",
        ]
    );
    assert!(world.catalog.diagnostics().any(|d| d.code == Code::Overlooked));
}

#[test]
fn a_file_without_read_permission_keeps_its_jobs() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", ""));
    world.look();
    fs::set_permissions(world.path("a.yaml"), fs::Permissions::from_mode(0o0)).unwrap();
    if fs::read(world.path("a.yaml")).is_ok() {
        return; // The superuser may read everything.
    }
    assert_eq!(world.look(), told(&["a"], &["a.yaml J001"]));
}

#[test]
fn unchanged_files_keep_the_same_jobs_and_other_settings_read_them_again() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", "")).write("b.yaml", &job("b", ""));
    world.look();
    let (a, b) =
        (world.catalog.files[world.path("a.yaml").as_path()].clone(), JobName::parse("b").unwrap());
    let before = world.catalog.jobs[&b].clone();
    world.write("b.yaml", &job("b", "timeout: 5m"));
    world.look();
    assert!(Arc::ptr_eq(&a, &world.catalog.files[world.path("a.yaml").as_path()]));
    assert!(!Arc::ptr_eq(&before, &world.catalog.jobs[&b]));
    world.settings.limits.pools.insert("db".to_owned(), 1);
    world.look();
    assert!(!Arc::ptr_eq(&a, &world.catalog.files[world.path("a.yaml").as_path()]));
}

#[test]
fn equal_parts_are_kept_once() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", "retry: 3")).write("b.yaml", &job("b", "retry: 3 # more"));
    world.look();
    let jobs: Vec<_> = world.catalog.jobs.values().collect();
    assert!(Arc::ptr_eq(&jobs[0].policy, &jobs[1].policy));
    assert!(Arc::ptr_eq(&jobs[0].work, &jobs[1].work));
    assert!(Arc::ptr_eq(&jobs[0].setting, &jobs[1].setting));
    assert!(Arc::ptr_eq(&jobs[0].schedule, &jobs[1].schedule));
}

#[test]
fn revisions_follow_meaning() {
    let mut world = World::new();
    let revisions = |world: &mut World, text: &str| {
        world.write("j.yaml", text);
        assert_eq!(world.look().1, Vec::<String>::new(), "{text}");
        let job = world.catalog.jobs.values().next().unwrap();
        (job.revision, job.schedule_revision)
    };
    let base = revisions(&mut world, "schedule: \"15 2 * * *\"\ncommand: { run: [\"true\"] }\n");
    let layout = "# c\ncommand:\n  run:\n  - \"true\"\n\nschedule: '15 2 * * *'\n";
    assert_eq!(revisions(&mut world, layout), base);
    let full = "schedule: { cron: 15 2 * * * }\ncommand: { run: [\"true\"] }\n";
    assert_eq!(revisions(&mut world, full).1, base.1, "the short form says the same");
    let other = "schedule: \"15 2 * * *\"\ntimeout: 1m\ncommand: { run: [\"true\"] }\n";
    let other = revisions(&mut world, other);
    assert_eq!(other.1, base.1, "a timeout does not decide slots");
    assert_ne!(other.0, base.0);
    for schedule in [
        "\"16 2 * * *\"",
        "{ cron: 15 2 * * *, timezone: Europe/Berlin }",
        "{ cron: 15 2 * * *, jitter: 1m }",
        "{ cron: 15 2 * * *, dst: { gap: skip } }",
        "{ cron: 15 2 * * *, end: 2030-01-01 }",
        "{ cron: 15 2 * * *, except: 2030-01-01 }",
    ] {
        let text = format!("schedule: {schedule}\ncommand: {{ run: [\"true\"] }}\n");
        assert_ne!(revisions(&mut world, &text).1, base.1, "{schedule}");
    }
}

#[test]
fn a_bad_file_is_told_all_its_conflicts_in_the_same_look() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", "")).write("b.yaml", &job("b", "after: [a]"));
    world.look();
    let bad = [
        job("a", "timeout: 5"),
        job("c", "after: [nowhere]\npool: nowhere"),
        job("d", "after: [e]\nretry: 0"),
        job("e", "after: [d]"),
        "name: Broken Name\nschedule: \"99 * * * *\"\ncommand: { run: [\"true\"] }\n".to_owned(),
    ];
    world.write("bad.yaml", &bad.join("---\n"));
    let (jobs, errors) = world.look();
    assert_eq!(jobs, ["a", "b"]);
    let codes: Vec<&str> = errors.iter().map(|told| told.trim_start_matches("bad.yaml ")).collect();
    assert_eq!(codes, ["J025", "J027", "J047", "J046", "J048", "J030", "J026", "J040"]);
}

#[test]
fn a_good_file_is_not_refused_for_what_a_bad_one_says() {
    let mut world = World::new();
    world.write("a.yaml", &job("x", "timeout: 5")).write("b.yaml", &job("x", ""));
    assert_eq!(world.look(), told(&["x"], &["a.yaml J025", "a.yaml J027"]));
    assert_eq!(world.catalog.jobs.values().next().unwrap().file.as_ref(), world.path("b.yaml"));
}

#[test]
fn a_job_knows_its_place() {
    let mut world = World::new();
    world.write("a.yaml", &format!("# one\n{}---\n# two\n\n{}", job("a", ""), job("b", "")));
    world.look();
    let lines: Vec<u32> = world.catalog.jobs.values().map(|job| job.line).collect();
    assert_eq!(lines, [2, 9]);
}

#[test]
fn settings_are_known_by_their_keys_and_a_secret_in_them_is_told_once() {
    let world = World::new();
    let path = world.dir.path().join("who.yaml");
    let check = |text: &str| {
        fs::write(&path, text).unwrap();
        let config = Config::of(world.settings.clone());
        let checked = check(std::slice::from_ref(&path), &config, now());
        checked.diagnostics.iter().map(|told| told.code).collect::<Vec<_>>()
    };
    assert_eq!(check("credentials:\n  a: { env: { variable: TOKEN } }\n"), []);
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let secret = format!("credentials:\n  a: {{ static: {{ bearer: {token} }} }}\n");
    assert_eq!(check(&secret), [Code::SecretLiteral]);
    assert_eq!(
        check("credentials:\n  a: { static: { bearer: hunter2 } }\n"),
        [Code::SecretLiteral]
    );
    assert!(!check("credentials: { api: a }\ncommand: { run: [echo] }\n").is_empty());
}

#[test]
fn the_page_is_for_this_host_only() {
    assert!(config::loopback("127.0.0.1:0").is_ok());
    assert!(config::loopback("[::1]:7411").is_ok());
    for text in ["0.0.0.0:7411", "192.0.2.1:80", "localhost", "7411"] {
        assert!(config::loopback(text).is_err(), "{text}");
    }
}
