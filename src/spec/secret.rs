//! Secrets written where they must not be.
//!
//! Owns the names of variables whose value is a secret, and passwords in addresses; the shapes of
//! well-known tokens are `credentials::shapes`. It looks at raw text, comments included, before
//! anything else sees the file, and masks what it finds, so that no later message or snippet can repeat
//! it. Refuses to guess by randomness: what it reports is a secret, or was made to look like one.

use std::ops::Range;

use crate::credentials::shapes::{self, Found};
use crate::yaml::{Code, Diagnostic, Source, Span};

/// Every secret in a text, in order.
pub(super) fn find(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match secret_at(text, at) {
            Some(secret) => {
                at = secret.at.end.max(at + 1);
                found.push(secret);
            }
            None => at += 1,
        }
    }
    found
}

/// The text with each secret replaced by letters, byte for byte, so that every position stays. Letters,
/// since the masked text is parsed and an asterisk would begin an alias. Line ends stay too, since a
/// private key spans lines.
pub(super) fn mask<'a>(text: &str, ranges: impl IntoIterator<Item = &'a Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        for byte in &mut bytes[range.clone()] {
            if !byte.is_ascii_whitespace() {
                *byte = b'x';
            }
        }
    }
    String::from_utf8(bytes).expect("whole characters became letters")
}

/// Masks the tokens in a text and reports them.
pub(super) fn masked(source: &Source) -> (Source, Vec<Diagnostic>) {
    let found = find(source.text());
    if found.is_empty() {
        return (source.clone(), Vec::new());
    }
    let masked = mask(source.text(), found.iter().map(|found| &found.at));
    let masked = Source::new(source.path(), masked);
    let report = |found: Found| {
        let message = format!("{} stands in the file", found.what);
        let mut reported =
            Diagnostic::new(Code::SecretLiteral, &masked, Span::new(found.at), message);
        reported.help(
            "revoke it, since it was written down; keep its successor in a file, and declare a \
             credential in jada.yaml that says which: `jadactl explain J052` shows how",
        );
        reported
    };
    let diagnostics = found.into_iter().map(report).collect();
    (masked, diagnostics)
}

/// Masks places in a text for everybody who shows it; returns the masked source.
pub(super) fn hide(
    source: &Source,
    places: &[Range<usize>],
    diagnostics: &mut [Diagnostic],
) -> Source {
    if places.is_empty() {
        return source.clone();
    }
    let masked = Source::new(source.path(), mask(source.text(), places));
    for diagnostic in diagnostics {
        diagnostic.source = masked.clone();
        for label in &mut diagnostic.labels {
            label.source = masked.clone();
        }
    }
    masked
}

/// Whether a variable of this name holds a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    const WORDS: [&str; 8] =
        ["TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "API_KEY", "PRIVATE_KEY", "APIKEY"];
    let name = name.to_ascii_uppercase();
    let ends = |word: &str| {
        name.strip_suffix(word).is_some_and(|head| head.is_empty() || head.ends_with('_'))
    };
    WORDS.into_iter().any(ends) || name.ends_with("_KEY")
}

/// Whether a value stands for a secret that is kept elsewhere, or for nothing at all.
pub(super) fn is_reference(value: &str) -> bool {
    let value = value.trim();
    value.is_empty() || value.contains("{{") || value.starts_with(['$', '<', '*', '/', '.', '~'])
}

fn secret_at(text: &str, at: usize) -> Option<Found> {
    let bytes = text.as_bytes();
    if bytes[at] == b':' {
        return password(text, at);
    }
    shapes::at(bytes, at, at.checked_sub(1).map(|before| bytes[before]))
}

/// The password of `scheme://user:password@host`, found at the colon of the scheme.
fn password(text: &str, at: usize) -> Option<Found> {
    let authority = text[at..].strip_prefix("://")?;
    let stop = |c: char| c.is_whitespace() || "/?#\"'`".contains(c);
    let authority = &authority[..authority.find(stop).unwrap_or(authority.len())];
    let userinfo = &authority[..authority.rfind('@')?];
    let colon = userinfo.find(':')?;
    let start = at + "://".len() + colon + 1;
    let secret = &userinfo[colon + 1..];
    (!is_reference(secret)).then(|| Found {
        at: start..start + secret.len(),
        what: "a password in a URL",
        closed: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_BEGIN: &str = "-----BEGIN ";
    const KEY_LABEL: &str = "PRIVATE KEY-----";

    /// Joined at run time, so that no scanner takes this file for a leak.
    fn secrets() -> Vec<(String, &'static str)> {
        let run = "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0uV1wX2yZ3";
        vec![
            (format!("AK{}", "IAIOSFODNN7EXAMPLE"), "an AWS access key"),
            (format!("AI{}{}", "za", &run[..35]), "a Google API key"),
            (format!("ya{}{run}", "29."), "a Google access token"),
            (format!("gh{}{run}", "p_"), "a GitHub token"),
            (format!("github{}{run}", "_pat_"), "a GitHub token"),
            (format!("xo{}123456789012-{run}", "xb-"), "a Slack token"),
            (format!("sk{}api03-{run}", "-ant-"), "an Anthropic API key"),
            (format!("sk{}proj-{run}", "-"), "an API key"),
            (format!("sk{}0123456789abcdef0123456789abcdef", "-"), "an API key"),
            (format!("ey{}hbGciOiJI.eyJzdWIiOiIx.{run}", "J"), "a JSON web token"),
        ]
    }

    #[test]
    fn tells_each_shape_and_where_it_ends() {
        for (secret, what) in secrets() {
            for (before, after) in
                [("", ""), ("Bearer ", "\n"), ("token=\"", "\", next"), ("(", ").")]
            {
                let text = format!("{before}{secret}{after}");
                let at = before.len()..before.len() + secret.len();
                assert_eq!(find(&text), [Found { at, what, closed: true }], "{text}");
            }
        }
    }

    #[test]
    fn lets_ordinary_text_be() {
        let texts = [
            "disk-usage-report-Of-2024-and-2025-for-All",
            "risk-9fA8bC7dE6fG5hI4jK3lM2",
            "task-abcdefghijklmnopqrstuvwxyz",
            "sk-learn-model-training-of-the-whole-year-2024",
            "ghp_short",
            "AKIAlowercase1234567",
            "https://example.com/a:b@c",
            "postgres://jada@db.internal:5432/jada",
            "postgres://jada:{{env.DB}}@db/jada",
            "postgres://jada:$PGPASSWORD@db/jada",
            "eyJhbGciOiJIUzI1NiJ9",
            "-----BEGIN CERTIFICATE-----",
            "spreadsheet: 1AbCdEfGhIjKlMnOpQrStUvWxYz0123456789abcdefgh",
        ];
        for text in texts {
            assert_eq!(find(text), [], "{text}");
        }
    }

    #[test]
    fn takes_only_the_password_of_a_url() {
        let text = "url: postgres://jada:hun:ter2@db/jada";
        let found = find(text);
        assert_eq!(found.len(), 1);
        assert_eq!(&text[found[0].at.clone()], "hun:ter2");
    }

    #[test]
    fn masks_in_place() {
        let text =
            format!("a: |\n  {KEY_BEGIN}RSA {KEY_LABEL}\n  MIIE\n  -----END RSA {KEY_LABEL}\nb: é");
        let found = find(&text);
        assert_eq!(found.len(), 1);
        let masked = mask(&text, found.iter().map(|found| &found.at));
        assert_eq!(masked.len(), text.len());
        assert!(!masked.contains("MIIE") && masked.ends_with("\nb: é"), "{masked}");
        assert_eq!(masked.lines().count(), text.lines().count());
        assert_eq!(find(&masked), []);
    }

    #[test]
    fn tells_variables_by_name() {
        for name in ["API_TOKEN", "token", "DB_PASSWORD", "CLIENT_SECRET", "STRIPE_KEY", "API_KEY"]
        {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["TARGET", "KEY", "TOKENS", "PASSWORD_FILE", "MONKEY", "TOKEN_URL", "KEYBOARD"]
        {
            assert!(!is_secret_name(name), "{name}");
        }
        for value in ["", "{{env.X}}", "$X", "${X}", "/run/secrets/x", "./x", "<redacted>"] {
            assert!(is_reference(value), "{value}");
        }
        assert!(!is_reference("hunter2"));
    }
}
