//! Copies of accepted job files, and what they serve after a restart.
//!
//! Owns the cases of `kept`. Refuses to know what a look without a restart does (`super`).

use super::*;

#[test]
fn a_file_that_turned_bad_keeps_its_last_good_jobs_over_a_restart() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", "")).write("b.yaml", &job("b", ""));
    world.look();
    let before = world.revision("a");
    assert_eq!(world.restart(), told(&["a", "b"], &[]));
    world.write("a.yaml", &job("a", "nmae: x"));
    // Broken while it ran, and broken while nobody was there: both come to the same.
    for _ in 0..2 {
        assert_eq!(world.restart(), told(&["a", "b"], &["a.yaml J020"]));
        assert_eq!(world.revision("a"), before);
    }
    assert_eq!(world.look(), told(&["a", "b"], &["a.yaml J020"]), "and over the next look");
    world.write("a.yaml", &job("c", ""));
    assert_eq!(world.restart(), told(&["b", "c"], &[]));
    world.keep();
    world.write("a.yaml", "");
    assert_eq!(world.restart(), told(&["b", "c"], &["a.yaml J008"]));
}

#[test]
fn a_file_that_is_gone_takes_its_copy_with_it() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", "")).write("b.yaml", &job("b", ""));
    world.look();
    world.restart();
    assert_eq!(world.copies().len(), 2);
    fs::remove_file(world.path("a.yaml")).unwrap();
    assert_eq!(world.restart(), told(&["b"], &[]), "gone while nobody was there");
    world.write("a.yaml", "oops");
    assert_eq!(world.restart(), told(&["b"], &["a.yaml J021"]), "and back, but bad");
    fs::remove_file(world.path("b.yaml")).unwrap();
    world.look();
    world.keep();
    assert!(world.copies().is_empty());
}

#[test]
fn copies_are_private_and_made_once() {
    let mut world = World::new();
    let long = format!("{}.yaml", "x".repeat(250));
    world.write("a.yaml", &job("a", "")).write(&long, &job("b", ""));
    world.look();
    world.keep();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&world.dir.path().join("last-good")), 0o700);
    let copies = world.copies();
    assert_eq!(copies.len(), 2);
    for copy in &copies {
        assert_eq!(mode(copy), 0o600);
        fs::set_permissions(copy, fs::Permissions::from_mode(0o400)).unwrap();
    }
    world.keep();
    assert_eq!(world.copies(), copies);
    assert!(copies.iter().all(|copy| mode(copy) == 0o400), "written again");
    world.write(&long, "");
    assert_eq!(world.restart().0, ["a", "b"]);
}

#[test]
fn only_what_was_accepted_is_copied() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", ""));
    world.look();
    world.keep();
    world.write("a.yaml", &job("b", ""));
    world.look();
    world.write("a.yaml", &job("c", "nmae: x"));
    world.keep();
    // Neither the one that nobody accepted, nor the one that was replaced.
    assert!(world.copies().is_empty());
    assert_eq!(world.start(), told(&[], &["a.yaml J020"]));
}

#[test]
fn after_a_restart_a_name_still_belongs_to_who_had_it_first() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", "")).write("b.yaml", &job("b", "after: [a]"));
    world.look();
    world.keep();
    for (text, want) in [(job("b", ""), "a.yaml J025"), (job("a", "after: [b]"), "a.yaml J048")] {
        world.write("a.yaml", &text);
        let (jobs, errors) = world.look();
        assert_eq!((jobs.len(), errors[0].as_str()), (2, want));
        assert_eq!(world.start(), (jobs, errors), "as the reload before the restart");
    }
}

#[test]
fn a_copy_that_can_not_serve_is_told() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", ""));
    world.look();
    world.keep();
    world.write("a.yaml", &job("a", "nmae: x"));
    let copy = world.copies().remove(0);
    // What a version accepted that knew other keys.
    let other = job("a", "colour: red");
    let other_copy = copy.with_extension(format!("{:016x}", hash::Hash::of(other.as_bytes())));
    let cases: [(&Path, &[u8], &str); 3] = [
        (&copy, b"name: a", "damaged"),
        (&copy, b"", "damaged"),
        (&other_copy, other.as_bytes(), "this version of jada-agent refuses it: unknown key"),
    ];
    for (path, bytes, want) in cases {
        fs::remove_file(world.copies().remove(0)).unwrap();
        fs::write(path, bytes).unwrap();
        assert_eq!(world.start(), told(&[], &["a.yaml J020"]));
        for look in ["the first look", "the next look"] {
            let about_copy = world.catalog.diagnostics().find(|d| d.code == Code::CopyUnusable);
            let message = &about_copy.unwrap().message;
            assert!(message.contains(want), "{look}: {message}");
            world.look();
        }
        world.keep();
        assert_eq!(world.copies(), [path], "another version may still be able to use it");
    }
    world.write("a.yaml", &job("a", ""));
    assert_eq!(world.start(), told(&["a"], &[]));
    assert_eq!(world.catalog.diagnostics().count(), 0);
}

#[test]
fn of_two_copies_the_newer_one_serves() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", ""));
    world.look();
    world.keep();
    let old = world.copies().remove(0);
    let saved = fs::read(&old).unwrap();
    world.write("a.yaml", &job("b", ""));
    world.look();
    world.keep();
    // As a daemon leaves it that died between writing and removing.
    fs::write(&old, saved).unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    fs::File::open(&old).unwrap().set_modified(long_ago).unwrap();
    world.write("a.yaml", "");
    assert_eq!(world.start(), told(&["b"], &["a.yaml J008"]));
    world.write("a.yaml", &job("b", ""));
    world.restart();
    world.keep();
    assert_eq!(world.copies().len(), 1);
}

#[test]
fn copies_outlive_a_jobs_folder_that_is_away_but_not_the_data_folder() {
    let mut world = World::new();
    world.write("a.yaml", &job("a", ""));
    world.look();
    world.restart();
    let (jobs, away) = (world.path(""), world.dir.path().join("away"));
    fs::rename(&jobs, &away).unwrap();
    assert_eq!(world.restart(), told(&[], &["jobs.d J003"]));
    assert_eq!(world.restart(), told(&[], &["jobs.d J003"]));
    assert!(world.catalog.is_unread());
    fs::rename(&away, &jobs).unwrap();
    world.write("a.yaml", "");
    assert_eq!(world.start(), told(&["a"], &["a.yaml J008"]));
    assert!(!world.catalog.is_unread());
    world.write("a.yaml", &job("a", ""));
    world.look();
    let data = world.dir.path().join("data");
    assert!(Kept::at(&data).keep(&world.catalog).is_err());
    assert!(!data.exists());
}
