//! Which job waits for which.
//!
//! Owns the search for circles in `after`. Refuses to know files and what follows from a circle.

use std::collections::{BTreeMap, BTreeSet};

/// Every circle once, as the jobs on it: each waits for the next one, the last for the first.
/// A circle begins with its smallest name, so that the same jobs always give the same answer.
///
/// `waits_for` has the names that each job waits for; names without an entry wait for nobody.
pub(super) fn circles<'a>(waits_for: &BTreeMap<&'a str, Vec<&'a str>>) -> Vec<Vec<&'a str>> {
    let mut left = on_or_behind_a_circle(waits_for);
    let mut found = Vec::new();
    while let Some(&start) = left.first() {
        let path = walk(start, waits_for, &left);
        if let Some(at) = path.on_circle {
            found.push(from_smallest(&path.names[at..]));
        }
        // Whoever waits for a circle without standing on it has been walked through, and is no circle.
        for name in path.names {
            left.remove(name);
        }
    }
    found
}

/// The jobs that are left when all that wait for nobody are taken away, again and again.
fn on_or_behind_a_circle<'a>(waits_for: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut open: BTreeMap<&str, usize> = BTreeMap::new();
    let mut waiters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (&job, names) in waits_for {
        let known = names.iter().filter(|name| waits_for.contains_key(*name));
        open.insert(job, known.clone().count());
        for &name in known {
            waiters.entry(name).or_default().push(job);
        }
    }
    let mut free: Vec<&str> = open.iter().filter(|(_, n)| **n == 0).map(|(job, _)| *job).collect();
    while let Some(job) = free.pop() {
        open.remove(job);
        for waiter in waiters.get(job).into_iter().flatten() {
            let count = open.get_mut(waiter).expect("a waiter is open until its last job is free");
            *count -= 1;
            if *count == 0 {
                free.push(waiter);
            }
        }
    }
    let left: BTreeSet<&str> = open.into_keys().collect();
    waits_for.keys().copied().filter(|job| left.contains(job)).collect()
}

struct Walk<'a> {
    names: Vec<&'a str>,
    /// Where in the names the circle begins, if the walk came back to itself.
    on_circle: Option<usize>,
}

/// Follows the first job that is still left, until it comes back or to an end.
fn walk<'a>(
    start: &'a str,
    waits_for: &BTreeMap<&'a str, Vec<&'a str>>,
    left: &BTreeSet<&'a str>,
) -> Walk<'a> {
    let mut names = vec![start];
    let mut places = BTreeMap::from([(start, 0)]);
    loop {
        let last = names[names.len() - 1];
        let next = waits_for[last].iter().find(|name| left.contains(*name));
        let Some(&next) = next else { return Walk { names, on_circle: None } };
        if let Some(&at) = places.get(next) {
            return Walk { names, on_circle: Some(at) };
        }
        places.insert(next, names.len());
        names.push(next);
    }
}

fn from_smallest<'a>(circle: &[&'a str]) -> Vec<&'a str> {
    let smallest = (0..circle.len()).min_by_key(|at| circle[*at]).unwrap_or(0);
    circle[smallest..].iter().chain(&circle[..smallest]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(edges: &[(&'static str, &[&'static str])]) -> Vec<Vec<&'static str>> {
        circles(&edges.iter().map(|(job, names)| (*job, names.to_vec())).collect())
    }

    #[test]
    fn finds_each_circle_once() {
        assert_eq!(of(&[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])]), Vec::<Vec<&str>>::new());
        assert_eq!(of(&[("a", &["a"])]), [["a"]]);
        assert_eq!(of(&[("c", &["b"]), ("b", &["a"]), ("a", &["c"])]), [["a", "c", "b"]]);
        assert_eq!(of(&[("a", &["b"]), ("b", &["a"]), ("x", &["y"]), ("y", &["x"])]).len(), 2);
    }

    #[test]
    fn jobs_before_and_behind_a_circle_are_not_on_it() {
        let edges: &[(&str, &[&str])] = &[
            ("a-waits", &["m"]),
            ("m", &["n", "free"]),
            ("n", &["m"]),
            ("free", &[]),
            ("z", &["n"]),
        ];
        assert_eq!(of(edges), [["m", "n"]]);
    }

    #[test]
    fn names_without_an_entry_are_no_circle() {
        assert_eq!(of(&[("a", &["ghost"])]), Vec::<Vec<&str>>::new());
    }

    #[test]
    fn a_long_chain_is_no_deep_recursion() {
        let names: Vec<String> = (0..20_000).map(|n| format!("job-{n:05}")).collect();
        let mut edges: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for pair in names.windows(2) {
            edges.insert(&pair[0], vec![&pair[1]]);
        }
        edges.insert(&names[19_999], vec![]);
        assert_eq!(circles(&edges), Vec::<Vec<&str>>::new());
        edges.insert(&names[19_999], vec![&names[0]]);
        assert_eq!(circles(&edges)[0].len(), 20_000);
    }
}
