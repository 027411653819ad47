//! `auth add`: declares a credential in `jada.yaml`.
//!
//! Owns the text and where it goes, and the advice that comes before a consent. Refuses to write what the
//! settings' own reading refuses, and to take a secret: only the place where one is kept.

use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use super::desk::{Desk, line};
use super::text::{self, Entry};
use crate::cli::Session;
use crate::cli::exit::{Error, Exit, Result};
use crate::cli::print::note;
use crate::model::CredentialName;
use crate::spec;
use crate::yaml::render;

/// Declares a credential in jada.yaml, and says what comes next.
///
/// What is written is checked first as jadactl validate would. A PLACE is a file's path, env:VARIABLE, or
/// systemd:NAME: where a secret is kept, never the secret.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Keys of the declaration")]
pub(super) struct AddArgs {
    /// What jobs will call it: google, or google/ops
    #[arg(value_parser = CredentialName::parse, help_heading = "Arguments")]
    name: CredentialName,
    /// Who issues it
    #[arg(long, value_name = "PROVIDER", help_heading = "Options")]
    provider: ProviderWord,
    /// Print the declaration instead of writing it
    #[arg(long, help_heading = "Options")]
    print: bool,
    /// A line on what it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Hosts that may see it
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    hosts: Vec<String>,
    /// What is asked for: spreadsheets, drive.file
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// The account that consents
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// google: the client as JSON, as Google's console hands it out
    #[arg(long, value_name = "PLACE")]
    client: Option<String>,
    /// The client's public value
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The client's secret
    #[arg(long, value_name = "PLACE")]
    client_secret: Option<String>,
    /// google: its consent screen is external and in testing, so that each consent ends after 7 days
    #[arg(long)]
    testing: bool,
    /// oauth2: the server, by its metadata
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// oauth2: the token endpoint
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
    /// oauth2: where a person consents
    #[arg(long, value_name = "URL")]
    auth_url: Option<String>,
    /// oauth2: where a device code is got
    #[arg(long, value_name = "URL")]
    device_url: Option<String>,
    /// oauth2: where a token is revoked
    #[arg(long, value_name = "URL")]
    revoke_url: Option<String>,
    /// oauth2: how tokens are got, refresh or client_credentials
    #[arg(long, value_name = "GRANT")]
    grant: Option<String>,
    /// google_service_account, github_app: the key
    #[arg(long, value_name = "PLACE")]
    key: Option<String>,
    /// google_service_account: the user it acts for
    #[arg(long, value_name = "USER")]
    subject: Option<String>,
    /// static: a bearer token
    #[arg(long, value_name = "PLACE")]
    bearer: Option<String>,
    /// When a key or token ends: 2027-01-31
    #[arg(long, value_name = "DATE")]
    expires_on: Option<String>,
    /// env: the variable
    #[arg(long, value_name = "VARIABLE")]
    variable: Option<String>,
    /// file: the file that somebody else renews
    #[arg(long, value_name = "FILE")]
    path: Option<String>,
    /// exec: the program and its arguments, split at blanks
    #[arg(long, value_name = "COMMAND")]
    run: Option<String>,
    /// aws: the public half of the keys
    #[arg(long, value_name = "PLACE")]
    access_key_id: Option<String>,
    /// aws: the secret half
    #[arg(long, value_name = "PLACE")]
    secret_access_key: Option<String>,
    /// aws: the region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// github_app: the app
    #[arg(long, value_name = "NUMBER")]
    app_id: Option<u64>,
    /// github_app: its installation
    #[arg(long, value_name = "NUMBER")]
    installation_id: Option<u64>,
}

/// Who issues a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum ProviderWord {
    /// A person at Google
    Google,
    /// A service account at Google
    GoogleServiceAccount,
    /// Any OAuth 2.0 server
    Oauth2,
    /// A token that is issued by hand
    Static,
    /// A variable of the daemon
    Env,
    /// A file that somebody else renews
    File,
    /// A program that prints a token
    Exec,
    /// Amazon Web Services
    Aws,
    /// A GitHub App
    GithubApp,
}

impl ProviderWord {
    fn key(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::GoogleServiceAccount => "google_service_account",
            Self::Oauth2 => "oauth2",
            Self::Static => "static",
            Self::Env => "env",
            Self::File => "file",
            Self::Exec => "exec",
            Self::Aws => "aws",
            Self::GithubApp => "github_app",
        }
    }
}

/// No file's name is longer, and many a token is.
const NAME_MAX: usize = 64;

/// What was declared, as JSON has it.
#[derive(Serialize)]
struct Added<'a> {
    name: &'a CredentialName,
    file: Option<&'a Path>,
    declaration: &'a str,
    next: &'a str,
}

pub(super) fn add(session: &mut Session, desk: &Desk, args: &AddArgs) -> Result<Exit> {
    let name = &args.name;
    if desk.declarations.contains_key(name) {
        let error = Error::new(Exit::BadNews, format!("{name} is declared already"));
        return Err(error.hint(format!("jadactl auth status {name} tells how it stands")));
    }
    let path = session.global.config.clone().unwrap_or_else(|| PathBuf::from(spec::FILE));
    let absent = absent(args, path.parent().unwrap_or(Path::new("")))?;
    let (provider, entries) = advised(args)?;
    let declaration = text::declaration(name, provider.key(), &entries, &outer(args));
    let next = match provider {
        ProviderWord::Google => format!("jadactl auth login {name}"),
        ProviderWord::Oauth2 if args.grant.as_deref() != Some("client_credentials") => {
            format!("jadactl auth login {name}")
        }
        _ => format!("jadactl auth refresh {name}"),
    };
    let file = if args.print { None } else { Some(write(&path, &declaration)?) };
    if session.print.json {
        let file = file.as_deref();
        session.print.json(&Added { name, file, declaration: &declaration, next: &next })?;
        return Ok(Exit::Done);
    }
    match &file {
        None => session.print.data().write_all(declaration.as_bytes())?,
        Some(file) => session.print.line(&format!("{name} is declared in {}", file.display()))?,
    }
    for file in absent {
        let file = file.display();
        session.print.note(&format!("first: put the secret into {file} (chmod 600)"))?;
    }
    session
        .print
        .note(&format!("next: {next}\na daemon that runs reads jada.yaml at its next start"))?;
    Ok(Exit::Done)
}

/// The provider and its keys, after the advice that comes before a consent.
fn advised(args: &AddArgs) -> Result<(ProviderWord, Vec<Entry>)> {
    let mut entries = entries(args);
    if args.provider != ProviderWord::Google {
        return Ok((args.provider, entries));
    }
    note(&format!(
        "a service account is the better way for jobs that nobody watches: no person\n\
         has to consent, nothing ends after 7 days of testing, 6 months of disuse or a\n\
         new password, and no client can be deleted. Share the sheet or folder with\n\
         its address, and:\n  \
         jadactl auth add {} --provider google_service_account --scopes {} --key FILE",
        args.name,
        if args.scopes.is_empty() { "spreadsheets".to_owned() } else { args.scopes.join(",") }
    ));
    if !std::io::stdin().is_terminal() {
        if !args.testing {
            note(
                "say --testing if its consent screen is external and in testing: 7 days are all then",
            );
        }
        return Ok((ProviderWord::Google, entries));
    }
    note("\nthe path of a service account's key, or nothing to go on with a person's consent:");
    let key = line()?.trim().to_owned();
    if !key.is_empty() {
        entries.retain(|entry| entry.key == "scopes");
        entries.push(Entry::place("key", &key));
        return Ok((ProviderWord::GoogleServiceAccount, entries));
    }
    if !args.testing {
        note("is its consent screen external, and its publishing status Testing? [y/N]");
        if matches!(line()?.trim(), "y" | "Y" | "yes") {
            entries.push(Entry::plain("testing", true));
        }
    }
    Ok((ProviderWord::Google, entries))
}

/// The keys beside the provider.
fn outer(args: &AddArgs) -> Vec<Entry> {
    let mut outer = Vec::new();
    outer.extend(args.description.as_ref().map(|text| Entry::text("description", text)));
    if !args.hosts.is_empty() {
        outer.push(Entry::list("hosts", &args.hosts));
    }
    outer
}

/// The keys of the provider, as they were given: whether they fit each other, the reading says.
fn entries(args: &AddArgs) -> Vec<Entry> {
    let texts = [
        ("account", &args.account),
        ("client_id", &args.client_id),
        ("issuer", &args.issuer),
        ("token_url", &args.token_url),
        ("auth_url", &args.auth_url),
        ("device_url", &args.device_url),
        ("revoke_url", &args.revoke_url),
        ("grant", &args.grant),
        ("subject", &args.subject),
        ("variable", &args.variable),
        ("path", &args.path),
        ("region", &args.region),
        ("expires_on", &args.expires_on),
    ];
    let numbers = [("app_id", args.app_id), ("installation_id", args.installation_id)];
    let mut entries = Vec::new();
    for (key, text) in texts {
        entries.extend(text.as_ref().map(|text| Entry::text(key, text)));
    }
    for (key, place) in places(args) {
        entries.extend(place.as_ref().map(|place| Entry::place(key, place)));
    }
    for (key, number) in numbers {
        entries.extend(number.map(|number| Entry::plain(key, number)));
    }
    if let Some(run) = &args.run {
        let words: Vec<String> = run.split_whitespace().map(str::to_owned).collect();
        entries.push(Entry::list("run", &words));
    }
    if !args.scopes.is_empty() {
        entries.push(Entry::list("scopes", &args.scopes));
    }
    if args.testing {
        entries.push(Entry::plain("testing", true));
    }
    entries
}

fn places(args: &AddArgs) -> [(&'static str, &Option<String>); 6] {
    [
        ("client", &args.client),
        ("client_secret", &args.client_secret),
        ("key", &args.key),
        ("bearer", &args.bearer),
        ("access_key_id", &args.access_key_id),
        ("secret_access_key", &args.secret_access_key),
    ]
}

/// The files that are to hold secrets and are not there yet. What is no file and does not look like the
/// name of one may be the secret itself, which must get neither into the settings nor into a message.
fn absent(args: &AddArgs, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut absent = Vec::new();
    for (key, place) in places(args) {
        let Some(place) = place else { continue };
        let elsewhere = ["env:", "systemd:", "~"].iter().any(|start| place.starts_with(start));
        let file = folder.join(place);
        if elsewhere || file.exists() {
            continue;
        }
        if !place.contains('/') && (!place.contains('.') || place.len() > NAME_MAX) {
            let flag = key.replace('_', "-");
            let message = format!(
                "what --{flag} names is no file, and may be the secret itself: not written"
            );
            let hint = "write it to a file and give its path (./NAME); or env:NAME, systemd:NAME";
            return Err(Error::usage(message).hint(hint));
        }
        absent.push(file);
    }
    Ok(absent)
}

/// Writes the settings with the declaration in them, once they have been read without an error.
fn write(path: &Path, declaration: &str) -> Result<PathBuf> {
    let failed = |error: std::io::Error| {
        Error::new(Exit::BadNews, format!("can't write {}: {error}", path.display()))
    };
    let before = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let Some(after) = text::inserted(&before, declaration) else {
        let message = format!("`credentials` in {} is not written as a block", path.display());
        let hint = "--print prints the declaration, to be put there by hand";
        return Err(Error::new(Exit::BadNews, message).hint(hint));
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    if path.exists() {
        // With its owner's modes.
        fs::copy(path, &beside).map_err(failed)?;
    }
    fs::write(&beside, &after).map_err(failed)?;
    let read = spec::config::read(&beside);
    if !read.is_good() {
        let _gone = fs::remove_file(&beside);
        let found = render::human(&read.diagnostics, false);
        note(&found.replace(&*beside.to_string_lossy(), &path.to_string_lossy()));
        let message =
            format!("{} would not be right with it, so nothing was written", path.display());
        return Err(Error::usage(message));
    }
    fs::rename(&beside, path).map_err(failed)?;
    Ok(path.to_owned())
}
