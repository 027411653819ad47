//! The macros at work, as they are meant to be used, and every structural finding.

use super::quantity::{DurationText, ShareText, SizeText};
use super::values::{Entries, OneOrMany, ScalarText};
use super::*;
use crate::yaml::tests::lines;
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

fn check(text: &str) -> (Option<Check>, Vec<Diagnostic>) {
    let source = Source::new("check.yaml", text);
    let (documents, mut found) = yaml::parse(&source);
    let check = documents.first().and_then(|document| {
        assert!(!document.broken, "{text}");
        decode::<Check>(&source, &document.root, &mut found)
    });
    yaml::arrange(&mut found);
    (check, found)
}

#[test]
fn a_good_section() {
    let (check, told) = check(
        "name: disk\nretry: { attempts: 3, on: transient, initial: 1h30m }\nenv: { A: 017, B: yes, C: 1.10 }\n\
         max-size: 64MiB\nshare: 30%\ndisk: { path: / }\n",
    );
    assert!(told.is_empty(), "{told:?}");
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
    insta::assert_snapshot!(lines(&told), @r#"
    1:1 J020 "nmae" unknown key `nmae`
        did you mean `name`?
    3:13 J021 "many" expected a whole number, found the text "many"
    4:19 J031 "throtled" unknown word `throtled`
        did you mean `throttled`?
    4:29 J031 "5" expected a word, found the number 5
        the words are `transient`, `throttled`
    5:12 J027 "90" expected a duration, found a number without unit
        write 90s
    6:3 J020 "share" unknown key `share`
        `share` belongs to the section around this one
    7:10 J021 "yes" expected true or false, found the text "yes"
        in YAML 1.2 this is a text: write `true` without quotes
    8:1 J020 "attempts" unknown key `attempts`
        `attempts` belongs under `retry`
    9:11 J028 "64 apples" `64 apples` is not a size
        write it like `512KiB`, `64MiB` or `2GB`
    10:8 J029 "130%" `130%` is not a share
        write it like `30%`, from 0% to 100%
    11:1 J022 "disk" `disk` lacks the key `path`
        add `path:` with a text
    12:1 J024 "tcp" `disk` and `tcp` both say the probe
        keep one of them
    12:6 J030 "70000" expected a whole number from 0 to 65535
    13:11 J021 "[1]" expected a text or number, found a list
    14:1 J020 "zzz" unknown key `zzz`
        the keys here are `name`, `retry`, `env`, `max-size`, `share`, `enabled`, `disk`, `tcp`
    "#);
}

/// What is said of a check, as people see it.
fn shown(text: &str) -> String {
    yaml::render::human(&check(text).1, false).trim_end().to_owned()
}

#[test]
fn keys() {
    insta::assert_snapshot!(shown("name: a\nnaem: b\nattempts: 3\ndisk: { path: /, name: c }\n"), @"
    error[J020]: unknown key `naem`
     --> check.yaml:2:1
      |
    2 | naem: b
      | ^^^^
      |
      = help: `name` is given already; remove this one

    error[J020]: unknown key `attempts`
     --> check.yaml:3:1
      |
    3 | attempts: 3
      | ^^^^^^^^
      |
      = help: `attempts` belongs under `retry`

    error[J020]: unknown key `name`
     --> check.yaml:4:18
      |
    4 | disk: { path: /, name: c }
      |                  ^^^^
      |
      = help: `name` belongs to the section around this one
    ");
    insta::assert_snapshot!(shown("env: {}\n"), @"
    error[J022]: the key `name` is missing
     --> check.yaml:1:1
      |
    1 | env: {}
      | ^^^
      |
      = help: add `name:` with a text

    error[J023]: a key that says the probe is missing
     --> check.yaml:1:1
      |
    1 | env: {}
      | ^^^
      |
      = help: add exactly one of `disk`, `tcp`
    ");
    insta::assert_snapshot!(shown("name: a\ndisk: { path: / }\ntcp: 80\n"), @"
    error[J024]: `disk` and `tcp` both say the probe
     --> check.yaml:3:1
      |
    2 | disk: { path: / }
      | ---- the other one
    3 | tcp: 80
      | ^^^
      |
      = help: keep one of them
    ");
}

#[test]
fn types() {
    insta::assert_snapshot!(shown("name: 017\ntcp: 1.5\n"), @"
    error[J021]: expected a whole number, found the number 1.5
     --> check.yaml:2:6
      |
    2 | tcp: 1.5
      |      ^^^
    ");
    insta::assert_snapshot!(shown("name: 5\nenabled: 1\ntcp:\n  - 1\n  - 2\n"), @"
    error[J021]: expected a text, found the number 5
     --> check.yaml:1:7
      |
    1 | name: 5
      |       ^
      |
      = help: quote it: '5'

    error[J021]: expected true or false, found the number 1
     --> check.yaml:2:10
      |
    2 | enabled: 1
      |          ^

    error[J021]: expected a whole number, found a list
     --> check.yaml:4:3
      |
    4 |   - 1
      |   ^^^
    ");
    insta::assert_snapshot!(shown("name:\ntcp: 0080\nretry: [1]\n"), @r#"
    error[J033]: `name` has no value; expected a text
     --> check.yaml:1:1
      |
    1 | name:
      | ^^^^
      |
      = help: give it a value, or remove the key

    error[J021]: expected a whole number, found the text "0080"
     --> check.yaml:2:6
      |
    2 | tcp: 0080
      |      ^^^^
      |
      = help: write 80, without quotes or leading zeros

    error[J021]: expected a mapping, found a list
     --> check.yaml:3:8
      |
    3 | retry: [1]
      |        ^^^
      |
      = help: its keys are `attempts`, `initial`, `on` …
    "#);
    insta::assert_snapshot!(shown("- name: x\n"), @"
    error[J021]: expected a mapping, found a list
     --> check.yaml:1:1
      |
    1 | - name: x
      | ^^^^^^^^^
      |
      = help: its keys are `name`, `retry`, `env`, `max-size` …
    ");
}

#[test]
fn quantities() {
    insta::assert_snapshot!(
        shown("name: a\ntcp: -1\nretry: { initial: 5min, on: [retry] }\nmax-size: 64\nshare: half\n"),
        @"
    error[J030]: expected a whole number from 0 to 65535
     --> check.yaml:2:6
      |
    2 | tcp: -1
      |      ^^

    error[J027]: `5min` is not a duration
     --> check.yaml:3:19
      |
    3 | retry: { initial: 5min, on: [retry] }
      |                   ^^^^
      |
      = help: write it like `30s`, `5m`, `2h`, `1d` or `1h30m`

    error[J031]: unknown word `retry`
     --> check.yaml:3:30
      |
    3 | retry: { initial: 5min, on: [retry] }
      |                              ^^^^^
      |
      = help: the words are `transient`, `throttled`

    error[J028]: expected a size, found a number without unit
     --> check.yaml:4:11
      |
    4 | max-size: 64
      |           ^^
      |
      = help: write 64B

    error[J029]: `half` is not a share
     --> check.yaml:5:8
      |
    5 | share: half
      |        ^^^^
      |
      = help: write it like `30%`, from 0% to 100%
    "
    );
}

#[test]
fn durations_sizes_and_shares() {
    use super::quantity::{parse_duration, parse_share, parse_size};
    let millis = |text| parse_duration(text).map(|d| d.as_millis());
    for (text, expected) in [
        ("30s", 30_000),
        ("5m", 300_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("1h30m", 5_400_000),
        ("500ms", 500),
        ("1d1ms", 86_400_001),
        ("0s", 0),
    ] {
        assert_eq!(millis(text), Some(expected), "{text}");
    }
    for text in
        ["", "5", "s", "5 m", "-5m", "1.5h", "5m1h", "5m5m", "5min", "99999999999d", "٣s", "5mé"]
    {
        assert_eq!(millis(text), None, "{text}");
    }
    for (text, expected) in [
        ("0B", 0),
        ("64MiB", 64 << 20),
        ("1.5 KB", 1500),
        ("2GB", 2_000_000_000),
        ("1TiB", 1 << 40),
    ] {
        assert_eq!(parse_size(text), Some(expected), "{text}");
    }
    for text in
        ["", "5", "MiB", "5mib", "1.MiB", ".5MiB", "1.2.3MB", "-1B", "99999999999999TB", "5  MB"]
    {
        assert_eq!(parse_size(text), None, "{text}");
    }
    assert_eq!(
        (parse_share("30%"), parse_share("0 %"), parse_share("99.5%")),
        (Some(0.3), Some(0.0), Some(0.995))
    );
    for text in ["", "%", "30", "101%", "-1%", "1.%", "30%%"] {
        assert_eq!(parse_share(text), None, "{text}");
    }
}

#[test]
fn the_schema_says_what_the_decoder_does() {
    let schema = schemars::schema_for!(Check);
    let validator = jsonschema::validator_for(schema.as_value()).expect("a valid schema");
    for text in [
        "name: a\ntcp: 80\n",
        "name: a\ndisk: { path: / }\nretry: { attempts: 2, on: [transient], initial: 1s }\n",
        "name: a\ntcp: 80\nretry: { on: transient }\nenv: { A: 1, B: x, C: true }\nshare: 5%\nmax-size: 1KiB\n",
        "name: a\n",
        "tcp: 80\n",
        "name: a\ntcp: 80\ndisk: { path: / }\n",
        "name: a\ntcp: 80\nzzz: 1\n",
        "name: a\ntcp: 70000\n",
        "name: a\ntcp: -1\n",
        "name: a\ntcp: 1.5\n",
        "name: 5\ntcp: 80\n",
        "name:\ntcp: 80\n",
        "name: a\ntcp: 80\nretry:\n",
        "name: a\ntcp: 80\nretry: { initial: 5 }\n",
        "name: a\ntcp: 80\nretry: { initial: 5min }\n",
        "name: a\ntcp: 80\nretry: { on: never }\n",
        "name: a\ntcp: 80\nenabled: yes\n",
        "name: a\ntcp: 80\nenv: { A: [1] }\n",
        "name: a\ntcp: 80\nmax-size: 5mib\n",
        "- 1\n",
        "x\n",
    ] {
        let source = Source::new("x", text);
        let document = &yaml::parse(&source).0[0];
        let json = decode(&source, &document.root, &mut Vec::new()).expect("any value");
        assert_eq!(validator.is_valid(&json), check(text).1.is_empty(), "{text}");
    }
}

#[test]
fn the_schema_keeps_documentation_and_defaults() {
    let schema = schemars::schema_for!(Retry);
    insta::assert_snapshot!(schema.as_value(), @r##"{"$defs":{"Class":{"description":"A failure class.","oneOf":[{"const":"transient","description":"May go away."},{"const":"throttled","description":"Too much."}]}},"$schema":"https://json-schema.org/draft/2020-12/schema","additionalProperties":false,"description":"How often a failed attempt is repeated.","properties":{"attempts":{"default":1,"description":"Attempts in all.","format":"uint32","minimum":0,"type":"integer"},"initial":{"description":"The first wait.","pattern":"^(\\d+(ms|s|m|h|d))+$","type":"string"},"on":{"anyOf":[{"$ref":"#/$defs/Class"},{"items":{"$ref":"#/$defs/Class"},"type":"array"}],"description":"Which failures."}},"title":"Retry","type":"object"}"##);
}
