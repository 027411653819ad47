//! Names with `*` and `?` in them.
//!
//! Owns what they stand for: any letters, and one letter. Refuses to know what has the names.

/// Whether a name is one of those that a pattern means. Case counts, and `*` also stands for `/`.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut read) = (0, 0);
    // Where the last star stood, and how far the name was when it took its letters.
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[read] => {
                at += 1;
                read += 1;
            }
            _ => match star {
                // The star takes one letter more.
                Some((place, from)) => {
                    star = Some((place, from + 1));
                    at = place + 1;
                    read = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let cases: &[(&str, &str, bool)] = &[
            ("job/a", "job/a", true),
            ("job/a", "job/ab", false),
            ("job/*", "job/a", true),
            ("job/*", "job/", true),
            ("*", "credential/google/ops", true),
            ("credential/*/ops", "credential/google/ops", true),
            ("credential/*/ops", "credential/google/dev", false),
            ("host/dis?", "host/disk", true),
            ("host/disk?", "host/disk", false),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("", "", true),
            ("", "a", false),
        ];
        for (pattern, name, want) in cases {
            assert_eq!(matches(pattern, name), *want, "{pattern} {name}");
        }
    }
}
