//! `sync infer`: writes the column table from a source.
//!
//! Owns what it is asked of (a data file, a job, a job's YAML whose columns are not written yet) and how the
//! table reads. Refuses to guess: that is `guess`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::desk;
use super::guess::{Guess, guess};
use crate::cli::Session;
use crate::cli::exit::{Error, Exit, Result};
use crate::clock::{Clock, SystemClock};
use crate::kinds::sync::desk::{Answer, Ask};
use crate::spec::{self, Job, Settings};
use crate::web::words::count;
use crate::yaml::{Decode, Decoder, Source, parse};

/// Bytes in which a first line is looked for.
const HEAD_MAX: u64 = 64 << 10;

/// Looks at some rows of a source, and writes a table of columns for them.
///
/// The table goes to stdout as YAML, to be put under `sync:` and looked through: a type is a guess over the
/// rows that were read.
#[derive(Debug, clap::Args)]
pub(super) struct InferArgs {
    /// A CSV or JSONL file, a YAML file with a job (its `columns` and `mode` may be missing), or a job
    #[arg(long, value_name = "FILE|JOB")]
    source: String,
    /// Rows to look at
    #[arg(long, value_name = "N", default_value_t = 1000)]
    rows: usize,
}

pub(super) async fn infer(session: &mut Session, args: &InferArgs) -> Result<Exit> {
    let job = job(session, &args.source)?;
    let answer = desk::ask(session, &job, Ask::Infer { rows: args.rows.max(1) }).await?;
    let Answer::Sample(sample) = &answer else { return Err(desk::odd(&answer)) };
    let guesses = guess(sample);
    if guesses.is_empty() {
        return Err(Error::new(
            Exit::BadNews,
            "the source gave no row, so there is nothing to see",
        ));
    }
    if session.print.json {
        session.print.json(&guesses)?;
    } else {
        for line in lines(&guesses) {
            session.print.line(&line)?;
        }
        let rows = count(sample.rows.len() as u64, "row");
        session.print.note(&format!("guessed from {rows}: look it through before it is used"))?;
    }
    Ok(Exit::Done)
}

/// The job that is asked: one of the catalog, or one made for a file.
fn job(session: &mut Session, source: &str) -> Result<Arc<Job>> {
    let path = Path::new(source);
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let settings = session.config()?.settings;
    let here = std::path::absolute(path)?;
    let document = match ending {
        "csv" | "tsv" | "txt" | "jsonl" | "ndjson" | "json" | "yaml" | "yml" if !path.is_file() => {
            return Err(Error::new(Exit::Refused, format!("there is no file {source}")));
        }
        _ if !path.is_file() => return desk::job(session, source),
        "csv" | "tsv" | "txt" => {
            let mut head = Vec::new();
            File::open(&here)?.take(HEAD_MAX).read_to_end(&mut head)?;
            let delimiter = delimiter(&head);
            json!({ "sync": { "source": { "csv": { "path": here, "delimiter": delimiter } } } })
        }
        "jsonl" | "ndjson" | "json" => {
            json!({ "sync": { "source": { "jsonl": { "path": here } } } })
        }
        "yaml" | "yml" => document(path)?,
        _ => {
            let message = format!("{source}: a file of an unknown kind");
            return Err(Error::usage(message).hint("give a .csv, .jsonl or .yaml file, or a job"));
        }
    };
    made(document, &settings)
}

/// What stands between the fields of the first line.
fn delimiter(text: &[u8]) -> &'static str {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let counted = [(",", b','), (";", b';'), ("\t", b'\t'), ("|", b'|')]
        .map(|(word, byte)| (first.split(|found| *found == byte).count() - 1, word));
    // The first of the most frequent ones.
    let most = counted.iter().rev().max_by_key(|(count, _)| *count);
    most.filter(|(count, _)| *count > 0).map_or(",", |(_, word)| word)
}

/// The first sync job of a YAML file.
fn document(path: &Path) -> Result<Json> {
    let shown = path.display().to_string();
    let source = Source::new(shown.clone(), std::fs::read_to_string(path)?);
    let (documents, wrong) = parse(&source);
    if let Some(first) = wrong.first() {
        let message = format!("{shown}: {}", first.message);
        return Err(Error::new(Exit::BadNews, message).hint(format!("jadactl validate {shown}")));
    }
    let mut cx = Decoder::new(&source);
    let mut jobs = documents.iter().filter_map(|document| Json::decode(&document.root, &mut cx));
    jobs.find(|job| job.pointer("/sync/source").is_some()).ok_or_else(|| {
        Error::new(Exit::BadNews, format!("{shown} has no job with `sync: {{ source: … }}`"))
    })
}

/// A job that only reads: with a column by which its cursor is known, and nowhere to write to.
fn made(mut document: Json, settings: &Settings) -> Result<Arc<Job>> {
    let source = document["sync"]["source"].take();
    let cursor = source.as_object().and_then(|kinds| kinds.values().next());
    let cursor = cursor.and_then(|section| section.pointer("/cursor/field")).cloned();
    let mode = if cursor.is_some() { "incremental" } else { "append" };
    let column = cursor.as_ref().and_then(Json::as_str).unwrap_or("infer").to_owned();
    let mut job = json!({
        "name": "infer",
        "working_dir": settings.base(),
        "sync": {
            "source": source,
            "columns": { column: { "type": "text" } },
            "destination": { "jsonl": { "path": "infer.jsonl" } },
            "mode": mode,
        },
    });
    for key in ["credentials", "params", "env", "working_dir"] {
        if let Some(value) = document.get(key) {
            job[key] = value.clone();
        }
    }
    if let Some(dir) = document.get("working_dir").and_then(Json::as_str) {
        job["working_dir"] = json!(settings.base().join(dir));
    }
    let folder = Folder::with(&job.to_string())?;
    let mut settings = settings.clone();
    settings.jobs_dir.clone_from(&folder.0);
    let now: Timestamp = SystemClock.now();
    let catalog = spec::load(&settings, now, None);
    if let Some(found) = catalog.diagnostics().find(|found| found.is_error()) {
        let error =
            Error::new(Exit::BadNews, format!("the source can't be read: {}", found.message));
        return Err(error.hint(found.help.clone().unwrap_or_default()));
    }
    let job = catalog.jobs.values().next().map(Arc::clone);
    job.ok_or_else(|| Error::new(Exit::BadNews, "the source makes no job"))
}

/// A folder with one job, gone with it.
struct Folder(std::path::PathBuf);

impl Folder {
    fn with(job: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("jadactl-infer-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        let folder = Self(path);
        std::fs::write(folder.0.join("infer.yaml"), job)?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in a folder for what is temporary does no harm.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

/// The table, as YAML.
fn lines(guesses: &[Guess]) -> Vec<String> {
    let mut lines = vec!["columns:".to_owned()];
    for guess in guesses {
        let mut parts = Vec::new();
        if guess.from != guess.name {
            parts.push(format!("from: {}", Json::from(guess.from.as_str())));
        }
        let kind = &guess.r#type;
        // A comma would end it in a mapping on one line.
        parts.push(if kind.contains(',') {
            format!("type: \"{kind}\"")
        } else {
            format!("type: {kind}")
        });
        if guess.zoneless {
            parts.push("zone: UTC".to_owned());
        }
        if guess.key {
            parts.push("key: true".to_owned());
        }
        let entry = format!("  {}: {{ {} }}", guess.name, parts.join(", "));
        lines.push(format!("{entry:<50}  # {}", remark(guess)));
    }
    lines
}

/// What was seen of a column.
fn remark(guess: &Guess) -> String {
    let mut words = Vec::new();
    match guess.rows - guess.values {
        0 if guess.unique && guess.rows > 1 => words.push("no two alike".to_owned()),
        0 => {}
        _ if guess.values == 0 => words.push("never a value".to_owned()),
        missing => words.push(format!("{missing} of {} without a value", guess.rows)),
    }
    if guess.broken > 0 {
        words.push(format!("{} could not be computed", guess.broken));
    }
    if guess.named > 1 {
        words.push("this header stands twice, so no column can be made of it".to_owned());
    }
    if guess.zoneless {
        words.push("which zone?".to_owned());
    }
    if !guess.examples.is_empty() {
        words.push(format!("such as {}", guess.examples.join(", ")));
    }
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::sync::desk::{Field, Sample};

    #[test]
    fn the_table_is_yaml_with_remarks() {
        let text = |text: &str| Field::Text(text.to_owned());
        let rows = [["B-1", "12.50", "2026-11-25 12:00:00", ""], ["B-2", "7", "", ""]];
        let sample = Sample {
            names: ["Booking #", "cost", "ETA", "note"].map(str::to_owned).to_vec(),
            rows: rows.map(|row| row.map(text).to_vec()).to_vec(),
        };
        let table = lines(&guess(&sample)).join("\n");
        let source = Source::new("t.yaml", table.clone());
        let (documents, wrong) = parse(&source);
        assert!(wrong.is_empty() && documents.len() == 1, "{wrong:?}");
        insta::assert_snapshot!(table, @r#"
        columns:
          booking: { from: "Booking #", type: text, key: true }  # no two alike; such as B-1, B-2
          cost: { type: "decimal(12,2)" }                   # no two alike; such as 12.50, 7
          eta: { from: "ETA", type: timestamp, zone: UTC }  # 1 of 2 without a value; which zone?; such as 2026-11-25 12:00:00
          note: { type: text }                              # never a value
        "#);
    }

    #[test]
    fn the_delimiter_is_what_stands_most_often() {
        for (text, expected) in
            [("a,b;c,d\n;;;;", ","), ("a;b", ";"), ("a\tb", "\t"), ("a", ","), ("", ",")]
        {
            assert_eq!(delimiter(text.as_bytes()), expected, "{text}");
        }
    }
}
