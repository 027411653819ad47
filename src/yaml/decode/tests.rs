//! The macros at work, as they are meant to be used, and every structural finding.

use super::quantity::{DurationText, ShareText, SizeText};
use super::values::{Entries, OneOrMany, ScalarText};
use super::*;
use crate::yaml::{self, one_of, section, words};

section! {
    /// How often a failed attempt is repeated.
    struct Retry {
        /// Attempts in all.
        pub attempts: u32 = 1,
        /// The first wait.
        pub initial: Option<DurationText>,
        /// Which failures.
        pub r#on: OneOrMany<Located<Class>> = OneOrMany::default(),
    }
}

words! {
    /// A failure class.
    enum Class {
        /// May go away.
        Transient = "transient",
        /// Too much.
        Throttled = "throttled",
    }
}

section! {
    /// A disk.
    struct Disk {
        /// Where it is mounted.
        pub path: Located<String>,
    }
}

one_of! {
    /// What is looked at.
    enum Probe as "probe" {
        /// A file system.
        disk => Disk(Disk),
        /// A port.
        tcp => Tcp(u16),
    }
}

section! {
    /// A check.
    struct Check {
        /// Its name.
        pub name: Located<String>,
        /// Its retries.
        pub retry: Option<Retry>,
        /// Its variables.
        pub env: Entries<ScalarText> = Entries::default(),
        /// Its cap.
        pub max_size as "max-size": Option<SizeText>,
        /// Its share.
        pub share: Option<ShareText>,
        /// Whether it is on.
        pub enabled: bool = true,

        one of
        /// What is looked at.
        pub probe: Probe,
    }
}

fn check(text: &str) -> (Option<Check>, Vec<String>) {
    let source = Source::new("check.yaml", text);
    let (documents, mut found) = yaml::parse(&source);
    let check = documents.first().and_then(|document| {
        assert!(!document.broken, "{text}");
        decode::<Check>(&source, &document.root, &mut found)
    });
    yaml::arrange(&mut found);
    let told = found.iter().map(|d| {
        let at = d.region().expect("these have places").start;
        let place = d.source.slice(d.span.expect("these have places"));
        let help = d.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{}:{} {} {place:?} {}{help}", at.line, at.column, d.code, d.message)
    });
    (check, told.collect())
}

#[test]
fn a_good_section() {
    let (check, told) = check(
        "name: disk\nretry: { attempts: 3, on: transient, initial: 1h30m }\nenv: { A: 017, B: yes, C: 1.10 }\n\
         max-size: 64MiB\nshare: 30%\ndisk: { path: / }\n",
    );
    assert_eq!(told, Vec::<String>::new());
    let check = check.expect("it is good");
    assert_eq!((check.name.as_str(), check.name.span), ("disk", Span { start: 6, end: 10 }));
    let retry = check.retry.expect("it is given");
    assert_eq!((retry.attempts, retry.on.0[0].value), (3, Class::Transient));
    assert_eq!(retry.on.0[0].word(), Class::WORDS[0]);
    assert_eq!(retry.initial.map(|d| d.0.as_secs()), Some(5400));
    let env: Vec<_> = check.env.0.iter().map(|(k, v)| (k.as_str(), v.0.as_str())).collect();
    assert_eq!(env, [("A", "017"), ("B", "yes"), ("C", "1.10")]);
    assert_eq!((check.max_size, check.enabled), (Some(SizeText(64 << 20)), true));
    assert!(matches!(check.probe, Probe::Disk(disk) if disk.path.value == "/"));
}

#[test]
fn every_mistake_in_one_pass() {
    let (check, told) = check(
        "nmae: x\nretry:\n  attempts: many\n  on: [transient, throtled, 5]\n  initial: 90\n  share: 1%\nenabled: yes\n\
         attempts: 3\nmax-size: 64 apples\nshare: 130%\ndisk: {}\ntcp: 70000\nenv: { A: [1] }\nzzz: 1\n",
    );
    assert_eq!(check, None);
    insta::assert_snapshot!(told.join("\n"), @r#"
    1:1 J020 "nmae" unknown key `nmae` (did you mean `name`?)
    3:13 J021 "many" expected a whole number, found the text "many"
    4:19 J031 "throtled" unknown word `throtled` (did you mean `throttled`?)
    4:29 J031 "5" expected a word, found the number 5 (the words are `transient`, `throttled`)
    5:12 J027 "90" expected a duration, found a number without unit (write 90s)
    6:3 J020 "share" unknown key `share` (`share` belongs to the section around this one: indent it less)
    7:10 J021 "yes" expected true or false, found the text "yes" (in YAML 1.2 this is a text: write `true` without quotes)
    8:1 J020 "attempts" unknown key `attempts` (`attempts` belongs under `retry`)
    9:11 J028 "64 apples" `64 apples` is not a size (write it like `512KiB`, `64MiB` or `2GB`)
    10:8 J029 "130%" `130%` is not a share (write it like `30%`, from 0% to 100%)
    11:1 J022 "disk" `disk` lacks the key `path` (add `path:` with a text)
    12:1 J024 "tcp" `disk` and `tcp` both say the probe (keep one of them)
    12:6 J030 "70000" expected a whole number from 0 to 65535
    13:11 J021 "[1]" expected a text or number, found a list
    14:1 J020 "zzz" unknown key `zzz` (the keys here are `name`, `retry`, `env`, `max-size`, `share`, `enabled`, `disk`, `tcp`)
    "#);
}
