//! The journal, read by `journalctl -o json`.
//!
//! Owns the program's arguments and end, the bounds on what is read, and what of an entry matters. Refuses
//! to keep a cursor, to look for anything, and to follow: a page is what is there now.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::bus::Scope;
use super::unit::full_name;
use crate::clock::{Clock, within};

/// Longest time that a page may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most bytes that are read for a page.
const PAGE_MAX: usize = 4 * 1024 * 1024;

/// Longest entry; what is longer is passed over.
const ENTRY_MAX: usize = 512 * 1024;

/// Most that is read of what the program complains of.
const STDERR_MAX: u64 = 4096;

/// The fields that matter here; the cursor and the time come with any.
const FIELDS: &str =
    "MESSAGE,PRIORITY,_SYSTEMD_UNIT,_SYSTEMD_USER_UNIT,UNIT,USER_UNIT,SYSLOG_IDENTIFIER,_COMM";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Only entries of and about this unit.
    pub unit: Option<String>,
    /// Whose unit it is.
    pub scope: Scope,
    /// Where to begin.
    pub from: From,
    /// Most entries of a page.
    pub most: usize,
    /// Where the journal is, if not where systemd has it.
    pub directory: Option<PathBuf>,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// Behind the entry of this cursor.
    Cursor(String),
    /// At an instant.
    Since(Timestamp),
    /// So many entries before the end.
    Tail(usize),
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was written.
    pub at: Timestamp,
    /// How grave it is: from 0, an emergency, to 7, a programmer's note.
    pub priority: Option<u8>,
    /// The unit that wrote it, or that the manager writes about.
    pub unit: Option<String>,
    /// The program that wrote it.
    pub program: Option<String>,
    /// The text. It is another's: nobody has screened it.
    pub message: String,
    /// Where it is.
    pub cursor: String,
}

/// Entries, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Behind the last entry that was read; `None` where none was.
    pub cursor: Option<String>,
    /// There are more.
    pub more: bool,
    /// The journal does not know the cursor: it was begun anew, and what came in between is not known.
    pub lost: bool,
    /// Why entries may be missing, with the way out.
    pub partial: Option<String>,
}

/// Reads a page.
///
/// # Errors
/// Why there is none, with the way out.
pub async fn read(ask: &Ask, clock: &dyn Clock) -> Result<Page, String> {
    let reading = async {
        match page(ask).await {
            Err(words) if is_foreign(&words) && matches!(ask.from, From::Cursor(_)) => {
                let newest = Ask { from: From::Tail(1), ..ask.clone() };
                let page = page(&newest).await?;
                Ok(Page { entries: Vec::new(), lost: true, ..page })
            }
            read => read,
        }
    };
    let read = within(clock, PATIENCE, reading).await;
    read.unwrap_or_else(|| Err(format!("journalctl took longer than {} s", PATIENCE.as_secs())))
}

fn is_foreign(words: &str) -> bool {
    words.contains("to cursor")
}

async fn page(ask: &Ask) -> Result<Page, String> {
    let mut child = command(ask).spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            "there is no journalctl here; where logs are files, `log: { file: … }` reads them"
                .to_owned()
        }
        _ => format!("journalctl does not start: {error}"),
    })?;
    let stdout = child.stdout.take().expect("the output is piped");
    let stderr = child.stderr.take().expect("the complaints are piped");
    let (page, complaint) = tokio::join!(entries(stdout, ask.most, &mut child), text(stderr));
    let page = page.map_err(|error| format!("journalctl can't be read: {error}"))?;
    let status = child.wait().await.map_err(|error| format!("journalctl is lost: {error}"))?;
    // Who has enough ends it, and then its status says nothing.
    if !status.success() && !page.more {
        return Err(complaint
            .lines()
            .last()
            .unwrap_or("journalctl fails without a word")
            .to_owned());
    }
    let partial = hidden(&complaint);
    Ok(Page { partial, ..page })
}

fn command(ask: &Ask) -> Command {
    let mut command = Command::new("journalctl");
    command.args(["--no-pager", "--all", "--output=json"]).arg(format!("--output-fields={FIELDS}"));
    if let Some(unit) = &ask.unit {
        let key = if ask.scope == Scope::User { "--user-unit" } else { "--unit" };
        command.arg(format!("{key}={}", full_name(unit)));
    } else if ask.scope == Scope::User {
        command.arg("--user");
    }
    if let Some(directory) = &ask.directory {
        command.arg("--directory").arg(directory);
    }
    match &ask.from {
        From::Cursor(cursor) => command.arg(format!("--after-cursor={cursor}")),
        From::Since(at) => command.arg(format!("--since=@{}", at.as_second())),
        From::Tail(entries) => command.arg(format!("--lines={entries}")),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Its words are looked at, so they must be the ones that are known.
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").kill_on_drop(true);
    command.envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
    command
}

/// Reads entries until there are enough, and ends the program then.
async fn entries(
    stdout: impl AsyncRead + Unpin,
    most: usize,
    child: &mut Child,
) -> std::io::Result<Page> {
    let mut lines = BufReader::new(stdout);
    let (mut page, mut taken) = (Page::default(), 0);
    while let Some(line) = line(&mut lines).await? {
        taken += line.len();
        if page.entries.len() == most || taken > PAGE_MAX {
            page.more = true;
            // It may have ended by itself meanwhile.
            let _gone = child.start_kill();
            break;
        }
        page.entries.extend(entry(&line));
    }
    page.cursor = page.entries.last().map(|entry| entry.cursor.clone());
    Ok(page)
}

/// The next line, empty where it is too long; `None` at the end.
async fn line(lines: &mut BufReader<impl AsyncRead + Unpin>) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut is_long = false;
    loop {
        let piece = lines.fill_buf().await?;
        if piece.is_empty() {
            return Ok((!line.is_empty() || is_long).then_some(line));
        }
        let end = piece.iter().position(|byte| *byte == b'\n');
        let used = end.unwrap_or(piece.len());
        if line.len() + used > ENTRY_MAX {
            is_long = true;
            line = Vec::new();
        }
        if !is_long {
            line.extend_from_slice(&piece[..used]);
        }
        lines.consume(used + usize::from(end.is_some()));
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

/// An entry as it is printed. A field that was written twice is a list, bytes are a list of numbers.
#[derive(Deserialize)]
struct Printed {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    micros: String,
    #[serde(rename = "MESSAGE", default)]
    message: Json,
    #[serde(rename = "PRIORITY", default)]
    priority: Json,
    #[serde(rename = "UNIT", default)]
    about: Json,
    #[serde(rename = "USER_UNIT", default)]
    about_users: Json,
    #[serde(rename = "_SYSTEMD_USER_UNIT", default)]
    users: Json,
    #[serde(rename = "_SYSTEMD_UNIT", default)]
    unit: Json,
    #[serde(rename = "SYSLOG_IDENTIFIER", default)]
    identifier: Json,
    #[serde(rename = "_COMM", default)]
    program: Json,
}

/// Reads an entry; what is none, such as `-- No entries --`, is passed over.
fn entry(line: &[u8]) -> Option<Entry> {
    let printed: Printed = serde_json::from_slice(line).ok()?;
    let micros = printed.micros.parse().ok()?;
    let units = [&printed.about, &printed.about_users, &printed.users, &printed.unit];
    Some(Entry {
        at: Timestamp::from_microsecond(micros).ok()?,
        priority: field(&printed.priority).and_then(|text| text.parse().ok()),
        unit: units.into_iter().find_map(field),
        program: field(&printed.identifier).or_else(|| field(&printed.program)),
        message: field(&printed.message).unwrap_or_default(),
        cursor: printed.cursor,
    })
}

fn field(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Array(items) => {
            let byte = |item: &Json| item.as_u64().and_then(|byte| u8::try_from(byte).ok());
            match items.iter().map(byte).collect::<Option<Vec<u8>>>() {
                Some(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                None => items.iter().rev().find_map(field),
            }
        }
        _ => None,
    }
}

async fn text(stderr: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    let mut limited = stderr.take(STDERR_MAX);
    // What can't be read of a complaint is not worth another one.
    let _as_far_as_it_goes = limited.read_to_end(&mut bytes).await;
    let mut rest = limited.into_inner();
    // Who writes more must not wait for ever.
    let _ignored = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether the program says that it does not show everything.
fn hidden(complaint: &str) -> Option<String> {
    if complaint.contains("not seeing messages") || complaint.contains("insufficient permissions") {
        let words = "the daemon's user may not read the whole journal; add it to the group \
                     systemd-journal";
        return Some(words.to_owned());
    }
    let none = complaint.lines().find(|line| line.contains("No journal files were"));
    none.map(|_| "there are no journal files; is systemd-journald running?".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_as_they_are_printed() {
        let told = |fields: &str| {
            let line = format!(
                r#"{{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1700000000000000"{fields}}}"#
            );
            let entry = entry(line.as_bytes()).unwrap();
            assert_eq!((entry.at.as_second(), entry.cursor.as_str()), (1_700_000_000, "s=1"));
            (entry.priority, entry.unit, entry.program, entry.message)
        };
        let text = |text: &str| Some(text.to_owned());
        for (fields, expected) in [
            ("", (None, None, None, String::new())),
            (r#","MESSAGE":"a\nb","PRIORITY":"3""#, (Some(3), None, None, "a\nb".to_owned())),
            // Bytes that are no text, and a field that was given twice.
            (r#","MESSAGE":[104,105,255]"#, (None, None, None, "hi\u{fffd}".to_owned())),
            (r#","MESSAGE":["one","two"]"#, (None, None, None, "two".to_owned())),
            (r#","MESSAGE":null"#, (None, None, None, String::new())),
            (
                // The manager writes about another unit.
                r#","_SYSTEMD_UNIT":"init.scope","UNIT":"a.service","_COMM":"systemd""#,
                (None, text("a.service"), text("systemd"), String::new()),
            ),
            (
                r#","_SYSTEMD_UNIT":"b.service","SYSLOG_IDENTIFIER":"sh","_COMM":"x""#,
                (None, text("b.service"), text("sh"), String::new()),
            ),
        ] {
            assert_eq!(told(fields), expected, "{fields}");
        }
        for line in ["-- No entries --", "", "{}", "{\"__CURSOR\":1}"] {
            assert_eq!(entry(line.as_bytes()), None);
        }
    }

    #[tokio::test]
    async fn an_entry_that_is_too_long_is_passed_over_and_the_next_one_is_read() {
        let text = format!("first\n{}\nlast", "x".repeat(ENTRY_MAX + 1));
        let mut lines = BufReader::new(text.as_bytes());
        let mut read = Vec::new();
        while let Some(line) = line(&mut lines).await.unwrap() {
            read.push(String::from_utf8(line).unwrap());
        }
        assert_eq!(read, ["first", "", "last"]);
    }

    #[test]
    fn a_complaint_says_that_something_is_hidden() {
        let hint = "Hint: You are currently not seeing messages from other users and the system.";
        assert!(hidden(hint).unwrap().contains("systemd-journal"));
        assert!(hidden("No journal files were found.\n").is_some());
        assert_eq!(hidden(""), None);
    }
}
