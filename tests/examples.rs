//! Everything that the repository says about its YAML is true: the schemas are those of the code, and
//! every file in `jobs.d/` and `examples/` is good, carries its modeline and fits its schema.
//!
//! `UPDATE=1 cargo test --test examples` writes the schemas anew.

#![expect(clippy::unwrap_used, reason = "a test may stop at what must not happen")]

use std::fs;
use std::path::{Path, PathBuf};

use jada::spec::{self, schema};
use jada::yaml::{Decode, Decoder, Source, parse};
use serde_json::Value as Json;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The YAML files of a folder of the repository.
fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has no YAML");
    files
}

/// The documents of a file as JSON.
fn documents(text: &str) -> Vec<Json> {
    let source = Source::new("test.yaml", text);
    let (documents, diagnostics) = parse(&source);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let mut cx = Decoder::new(&source);
    documents.iter().map(|document| Json::decode(&document.root, &mut cx).unwrap()).collect()
}

fn validator(schema: &str) -> jsonschema::Validator {
    let schema: Json = serde_json::from_str(schema).unwrap();
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is one");
    jsonschema::validator_for(&schema).unwrap()
}

#[test]
fn the_schemas_are_those_of_the_code() {
    for (name, wanted) in [("job", schema::job()), ("config", schema::config())] {
        let path = root().join(format!("schemas/{name}.schema.json"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &wanted).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == wanted, "{} is stale: UPDATE=1 cargo test --test examples", path.display());
    }
}

#[test]
fn every_file_is_good() {
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    for config in ["jada.yaml", "examples/jada.yaml"] {
        let config = spec::config::read(&root().join(config));
        let checked = spec::check(&[], &config, now);
        let errors: Vec<_> = checked.diagnostics.iter().filter(|d| d.is_error()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        assert!(checked.jobs >= 4, "{} jobs", checked.jobs);
    }
}

#[test]
fn every_file_fits_its_schema_and_names_it() {
    let (job, config) = (validator(&schema::job()), validator(&schema::config()));
    let jobs = [("jobs.d", ".."), ("examples/jobs.d", "../..")].map(|(folder, up)| {
        let modeline = format!("# yaml-language-server: $schema={up}/schemas/job.schema.json\n");
        (folder, modeline, &job)
    });
    let settings = (
        "examples",
        "# yaml-language-server: $schema=../schemas/config.schema.json\n".to_owned(),
        &config,
    );
    for (folder, modeline, validator) in jobs.into_iter().chain([settings]) {
        for path in yaml_files(folder) {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with(&modeline), "{} must open with {modeline}", path.display());
            for document in documents(&text) {
                let found: Vec<String> =
                    validator.iter_errors(&document).map(|error| error.to_string()).collect();
                assert!(found.is_empty(), "{}: {found:#?}", path.display());
            }
        }
    }
}

/// Jobs without their kind, good or bad in form. What is wrong in meaning only is no schema's business.
const FORMS: &[(bool, &str)] = &[
    (true, "name: a"),
    (true, "name: 17"),
    (true, "enabled: false"),
    (true, "labels: { team: data, tier: 1, new: true }"),
    (true, "schedule: \"15 2 * * *\""),
    (true, "schedule: [\"15 2 * * *\", { every: 5m }]"),
    (true, "schedule: { at: [2099-01-01, 2099-02-01T09:00] }"),
    (true, "schedule: { cron: 15 2 * * *, timezone: UTC, jitter: 5m, dst: { gap: shift } }"),
    (true, "catch_up: none"),
    (true, "catch_up: { mode: all, window: 2h, max: 5 }"),
    (true, "overlap: { mode: queue_all, max: 5 }"),
    (true, "deadline: 1h30m"),
    (true, "timeout: { grace: 5s }"),
    (true, "retry: 3"),
    (true, "retry: { attempts: 3, on: lost }"),
    (true, "retry: { attempts: 3, on: [lost, transient], backoff: { factor: 1.5, jitter: 30% } }"),
    (true, "env: { A: b, PORT: 80 }"),
    (true, "limits: { memory: 64MiB, open_files: 10 }"),
    (true, "alert: { failures: 2, within: 2h }"),
    (true, "params: { a: { b: [1, null] } }"),
    (true, "credentials: { api: test/one }"),
    (true, "credentials: { api: { use: test/one, env: API_TOKEN, scopes: a, min_ttl: 10m } }"),
    (true, "credentials: { api: { use: test, file: API_TOKEN_FILE, scopes: [a, b] } }"),
    (false, "name: Nightly"),
    (false, "name: [a]"),
    (false, "enabled: no"),
    (false, "enabled: 1"),
    (false, "labels: [a]"),
    (false, "schedule: 5"),
    (false, "schedule: { timezone: UTC }"),
    (false, "schedule: { cron: 15 2 * * *, every: 5m }"),
    (false, "schedule: { cron: 15 2 * * *, dst: { gap: shrug } }"),
    (false, "schedule: { every: 5 }"),
    (false, "catch_up: some"),
    (false, "catch_up: { window: 2h }"),
    (false, "overlap: 1"),
    (false, "overlap: { mode: queue_all, max: 0 }"),
    (false, "deadline: 90"),
    (false, "deadline: 1 hour"),
    (false, "timeout: { after: 5m, grade: 5s }"),
    (false, "retry: 0"),
    (false, "retry: { backoff: { factor: 2 } }"),
    (false, "retry: { attempts: 3, backoff: { factor: 0.5 } }"),
    (false, "retry: { attempts: 3, backoff: { jitter: 0.3 } }"),
    (false, "env: { A: [b] }"),
    (false, "limits: { memory: 64 }"),
    (false, "limits: { open_files: many }"),
    (false, "alert: { failures: 0 }"),
    (false, "params: [1]"),
    (false, "credentials: [test/one]"),
    (false, "credentials: { api: a/b/c }"),
    (false, "credentials: { api: { env: API_TOKEN } }"),
    (false, "credentials: { api: { use: test/one, env: 1A } }"),
    (false, "credentials: { api: { use: test/one, as: file } }"),
    (false, "tiemout: 5m"),
    (false, "health: { checks: [] }"),
];

#[test]
fn decoder_and_schema_agree() {
    let (validator, folder) = (validator(&schema::job()), tempfile::tempdir().unwrap());
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    let declared = "oauth2: { issuer: https://id.example.com, client_id: jada }";
    let declared = format!("credentials: {{ test: {{ {declared} }}, test/one: {{ {declared} }} }}");
    fs::write(folder.path().join("jada.yaml"), declared).unwrap();
    let config = spec::config::read(&folder.path().join("jada.yaml"));
    assert!(config.is_good(), "{:#?}", config.diagnostics);
    let path = folder.path().join("job.yaml");
    for (good, keys) in FORMS {
        let text = format!("{keys}\ncommand: {{ run: [\"true\"] }}\n");
        fs::write(&path, &text).unwrap();
        let checked = spec::check(std::slice::from_ref(&path), &config, now);
        assert_eq!(!checked.has_errors(), *good, "decoder on {keys}: {:#?}", checked.diagnostics);
        let fits = validator.is_valid(&documents(&text)[0]);
        assert_eq!(fits, *good, "schema on {keys}");
    }
}
