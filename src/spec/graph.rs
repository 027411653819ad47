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
    let mut path: Vec<&str> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    loop {
        let Some(&last) = path.last() else {
            let Some(&start) = left.first() else { return found };
            places.insert(start, 0);
            path.push(start);
            continue;
        };
        let next = waits_for[last].iter().find(|name| left.contains(*name)).copied();
        let done = match next {
            // Whoever waits for a circle without standing on one is no circle.
            None => path.len() - 1,
            Some(next) => match places.get(next) {
                None => {
                    places.insert(next, path.len());
                    path.push(next);
                    continue;
                }
                Some(&at) => {
                    found.push(from_smallest(&path[at..]));
                    at
                }
            },
        };
        // Those before it on the path may stand on another circle, and are walked from again.
        for name in path.drain(done..) {
            left.remove(name);
            places.remove(name);
        }
    }
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
    fn a_circle_does_not_hide_another_that_leads_to_it() {
        assert_eq!(
            of(&[("a", &["b", "a"]), ("b", &["c"]), ("c", &["b"])]),
            [vec!["b", "c"], vec!["a"]]
        );
        let edges: &[(&str, &[&str])] =
            &[("a", &["c", "b"]), ("b", &["a"]), ("c", &["d"]), ("d", &["c"])];
        assert_eq!(of(edges), [["c", "d"], ["a", "b"]]);
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
