//! The text of a declaration, and its place in `jada.yaml`.
//!
//! Owns quoting and indentation, so that all comments and orders of the file stay as they are. Refuses to
//! know which keys there are.

use std::fmt::Display;

use crate::model::CredentialName;

/// A key with its value as YAML.
pub(super) struct Entry {
    pub(super) key: &'static str,
    value: String,
}

impl Entry {
    pub(super) fn text(key: &'static str, text: &str) -> Self {
        Self { key, value: quoted(text) }
    }

    pub(super) fn plain(key: &'static str, value: impl Display) -> Self {
        Self { key, value: value.to_string() }
    }

    pub(super) fn list(key: &'static str, items: &[String]) -> Self {
        let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
        Self { key, value: format!("[{}]", items.join(", ")) }
    }

    /// Where a secret is kept: `env:NAME`, `systemd:NAME`, or a file's path.
    pub(super) fn place(key: &'static str, place: &str) -> Self {
        let (kind, what) = match place.split_once(':') {
            Some(("env", name)) => ("env", name),
            Some(("systemd", name)) => ("systemd", name),
            _ => ("file", place),
        };
        Self { key, value: format!("{{ {kind}: {} }}", quoted(what)) }
    }
}

/// The declaration as a block that is indented by two.
pub(super) fn declaration(
    name: &CredentialName,
    provider: &str,
    entries: &[Entry],
    outer: &[Entry],
) -> String {
    let mut lines = vec![format!("  {name}:")];
    lines.extend(outer.iter().map(|Entry { key, value }| format!("    {key}: {value}")));
    let empty = if entries.is_empty() { " {}" } else { "" };
    lines.push(format!("    {provider}:{empty}"));
    lines.extend(entries.iter().map(|Entry { key, value }| format!("      {key}: {value}")));
    lines.join("\n") + "\n"
}

/// The settings with a declaration more; `None` where `credentials` is not written as a block.
pub(super) fn inserted(before: &str, declaration: &str) -> Option<String> {
    let is_key = |line: &&str| line.starts_with("credentials:");
    let Some(at) = before.lines().position(|line| is_key(&line)) else {
        let gap = match before {
            "" => "",
            text if text.ends_with('\n') => "\n",
            _ => "\n\n",
        };
        return Some(format!("{before}{gap}credentials:\n{declaration}"));
    };
    let lines: Vec<&str> = before.lines().collect();
    let rest = lines[at].trim_start_matches("credentials:").trim();
    if !(rest.is_empty() || rest.starts_with('#')) {
        return None;
    }
    let told = |line: &&&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let first = lines[at + 1..].iter().find(told);
    let indent = first.map_or(2, |line| line.len() - line.trim_start().len());
    let mut after: Vec<String> = lines[..=at].iter().map(|line| (*line).to_owned()).collect();
    let indent = if indent == 0 { 2 } else { indent };
    after.extend(declaration.lines().map(|line| format!("{}{}", " ".repeat(indent), &line[2..])));
    after.extend(lines[at + 1..].iter().map(|line| (*line).to_owned()));
    Some(after.join("\n") + "\n")
}

/// Plain where nobody could read it as something else, and as JSON has it otherwise.
fn quoted(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-@".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.len() > 3;
    let is_word = ["true", "false", "null"].contains(&text.to_ascii_lowercase().as_str());
    if plain && !is_word { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> String {
        let name = CredentialName::parse("google/ops").unwrap();
        let scopes = ["spreadsheets".to_owned(), "yes".to_owned()];
        declaration(
            &name,
            "google",
            &[Entry::place("client", "env:CLIENT"), Entry::list("scopes", &scopes)],
            &[Entry::text("description", "for: sheets")],
        )
    }

    #[test]
    fn the_rest_of_the_file_stays_as_it_is() {
        insta::assert_snapshot!(inserted("", &sample()).unwrap(), @r#"
        credentials:
          google/ops:
            description: "for: sheets"
            google:
              client: { env: CLIENT }
              scopes: [spreadsheets, "yes"]
        "#);
        let before = "listen: 127.0.0.1:1 # here\ncredentials: # all of them\n    # one\n    \
                      other: { env: { variable: TOKEN } }\nnode: { name: a }\n";
        insta::assert_snapshot!(inserted(before, &sample()).unwrap(), @r#"
        listen: 127.0.0.1:1 # here
        credentials: # all of them
            google/ops:
              description: "for: sheets"
              google:
                client: { env: CLIENT }
                scopes: [spreadsheets, "yes"]
            # one
            other: { env: { variable: TOKEN } }
        node: { name: a }
        "#);
        assert_eq!(inserted("credentials: { a: { env: { variable: T } } }\n", &sample()), None);
    }
}
