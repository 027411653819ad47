//! `notifiers`: who is told, as it is written in `jada.yaml`.
//!
//! Owns the keys and their checks: a notifier that could reach nobody is refused when it is read, not when
//! somebody should be told. Refuses to know how anybody is told (`alerts`), and never takes a secret: only the
//! place where one is kept.

mod sections;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::forms::Short;
use super::names::{CredentialText, NameText};
use crate::alerts::settings::{
    self, Email, Form, Given, Login, Notifier, Program, Rate, Tls, Way, Webhook,
};
use crate::alerts::template;
use crate::credentials::declare::section::Place;
use crate::credentials::declare::{SecretPlace, secret_place};
use crate::model::CredentialName;
use crate::yaml::decode::nearest;
use crate::yaml::decode::numbers::Seconds;
use crate::yaml::decode::values::OneOrMany;
use crate::yaml::{Code, Decoder, Located, Node, Span};
pub(super) use sections::{
    CommandSection, EmailSection, GivenForm, MethodWord, NotifierSection, TlsWord, WaySection,
    WebhookSection,
};

/// The longest that one try may take: the daemon counts a longer one as stuck.
const TIMEOUT_MAX: Duration = Duration::from_secs(90);

const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// The forms that have a name.
const FORMS: [&str; 4] = ["slack", "discord", "ntfy", "pagerduty"];

/// What is known when notifiers are read.
pub(super) struct Known<'a> {
    /// The folder that relative paths start at.
    pub(super) root: &'a Path,
    /// The declared notifiers, those with a mistake among them.
    pub(super) names: Vec<&'a str>,
    /// The declared credentials, and those whose declaration was refused.
    pub(super) credentials: Vec<&'a str>,
}

/// The notifiers in force. One with a mistake, which is told, is left out.
pub(super) fn read(
    entries: &[(Located<String>, NotifierSection)],
    known: &Known<'_>,
    cx: &mut Decoder,
) -> BTreeMap<Arc<str>, Notifier> {
    let mut notifiers = BTreeMap::new();
    for (name, section) in entries {
        let fallback = fallback((&name.value, &section.fallback), &known.names, cx);
        let mut reading = Reading { at: name.span, known, cx };
        let Some(way) = reading.way(&section.way) else { continue };
        let usual = match &way {
            // It pairs and groups by itself, and counts each message.
            Way::Webhook(webhook) if matches!(webhook.form, Form::Pagerduty { .. }) => {
                Rate { minute: 60, hour: 600 }
            }
            Way::Webhook(_) | Way::Email(_) | Way::Command(_) => Rate::default(),
        };
        let rate = section.rate.as_ref().map_or(usual, |rate| Rate {
            minute: rate.minute.map_or(usual.minute, |count| count.0),
            hour: rate.hour.map_or(usual.hour, |count| count.0),
        });
        notifiers.insert(Arc::from(name.value.as_str()), Notifier { way, fallback, rate });
    }
    notifiers
}

/// Names of notifiers; each that is none is told.
pub(super) fn named(
    given: &OneOrMany<Located<NameText>>,
    names: &[&str],
    cx: &mut Decoder,
) -> Vec<Arc<str>> {
    let mut known = Vec::new();
    for name in &given.0 {
        if names.contains(&name.value.0.as_str()) {
            known.push(Arc::from(name.value.0.as_str()));
            continue;
        }
        let message = format!("there is no notifier `{}`", name.value.0);
        let help = match nearest(&name.value.0, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "declare it in jada.yaml under `notifiers`".to_owned(),
        };
        cx.report(Code::UnknownNotifier, name.span, message).help(help);
    }
    known
}

fn fallback(
    (own, given): (&str, &OneOrMany<Located<NameText>>),
    names: &[&str],
    cx: &mut Decoder,
) -> Vec<Arc<str>> {
    if let Some(itself) = given.0.iter().find(|name| name.value.0 == own) {
        let message = format!("`{own}` can't stand in for itself");
        cx.report(Code::Contradiction, itself.span, message).help("name another notifier");
    }
    named(given, names, cx)
}

/// Reads one notifier.
struct Reading<'a> {
    /// Where its name stands.
    at: Span,
    known: &'a Known<'a>,
    cx: &'a mut Decoder,
}

impl Reading<'_> {
    fn way(&mut self, section: &WaySection) -> Option<Way> {
        match section {
            WaySection::Webhook(section) => {
                self.webhook(section).map(|webhook| Way::Webhook(Box::new(webhook)))
            }
            WaySection::Email(section) => {
                self.email(section).map(|email| Way::Email(Box::new(email)))
            }
            WaySection::Command(section) => self.command(section).map(Way::Command),
        }
    }

    fn webhook(&mut self, section: &WebhookSection) -> Option<Webhook> {
        let form = self.form(section);
        let url = self.url(section);
        let mut headers = Vec::new();
        for (name, given) in &section.headers.0 {
            if http::HeaderName::try_from(name.value.as_str()).is_err() {
                let message = format!("`{}` is no name of a header", name.value);
                self.cx.report(Code::BadName, name.span, message).help("write it like X-Api-Key");
            }
            headers.push((name.value.clone(), self.given(given)));
        }
        let credential = section.credential.as_ref().and_then(|name| self.credential(name));
        let shows = headers.iter().any(|(_, given)| matches!(given, Given::Secret(_)));
        if let Some(Short::Short(text)) = &section.url
            && (shows || section.credential.is_some() || section.key.is_some())
            && is_clear(&text.value)
        {
            let message = "a secret would go over http, which everybody on the way can read";
            let help = "write https://, or a loopback address";
            self.cx.report(Code::Contradiction, text.span, message).help(help);
        }
        let timeout = self.timeout(section.timeout.as_ref(), Duration::from_secs(10));
        Some(Webhook {
            url: url?,
            method: section.method.map_or("POST", MethodWord::word).to_owned(),
            headers,
            credential,
            form: form?,
            timeout,
        })
    }

    fn url(&mut self, section: &WebhookSection) -> Option<Given> {
        let is_pagerduty = section.template.as_ref().is_some_and(|name| name.value == "pagerduty");
        match &section.url {
            Some(Short::Short(text)) => {
                let problem = match reqwest::Url::parse(&text.value) {
                    Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                        Some(format!("`{}` is no scheme that is known here", url.scheme()))
                    }
                    Ok(_) => None,
                    Err(error) => Some(format!("this is no address: {error}")),
                };
                if let Some(message) = problem {
                    let help = "write it like `https://example.com/hook`";
                    self.cx.report(Code::BadAddress, text.span, message).help(help);
                    return None;
                }
                Some(Given::Text(text.value.clone()))
            }
            Some(Short::Full(place)) => Some(Given::Secret(self.place(&Place(place.clone())))),
            None if is_pagerduty => Some(Given::Text(PAGERDUTY.to_owned())),
            None => {
                let help = "add `url: https://…`, or `url: { file: PATH }` where it is a secret";
                self.cx.report(Code::MissingKey, self.at, "the key `url` is missing").help(help);
                None
            }
        }
    }

    fn form(&mut self, section: &WebhookSection) -> Option<Form> {
        let Some(template) = &section.template else {
            self.no_key(section, "the key is PagerDuty's: add `template: pagerduty`");
            return Some(Form::Incident);
        };
        let form = match template.value.trim() {
            "pagerduty" => {
                let Some(key) = &section.key else {
                    let help = "add `key: { file: PATH }` with the place of its routing key";
                    let message = "`template: pagerduty` is there, and the key `key` is missing";
                    self.cx.report(Code::MissingKey, template.span, message).help(help);
                    return None;
                };
                return Some(Form::Pagerduty { key: self.place(&key.value) });
            }
            "slack" => Form::Slack,
            "discord" => Form::Discord,
            "ntfy" => Form::Ntfy,
            _ => self.own(template)?,
        };
        self.no_key(section, "only PagerDuty has one: send another secret in a header");
        Some(form)
    }

    fn no_key(&mut self, section: &WebhookSection, help: &str) {
        if let Some(key) = &section.key {
            let message = "nothing takes this key";
            self.cx.report(Code::Contradiction, key.span, message).help(help);
        }
    }

    fn own(&mut self, template: &Located<String>) -> Option<Form> {
        if !template.value.contains("{{") {
            let name = template.value.trim();
            let help = match nearest(name, FORMS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "there are {}; one of your own has {{{{title}}}} in it",
                    FORMS.join(", ")
                ),
            };
            let message = format!("there is no template `{name}`");
            self.cx.report(Code::UnknownWord, template.span, message).help(help);
            return None;
        }
        if let Some(problem) = template::check(&template.value) {
            let code =
                if problem.is_syntax { Code::TemplateSyntax } else { Code::TemplateUnknownValue };
            self.cx.report(code, template.span, problem.message).help(problem.help);
            return None;
        }
        Some(Form::Own(template.value.clone()))
    }

    fn email(&mut self, section: &EmailSection) -> Option<Email> {
        let mut good = true;
        for address in section.to.0.iter().chain([&section.from]) {
            if let Some(message) = settings::mail_problem(&address.value.0) {
                let help = "write it like ops@example.com";
                self.cx.report(Code::BadAddress, address.span, message).help(help);
                good = false;
            }
        }
        let tls = section.tls.as_ref().map_or(TlsWord::Starttls, |tls| tls.value);
        if tls == TlsWord::Never && !settings::is_this_host(&section.server.value.0) {
            let at = section.tls.as_ref().map_or(section.server.span, |tls| tls.span);
            let message = "mail would go to another host in clear";
            self.cx
                .report(Code::Contradiction, at, message)
                .help("write `tls: starttls`, or leave it out");
            good = false;
        }
        let login = self.login(section)?;
        let (tls, port) = match tls {
            TlsWord::Always => (Tls::Always, 465),
            TlsWord::Starttls => (Tls::Starttls, 587),
            TlsWord::Never => (Tls::Never, 25),
        };
        let timeout = self.timeout(section.timeout.as_ref(), Duration::from_secs(30));
        good.then(|| Email {
            to: section.to.0.iter().map(|to| to.value.0.clone()).collect(),
            from: section.from.value.0.clone(),
            server: section.server.value.0.clone(),
            port: section.port.unwrap_or(port),
            tls,
            login,
            timeout,
        })
    }

    /// Who signs in; `None` where that was told to be wrong.
    #[expect(clippy::option_option, reason = "nobody signs in, and a mistake, are told apart")]
    fn login(&mut self, section: &EmailSection) -> Option<Option<(String, Login)>> {
        let user = section.user.as_ref().map(|user| user.value.0.clone());
        match (user, &section.password, &section.credential) {
            (None, None, None) => Some(None),
            (Some(user), Some(password), None) => {
                Some(Some((user, Login::Password(self.place(&password.value)))))
            }
            (user, None, Some(name)) => {
                let login = Login::Credential(self.credential(name)?);
                Some(Some((user.unwrap_or_default(), login)))
            }
            (_, Some(_), Some(credential)) => {
                let message = "`password` and `credential` both say how to sign in";
                self.cx
                    .report(Code::Contradiction, credential.span, message)
                    .help("remove one of them");
                None
            }
            (None, Some(password), None) => {
                let message = "a password is there, and the key `user` is missing";
                self.cx.report(Code::MissingKey, password.span, message).help("add `user:`");
                None
            }
            (Some(_), None, None) => {
                let at = section.user.as_ref().map_or(self.at, |user| user.span);
                let help = "add `password: { file: PATH }`, or `credential: NAME`";
                let message = "`user` is there, and what they sign in with is missing";
                self.cx.report(Code::MissingKey, at, message).help(help);
                None
            }
        }
    }

    fn command(&mut self, section: &CommandSection) -> Option<Program> {
        program(section, self.known.root, self.cx)
    }

    fn timeout(&mut self, given: Option<&Located<Seconds>>, usual: Duration) -> Duration {
        timeout(given, usual, self.cx)
    }

    fn given(&mut self, given: &GivenForm) -> Given {
        match given {
            Short::Short(text) => Given::Text(text.value.clone()),
            Short::Full(place) => Given::Secret(self.place(&Place(place.clone()))),
        }
    }

    fn place(&mut self, place: &Place) -> SecretPlace {
        let place = secret_place(place, self.known.root, self.cx);
        if let SecretPlace::File(path) = &place
            && !path.exists()
        {
            let message = format!("the secret's file {} is not there", path.display());
            let help = "put it there (chmod 600), or mend its place";
            self.cx.report(Code::NoSuchPath, self.at, message).help(help);
        }
        place
    }

    fn credential(&mut self, name: &Located<CredentialText>) -> Option<CredentialName> {
        let text = name.value.0.as_str();
        if !self.known.credentials.contains(&text) {
            let message = format!("there is no credential `{text}`");
            let help = match nearest(text, self.known.credentials.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "declare it in jada.yaml under `credentials`".to_owned(),
            };
            self.cx.report(Code::UnknownCredential, name.span, message).help(help);
            return None;
        }
        CredentialName::parse(text).ok()
    }
}

/// A program that is told. That it is there is checked as far as it can be from here.
pub(super) fn program(section: &CommandSection, root: &Path, cx: &mut Decoder) -> Option<Program> {
    let run: Vec<String> = section.run.value.0.iter().map(|word| word.0.clone()).collect();
    // Settings that were named without a folder lie in the one where the daemon was started.
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let folder = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let mut run = run;
    let name = run.first()?.clone();
    if name.contains('/') {
        let path = folder.join(&name);
        if !path.is_file() {
            let help = format!("it stands for {}", path.display());
            cx.report(Code::NoSuchPath, section.run.span, format!("there is no program {name}"))
                .help(help);
        }
        run[0] = path.to_string_lossy().into_owned();
    }
    let timeout = timeout(section.timeout.as_ref(), Duration::from_secs(30), cx);
    Some(Program { run, folder, timeout })
}

fn timeout(given: Option<&Located<Seconds>>, usual: Duration, cx: &mut Decoder) -> Duration {
    let Some(given) = given else { return usual };
    if given.value.0 > TIMEOUT_MAX {
        let message = "nobody waits so long for one message";
        cx.report(Code::OutOfRange, given.span, message)
            .help("write 90s or less: it is tried again");
    }
    given.value.0.min(TIMEOUT_MAX)
}

/// Whether an address is one of another host, without TLS.
fn is_clear(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| {
        url.scheme() == "http" && !url.host_str().is_some_and(settings::is_this_host)
    })
}

/// Addresses that let whoever knows them write, by where they lead.
fn is_secret_url(text: &str) -> bool {
    const SECRET: [(&str, &str); 4] = [
        ("hooks.slack.com", "/services/"),
        ("hooks.slack.com", "/workflows/"),
        ("discord.com", "/api/webhooks/"),
        ("discordapp.com", "/api/webhooks/"),
    ];
    reqwest::Url::parse(text).is_ok_and(|url| {
        SECRET.iter().any(|(host, path)| {
            url.host_str() == Some(host)
                && url.path().len() > path.len()
                && url.path().starts_with(path)
        })
    })
}

/// Reports addresses that are secrets, at any depth.
pub(super) fn secret_urls(node: &Node<'_>, cx: &mut Decoder, masks: &mut Vec<Range<usize>>) {
    for entry in node.entries() {
        if entry.key == "url" && cx.written(&entry.value).is_some_and(|url| is_secret_url(&url)) {
            masks.push(entry.value.span.range());
            let message = "this address is a secret: whoever knows it can write there";
            let help = "make a new one, since it was written down; keep it in a file, and write \
                        `url: { file: PATH }`";
            cx.report(Code::SecretLiteral, entry.value.head(cx.source()), message).help(help);
        }
        secret_urls(&entry.value, cx, masks);
    }
}
