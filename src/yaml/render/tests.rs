//! The four forms of the same findings.

use super::*;
use crate::yaml::{Code, Diagnostic, Span, arrange};

fn example() -> Vec<Diagnostic> {
    let source = Source::new("jobs.d/a: b,c.yaml", "name: äpfel\ntimout: 5m\nname: x\n");
    let other = Source::new("jobs.d/z.yaml", "x: 1\nname: äpfel\n");
    let mut unknown = Diagnostic::new(
        Code::UnknownKey,
        &source,
        Span { start: 13, end: 19 },
        "unknown key `timout`",
    );
    unknown.help("did you mean `timeout`?");
    let mut twice = Diagnostic::new(
        Code::DuplicateKey,
        &source,
        Span { start: 24, end: 28 },
        "the key `name` is given twice",
    );
    twice.label(Span { start: 0, end: 4 }, "first given here").help("remove\none of them");
    let mut name = Diagnostic::new(
        Code::DuplicateName,
        &source,
        Span { start: 6, end: 12 },
        "two jobs are named `äpfel`: 100%",
    );
    name.label_in(&other, Span { start: 11, end: 17 }, "the other one");
    let mut dangling =
        Diagnostic::of_file(Code::DanglingLink, "jobs.d/b.yaml", "the link leads nowhere");
    dangling.help("remove it");
    let lint = Diagnostic::new(Code::NeverFires, &other, Span { start: 0, end: 4 }, "never fires");
    let mut all = vec![lint, dangling, name, twice, unknown];
    arrange(&mut all);
    all
}

#[test]
fn for_people() {
    insta::assert_snapshot!(human(&example(), false), @"
    error[J025]: two jobs are named `äpfel`: 100%
     --> jobs.d/a: b,c.yaml:1:7
      |
    1 | name: äpfel
      |       ^^^^^
      |
     ::: jobs.d/z.yaml:2:7
      |
    2 | name: äpfel
      |       ----- the other one

    error[J020]: unknown key `timout`
     --> jobs.d/a: b,c.yaml:2:1
      |
    2 | timout: 5m
      | ^^^^^^
      |
      = help: did you mean `timeout`?

    error[J013]: the key `name` is given twice
     --> jobs.d/a: b,c.yaml:3:1
      |
    1 | name: äpfel
      | ---- first given here
    2 | timout: 5m
    3 | name: x
      | ^^^^
      |
      = help: remove
              one of them

    error[J002]: the link leads nowhere
    --> jobs.d/b.yaml
     = help: remove it

    warning[J070]: never fires
     --> jobs.d/z.yaml:1:1
      |
    1 | x: 1
      | ^^^^
    ");
}

#[test]
fn for_github() {
    insta::assert_snapshot!(github(&example()), @"
    ::error file=jobs.d/a%3A b%2Cc.yaml,line=1,col=7,endLine=1,endColumn=12,title=J025 two jobs have the same name::two jobs are named `äpfel`: 100%25
    ::error file=jobs.d/a%3A b%2Cc.yaml,line=2,col=1,endLine=2,endColumn=7,title=J020 a key is unknown::unknown key `timout`%0Ahelp: did you mean `timeout`?
    ::error file=jobs.d/a%3A b%2Cc.yaml,line=3,col=1,endLine=3,endColumn=5,title=J013 a key is given twice::the key `name` is given twice%0Ahelp: remove%0Aone of them
    ::error file=jobs.d/b.yaml,title=J002 a link leads nowhere::the link leads nowhere%0Ahelp: remove it
    ::warning file=jobs.d/z.yaml,line=1,col=1,endLine=1,endColumn=5,title=J070 a schedule never fires::never fires
    ");
}

#[test]
fn for_scripts() {
    insta::assert_snapshot!(serde_json::to_string(&findings(&example()[..2])).expect("plain data"), @r#"[{"code":"J025","severity":"error","message":"two jobs are named `äpfel`: 100%","file":"jobs.d/a: b,c.yaml","line":1,"column":7,"end_line":1,"end_column":12,"help":null},{"code":"J020","severity":"error","message":"unknown key `timout`","file":"jobs.d/a: b,c.yaml","line":2,"column":1,"end_line":2,"end_column":7,"help":"did you mean `timeout`?"}]"#);
    let back: Vec<Finding> =
        serde_json::from_value(serde_json::to_value(findings(&example())).expect("plain data"))
            .expect("the same type");
    assert_eq!(back, findings(&example()));
}

#[test]
fn for_scanners() {
    let log = sarif(&example());
    let run = &log["runs"][0];
    let (rules, results) = (&run["tool"]["driver"]["rules"], &run["results"]);
    assert_eq!(rules.as_array().map(Vec::len), Some(5));
    for result in results.as_array().expect("a list") {
        let index =
            usize::try_from(result["ruleIndex"].as_u64().expect("a number")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    insta::assert_snapshot!(results[0], @r#"{"level":"error","locations":[{"physicalLocation":{"artifactLocation":{"uri":"jobs.d/a%3A%20b%2Cc.yaml"},"region":{"endColumn":12,"endLine":1,"startColumn":7,"startLine":1}}}],"message":{"text":"two jobs are named `äpfel`: 100%"},"relatedLocations":[{"id":0,"message":{"text":"the other one"},"physicalLocation":{"artifactLocation":{"uri":"jobs.d/z.yaml"},"region":{"endColumn":12,"endLine":2,"startColumn":7,"startLine":2}}}],"ruleId":"J025","ruleIndex":3}"#);
    insta::assert_snapshot!(results[3], @r#"{"level":"error","locations":[{"physicalLocation":{"artifactLocation":{"uri":"jobs.d/b.yaml"}}}],"message":{"text":"the link leads nowhere\nhelp: remove it"},"ruleId":"J002","ruleIndex":0}"#);
}

#[test]
fn a_megabyte_in_one_line_stays_a_screen() {
    let source = Source::new("long.yaml", format!("key: {}é", "x".repeat(1_000_000)));
    for (start, end) in [(0, 3), (5, 1_000_005), (500_000, 500_001), (1_000_005, 1_000_007), (5, 6)]
    {
        let mut found = Diagnostic::new(Code::WrongType, &source, Span { start, end }, "wrong");
        found.label(Span { start: 0, end: 3 }, "this key");
        found.label(Span { start: 5, end: 1_000_007 }, "all of it");
        let shown = human(&[found], false);
        assert!(shown.len() < 4000, "{start}..{end} took {} bytes", shown.len());
    }
}

#[test]
fn texts_cannot_steer_the_terminal() {
    let source = Source::new("x.yaml", "a: b");
    let message = "bad \u{1b}[31m \u{202e}txt";
    let found = Diagnostic::new(Code::Syntax, &source, Span { start: 0, end: 1 }, message);
    let shown = human(&[found], false);
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
}
