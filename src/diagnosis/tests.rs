//! Diagnoses of small worlds, written as lines: `node verdict fault` with what depends on what.

use std::time::Duration;

use jiff::Timestamp;

use super::answer::Confidence;
use super::evidence::{Board, Evidence, Source};
use super::graph::{Edge, Graph};
use super::*;
use crate::model::{Family, Fault, Incident, Subject, Verdict};

fn now() -> Timestamp {
    "2026-05-15T17:02:00Z".parse().expect("an instant")
}

fn node(text: &str) -> Subject {
    Subject::parse(text).unwrap_or_else(|| panic!("{text} is no node"))
}

/// The world of the origin: a sheet behind a credential, a report that reads what it leaves, a health job.
fn graph() -> Graph {
    let mut graph = Graph::default();
    let edges = [
        ("job/port-sheet", Edge::Authenticates, "credential/google/ops"),
        ("job/port-sheet", Edge::Reaches, "site/sheets.googleapis.com"),
        ("job/report", Edge::Reads, "data/port-sheet"),
        ("job/mail", Edge::Reaches, "site/api.example.com"),
        ("job/push", Edge::Reaches, "site/api.example.com"),
        ("job/two", Edge::Authenticates, "credential/google/ops"),
        ("data/port-sheet", Edge::Produces, "job/port-sheet"),
        ("data/report", Edge::Produces, "job/report"),
        ("credential/google/ops", Edge::Authenticates, "client/c1"),
        ("credential/google/ops", Edge::Clock, "host/clock"),
        ("site/api.example.com", Edge::Clock, "host/clock"),
        ("site/api.example.com", Edge::Reaches, "network"),
        ("site/api.example.com", Edge::Resolves, "dns"),
        ("site/sheets.googleapis.com", Edge::Reaches, "network"),
        ("site/sheets.googleapis.com", Edge::Resolves, "dns"),
        ("dns", Edge::Reaches, "network"),
    ];
    for (child, edge, parent) in edges {
        graph.edge(&node(child), edge, &node(parent));
    }
    for job in ["port-sheet", "report", "mail", "push", "two"] {
        for part in ["host/disk", "host/memory", "daemon"] {
            graph.edge(&node(&format!("job/{job}")), Edge::RunsOn, &node(part));
        }
    }
    graph
}

/// Evidence of lines such as `job/mail fail http.5xx 30m`, the last of which says since when.
fn board(lines: &str) -> Board {
    let one = |line: &str| {
        let mut words = line.split_whitespace();
        let subject = node(words.next().expect("a node"));
        let verdict = Verdict::from_word(words.next().expect("a verdict")).expect("a verdict");
        let fault = words.next().and_then(Fault::from_word);
        let minutes: u64 = words.next().map_or(10, |text| text.parse().expect("minutes"));
        let source = if subject.as_str().starts_with("job/") {
            Source::Runs(subject.clone())
        } else {
            Source::Probe(subject.to_string())
        };
        let at = now() - Duration::from_secs(60);
        Evidence {
            fault,
            since: now() - Duration::from_mins(minutes),
            text: fault.map_or("well", Fault::word).to_owned(),
            ..Evidence::new(subject, verdict, source, at)
        }
    };
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    Board::new(lines.map(one).collect(), now())
}

fn answer(lines: &str) -> Diagnosis {
    diagnose(Case { graph: graph(), board: board(lines), ..Case::default() })
}

/// The roots as `node fault CONFIDENCE`.
fn roots(lines: &str) -> Vec<String> {
    let one =
        |root: &answer::Root| format!("{} {} {}", root.node, root.class, root.confidence.word());
    answer(lines).roots.iter().map(one).collect()
}

/// A name, what is known, and the roots.
const CASES: &[(&str, &str, &[&str])] = &[
    ("nothing", "host/disk ok", &[]),
    (
        "a dead grant",
        "credential/google/ops fail auth.invalid_grant 600
             job/port-sheet fail http.4xx 590
             data/port-sheet fail stale 500
             host/clock ok",
        &["credential/google/ops auth.invalid_grant CONFIRMED"],
    ),
    (
        "a clock that is off looks like a dead grant",
        "host/clock fail clock.skew 60
             credential/google/ops fail auth.invalid_grant 50
             job/port-sheet fail auth.refused 40",
        &["host/clock clock.skew CONFIRMED"],
    ),
    (
        "an own bug under a throttled vendor",
        "site/api.example.com fail http.429
             job/mail fail exec.exit
             job/push fail http.429",
        &["site/api.example.com http.429 CONFIRMED", "job/mail exec.exit LIKELY"],
    ),
    (
        "loud noise beside a quiet cause",
        "host/load fail load.high
             job/report fail schema",
        &["host/load load.high CONFIRMED", "job/report schema CONFIRMED"],
    ),
    (
        "names are dead, and so is everything behind them",
        "dns fail dns.servfail
             site/api.example.com fail dns.servfail
             site/sheets.googleapis.com fail dns.servfail
             job/mail fail dns.servfail",
        &["dns dns.servfail CONFIRMED"],
    ),
    (
        "the network takes names and services with it",
        "network fail net.unreachable 30
             dns fail dns.timeout 29
             job/mail fail dns.timeout 28
             job/push fail net.unreachable 28",
        &["network net.unreachable CONFIRMED"],
    ),
    (
        "two that can't use a service, and nobody looked",
        "job/mail fail http.5xx 8
             job/push fail http.5xx 9",
        &["site/api.example.com http.5xx LIKELY"],
    ),
    (
        "one that can't may be the one to blame",
        "job/mail fail http.5xx 8
             job/push ok",
        &["job/mail http.5xx INCONCLUSIVE"],
    ),
    (
        "a refused request, and the credential was not looked at",
        "job/port-sheet fail http.4xx",
        &["job/port-sheet http.4xx INCONCLUSIVE"],
    ),
    (
        "the words of a job speak of its only credential",
        "job/port-sheet fail auth.invalid_grant",
        &["credential/google/ops auth.invalid_grant LIKELY"],
    ),
    (
        "but another one uses it well",
        "job/port-sheet fail auth.invalid_grant 20
             job/two ok",
        &["job/port-sheet auth.invalid_grant INCONCLUSIVE"],
    ),
    (
        "old data behind a job that fails by itself",
        "job/port-sheet fail exec.missing
             data/port-sheet fail stale
             data/report fail stale",
        &["job/port-sheet exec.missing CONFIRMED"],
    ),
    (
        "permission on one sheet is no trouble of the credential",
        "credential/google/ops ok
             site/sheets.googleapis.com ok
             job/port-sheet fail perm.denied",
        &["job/port-sheet perm.denied CONFIRMED"],
    ),
    (
        "a full disk",
        "host/disk fail disk.full 40
             job/port-sheet fail disk.full
             job/mail fail disk.full",
        &["host/disk disk.full CONFIRMED"],
    ),
    (
        "memory, by a signal",
        "host/memory fail oom.kill 40
             job/mail fail exec.signal",
        &["host/memory oom.kill CONFIRMED"],
    ),
    (
        "a signal alone",
        "job/mail fail exec.signal
             host/memory ok
             daemon ok",
        &["job/mail exec.signal LIKELY"],
    ),
    ("a budget is no failure", "job/report fail limit.turns", &[]),
    ("nobody knows", "job/report fail unknown", &["job/report unknown INCONCLUSIVE"]),
];

#[test]
fn a_fault_travels_only_where_it_fits() {
    for (name, lines, want) in CASES {
        assert_eq!(roots(lines), *want, "{name}");
    }
}

#[test]
fn what_was_seen_after_what_it_would_explain_is_not_sure() {
    let late =
        "credential/google/ops fail auth.invalid_grant 5\njob/port-sheet fail auth.refused 300";
    assert_eq!(roots(late), ["credential/google/ops auth.invalid_grant LIKELY"]);
}

#[test]
fn a_service_that_another_look_finds_well_is_not_sure() {
    let mut both = board("site/api.example.com fail http.5xx 20");
    let site = node("site/api.example.com");
    both.add(Evidence::new(site, Verdict::Ok, Source::Probe("https".into()), now()));
    let answer = diagnose(Case { graph: graph(), board: both, ..Case::default() });
    assert_eq!(answer.roots[0].confidence, Confidence::Likely);
}

#[test]
fn evidence_past_its_time_is_none() {
    let mut old = board("");
    let mut one = Evidence::new(
        node("site/api.example.com"),
        Verdict::Fail,
        Source::Probe("https".into()),
        now() - Duration::from_hours(3),
    );
    one.fault = Some(Fault::ServerError);
    old.add(one);
    assert_eq!(diagnose(Case { graph: graph(), board: old, ..Case::default() }).roots, []);
}

fn origin() -> Diagnosis {
    let lines = "credential/google/ops fail auth.invalid_grant 3060
        job/port-sheet fail http.4xx 3050
        data/port-sheet fail stale 2900
        host/disk ok
        host/memory ok
        host/clock ok
        dns ok
        network ok
        site/sheets.googleapis.com ok
        job/two ok
        job/report fail limit.turns";
    let mut board = board(lines);
    board.all[0].text = "token endpoint answered 400 invalid_grant".to_owned();
    board.all[1].text = "[port-sheet] token error: HTTP Error 400: Bad Request".to_owned();
    board.all[1].count = 102;
    let mut case = Case { graph: graph(), board, ..Case::default() };
    let since = now() - Duration::from_mins(3060);
    let week = Duration::from_hours(168);
    case.deaths
        .insert(node("credential/google/ops"), vec![since - week - week, since - week, since]);
    let facts = impact::JobFacts {
        last_success: Some(now() - Duration::from_hours(51)),
        allowed: Some(Duration::from_hours(2)),
        held: 3,
        lost: 102,
        period: Duration::from_mins(30),
    };
    case.jobs.insert(node("job/port-sheet").job_name().expect("a job"), facts);
    diagnose(case)
}

#[test]
fn the_screen_says_it_in_twelve_lines() {
    let lines = text::lines(&origin());
    let longest = lines.iter().map(|line| line.chars().count()).max();
    assert!(longest <= Some(80), "{longest:?}");
    insta::assert_snapshot!(lines.join("\n"), @r"
    ROOT CAUSE  credential google/ops: refresh token revoked or expired    CONFIRMED
      since   Wed 13 May 14:02 UTC (51 h)   3rd time, spacing 7.0 d, 7.0 d
      proof   token endpoint answered 400 invalid_grant, 60 s ago               [E1]
              job port-sheet: in 102 runs: [port-sheet] token error: HTTP Erro… [E2]
              data port-sheet: stale, 60 s ago                                  [E3]
      hits    job port-sheet (held), job two, data port-sheet (51 h old, limit 2 h)
      not it  DNS, clock, disk, memory, network, sheets.googleapis.com       [E4-E9]
      fix     jadactl auth login google/ops    then: jadactl doctor --verify
      avoid   consent screen is probably in Testing: publish it, or again on 20 May
    OTHER     job/report stopped at the turn limit (limited, not a failure)    [E10]
    ");
}

#[test]
fn who_is_clear_says_so_in_one_line() {
    let clear = answer("host/disk ok\nhost/memory ok");
    assert_eq!(text::lines(&clear), ["all clear: 2 checks, oldest evidence 60 s"]);
    assert_eq!(clear.verdict.code(), 0);
    assert_eq!(answer("job/report fail schema").verdict.code(), 2);
    assert_eq!(answer("host/disk warn").verdict.code(), 1);
    let blind = Case { blind: vec!["the store".to_owned()], ..Case::default() };
    assert_eq!(diagnose(blind).verdict.code(), 3);
}

/// Numbers from a seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).expect("small")
    }

    /// Evidence about anything, of anything.
    fn world(&mut self) -> Vec<Evidence> {
        let graph = graph();
        let nodes: Vec<&Subject> = graph.nodes().collect();
        (0..self.below(12))
            .map(|_| {
                let subject = nodes[self.below(nodes.len())].clone();
                let verdict = Verdict::ALL[self.below(4)];
                let at = now() - Duration::from_secs(self.below(7000) as u64);
                let fault = Fault::ALL[self.below(Fault::ALL.len())];
                let source = match self.below(2) {
                    0 => Source::Runs(subject.clone()),
                    _ => Source::Probe("p".into()),
                };
                Evidence {
                    fault: (verdict == Verdict::Fail).then_some(fault),
                    since: at - Duration::from_secs(self.below(7000) as u64),
                    direct: self.below(4) > 0,
                    ..Evidence::new(subject, verdict, source, at)
                }
            })
            .collect()
    }
}

fn of(world: &[Evidence]) -> Diagnosis {
    let board = Board::new(world.to_vec(), now());
    diagnose(Case { graph: graph(), board, ..Case::default() })
}

#[test]
fn no_root_without_evidence_and_none_confirmed_without_its_own() {
    for seed in 0..4000 {
        let world = Chance(seed).world();
        let answer = of(&world);
        for root in &answer.roots {
            assert!(!root.evidence.is_empty(), "seed {seed}: {root:?}");
            let known = |id: &String| answer.evidence.iter().any(|item| item.id == *id);
            assert!(root.evidence.iter().all(known), "seed {seed}: a line cites what is not there");
            assert!(!root.fix.is_empty(), "seed {seed}");
            let direct = world.iter().any(|one| {
                one.subject.as_str() == root.node
                    && one.direct
                    && one.verdict == Verdict::Fail
                    && one.is_fresh(now())
            });
            assert!(root.confidence < Confidence::Confirmed || direct, "seed {seed}: {root:?}");
        }
    }
}

#[test]
fn what_fails_is_a_root_or_is_hit_by_one() {
    for seed in 0..2000 {
        let world = Chance(seed ^ 0xbeef).world();
        let answer = of(&world);
        let told = |node: &str| {
            let hit = answer.roots.iter().flat_map(|root| &root.affected);
            let nodes = answer.roots.iter().map(|root| &root.node).chain(hit);
            nodes.into_iter().any(|told| told == node)
        };
        let counts = |one: &&Evidence| {
            let limit = one.fault.is_some_and(|fault| fault.family() == Family::Limit);
            let alone = world.iter().filter(|other| other.subject == one.subject).count() == 1;
            one.verdict == Verdict::Fail && one.is_fresh(now()) && one.direct && !limit && alone
        };
        for one in world.iter().filter(counts) {
            assert!(told(one.subject.as_str()), "seed {seed}: {} is lost", one.subject);
        }
    }
}

#[test]
fn a_good_look_at_the_root_makes_nothing_surer() {
    for seed in 0..4000 {
        let mut chance = Chance(seed ^ 0xf00d);
        let world = chance.world();
        for root in of(&world).roots {
            let mut more = world.clone();
            more.push(Evidence::new(
                node(&root.node),
                Verdict::Ok,
                Source::Probe("good".into()),
                now(),
            ));
            let after = of(&more).roots.into_iter().find(|other| other.node == root.node);
            let surer = after.is_some_and(|after| {
                after.class == root.class && after.confidence > root.confidence
            });
            assert!(!surer, "seed {seed}: {}", root.node);
        }
    }
}

#[test]
fn the_order_of_evidence_does_not_matter() {
    for seed in 0..1500 {
        let world = Chance(seed ^ 0xabc).world();
        let mut turned = world.clone();
        turned.reverse();
        let names = |answer: Diagnosis| -> Vec<String> {
            answer.roots.into_iter().map(|root| root.node).collect()
        };
        let distinct = world.iter().enumerate().all(|(at, one)| {
            world[..at].iter().all(|other| other.subject != one.subject || other.at != one.at)
        });
        if distinct {
            assert_eq!(names(of(&world)), names(of(&turned)), "seed {seed}");
        }
    }
}

#[test]
fn the_same_root_for_the_page_as_for_the_screen() {
    let board =
        board("credential/google/ops fail auth.invalid_grant 60\njob/port-sheet fail auth.refused");
    let root = root_of(&graph(), &board, &node("job/port-sheet"), Fault::Refused);
    assert_eq!(root.node, node("credential/google/ops"));
    let own = root_of(&graph(), &board, &node("job/port-sheet"), Fault::ExecExit);
    assert_eq!(own.node, node("job/port-sheet"));
}

#[test]
fn an_incident_before_is_a_repetition() {
    let past: Vec<Incident> = Vec::new();
    let found = recurrence::of(&node("host/disk"), now(), &past, &[]);
    assert_eq!(found, None);
}
