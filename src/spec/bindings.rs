//! The credentials of a job, each under the name that the job uses for it.
//!
//! Owns both forms of a binding, what holds where a part is left out, and what a binding may not say. A
//! program gets a credential as a file or, if it must, in a variable: never in its arguments, which
//! everybody on the host can read. Refuses to know any secret.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::checks;
use super::forms::{Short, Tried};
use super::names::{self, CredentialText};
use super::settings::Settings;
use crate::credentials::declare::Declaration;
use crate::credentials::declare::texts::{SomeText, VariableText, is_variable};
use crate::kinds::process::environment;
use crate::kinds::template::is_template;
use crate::kinds::{Shown, Work};
use crate::model::{Binding, Channel, CredentialName};
use crate::yaml::decode::nearest;
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::{Entries, OneOrMany, ScalarText};
use crate::yaml::{Code, Decoder, Located, Span, section};

/// A binding: the credential's name alone, or in full.
pub(super) type BindingForm = Short<Located<CredentialText>, BindingSection>;

/// A token that is good for less is not given to a job that says nothing else: it could end on the way.
const MIN_TTL: Duration = Duration::from_secs(60);

section! {
    /// How a job uses a credential.
    pub struct BindingSection {
        /// The credential, as `jada.yaml` declares it.
        pub r#use: Located<CredentialText>,
        /// The variable that holds the path of a file with the access token, which is replaced whenever
        /// the token is: `NAME_TOKEN_FILE` where neither this nor `env` is given.
        pub file: Option<Located<VariableText>>,
        /// The variable that holds the access token itself. Children inherit it, so a file is better.
        pub env: Option<Located<VariableText>>,
        /// What the job needs of it; all that the credential is good for where it is not given.
        pub scopes: OneOrMany<Located<SomeText>> = OneOrMany::default(),
        /// An attempt starts only with a token that is good for at least so long: `1m` where it is not
        /// given. A job that reads its file again needs no more than that.
        pub min_ttl: Option<DurationText>,
    }
}

/// A binding with the places of its parts.
struct Read<'a> {
    binding: Binding,
    /// Where the channel is said, or the binding's name where it is not.
    channel: Span,
    /// What is bound, where it is declared and right.
    declaration: Option<&'a Declaration>,
}

/// Reads a job's bindings and reports what is wrong with them. `env` are the variables that the job sets.
pub(super) fn read(
    entries: Option<&Entries<Tried<BindingForm>>>,
    env: Option<&Entries<Located<ScalarText>>>,
    settings: &Settings,
    cx: &mut Decoder,
) -> Arc<[Binding]> {
    let mut bindings: Vec<Read<'_>> = Vec::new();
    for (name, form) in entries.iter().flat_map(|entries| &entries.0) {
        let legal = names::check(&name.value, name.span, cx);
        if let (Some(form), Some(())) = (form.as_ref(), legal) {
            bindings.extend(one(name, form, settings, cx));
        }
    }
    for read in &bindings {
        if let (Some(declaration), Channel::Variable(_)) = (read.declaration, &read.binding.channel)
        {
            token_only(read, declaration, cx);
        }
    }
    variables(&bindings, env, cx);
    bindings.into_iter().map(|read| read.binding).collect()
}

fn one<'a>(
    name: &Located<String>,
    form: &BindingForm,
    settings: &'a Settings,
    cx: &mut Decoder,
) -> Option<Read<'a>> {
    let credential = match form {
        Short::Short(credential) => credential,
        Short::Full(section) => &section.r#use,
    };
    checks::credential(&credential.value.0, credential.span, settings, cx);
    let declared = CredentialName::parse(&credential.value.0).expect("decoding let only names in");
    let declaration = settings.credentials.get(&declared).map(Arc::as_ref);
    let (channel, at) = match form {
        Short::Short(_) => (None, name.span),
        Short::Full(section) => channel(section, name, cx)?,
    };
    let channel = channel.or_else(|| default_channel(name, cx))?;
    let (scopes, min_ttl) = match form {
        Short::Short(_) => (Vec::new(), None),
        Short::Full(section) => (scopes(section, declaration, cx), section.min_ttl),
    };
    let binding = Binding {
        name: name.value.as_str().into(),
        credential: declared,
        scopes,
        min_ttl: min_ttl.map_or(MIN_TTL, |time| time.0),
        channel,
    };
    Some(Read { binding, channel: at, declaration })
}

/// How the program gets it, and where that is said.
fn channel(
    section: &BindingSection,
    name: &Located<String>,
    cx: &mut Decoder,
) -> Option<(Option<Channel>, Span)> {
    match (&section.file, &section.env) {
        (Some(file), None) => Some((Some(Channel::File(file.value.0.clone())), file.span)),
        (None, Some(env)) => Some((Some(Channel::Variable(env.value.0.clone())), env.span)),
        (None, None) => Some((None, name.span)),
        (Some(file), Some(env)) => {
            let message = "`file` and `env` both say how the program gets it";
            let reported = cx.report(Code::Contradiction, env.span, message);
            reported.label(file.span, "the other one");
            reported.help("keep `file`: a variable is inherited by every child");
            None
        }
    }
}

/// A file in a variable that is named after the binding: `API_TOKEN_FILE` for `api`.
fn default_channel(name: &Located<String>, cx: &mut Decoder) -> Option<Channel> {
    let upper = name.value.to_ascii_uppercase();
    let variable = format!("{}_TOKEN_FILE", upper.replace(['.', '-'], "_"));
    if is_variable(&variable) {
        return Some(Channel::File(variable));
    }
    let message = format!("`{}` can't name a variable", name.value);
    let help = "name the binding by a letter first, or write `{ use: …, file: VARIABLE }`";
    cx.report(Code::BadName, name.span, message).help(help);
    None
}

/// The scopes in full. Each must be among those of the credential.
fn scopes(
    section: &BindingSection,
    declaration: Option<&Declaration>,
    cx: &mut Decoder,
) -> Vec<String> {
    let asked = &section.scopes.0;
    let Some(Declaration { provider, name, .. }) = declaration else {
        return asked.iter().map(|scope| scope.value.0.clone()).collect();
    };
    let full: Vec<String> = asked.iter().map(|scope| provider.scope(&scope.value.0)).collect();
    let Some(granted) = provider.scopes() else {
        if let Some(first) = asked.first() {
            let message =
                format!("`{name}` comes from `{}`, which knows no scopes", provider.key());
            let reported = cx.report(Code::ScopeNotDeclared, first.span, message);
            reported.help("remove `scopes`");
        }
        return full;
    };
    // A declaration without scopes takes what the server gives.
    for (scope, full) in asked.iter().zip(&full).filter(|_| !granted.is_empty()) {
        if !granted.contains(full) {
            let message = format!("`{name}` does not ask for the scope `{}`", scope.value.0);
            let help = format!(
                "add it to the credential's `scopes` in jada.yaml, and consent again with `jadactl \
                 auth login {name}`"
            );
            cx.report(Code::ScopeNotDeclared, scope.span, message).help(help);
        }
    }
    full
}

/// A variable may hold an access token and nothing else.
fn token_only(read: &Read<'_>, declaration: &Declaration, cx: &mut Decoder) {
    if let Some(what) = declaration.provider.hands_out_instead_of_a_token() {
        let name = &declaration.name;
        let message = format!("`{name}` is {what}, which a variable must not hold");
        let help = "bind it as a file: `file: VARIABLE` instead of `env: VARIABLE`";
        cx.report(Code::NoTokenForEnv, read.channel, message).help(help);
    }
}

/// Reports variables that two bindings fill, or a binding and somebody else.
fn variables(bindings: &[Read<'_>], env: Option<&Entries<Located<ScalarText>>>, cx: &mut Decoder) {
    let mut first: BTreeMap<&str, Span> = BTreeMap::new();
    for read in bindings {
        let variable = read.binding.channel.variable();
        let set = env.iter().flat_map(|env| &env.0).find(|(name, _)| name.value == *variable);
        let other = first.get(variable.as_str()).map(|at| (*at, "the other binding"));
        let other = other.or_else(|| set.map(|(name, _)| (name.span, "the job's `env`")));
        if let Some((at, what)) = other {
            let message = format!("the variable `{variable}` is set twice");
            let reported = cx.report(Code::Contradiction, read.channel, message);
            reported.label(at, what).help("name another variable with `file: VARIABLE`");
        } else if is_ours(variable) {
            let message = format!("the variable `{variable}` has another meaning");
            let reported = cx.report(Code::Contradiction, read.channel, message);
            reported.help("name another variable with `file: VARIABLE`");
        }
        first.entry(variable).or_insert(read.channel);
    }
}

/// Whether a variable is one that programs get anyway, or that decides what they run.
fn is_ours(name: &str) -> bool {
    name.starts_with("JADA_") || name.starts_with("LD_") || environment::is_allowed(name.as_ref())
}

/// Reports what is wrong with the credentials that a job's work names by itself.
pub(super) fn of_work(work: &Work, bindings: &[Binding], settings: &Settings, cx: &mut Decoder) {
    for name in work.looked_at() {
        checks::credential(name.value.as_str(), name.span, settings, cx);
    }
    shown(work.shown(), bindings, settings, cx);
}

/// Reports credentials that are shown and not bound, and hosts that may not see them.
pub(super) fn shown(
    shown: Vec<Shown<'_>>,
    bindings: &[Binding],
    settings: &Settings,
    cx: &mut Decoder,
) {
    for Shown { binding: name, address, .. } in shown {
        let Some(binding) = bindings.iter().find(|binding| *binding.name == *name.value) else {
            let known = bindings.iter().map(|binding| binding.name.as_ref());
            let message = format!("the job binds no credential as `{}`", name.value);
            let help = match nearest(&name.value, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add `credentials: {{ {}: CREDENTIAL }}` to the job", name.value),
            };
            cx.report(Code::UnknownCredential, name.span, message).help(help);
            continue;
        };
        let declaration = settings.credentials.get(&binding.credential);
        if let Some((declaration, url)) = declaration.zip(address) {
            host(declaration, url, cx);
        }
    }
}

/// Reports a host that may not see the credential, where the address is known by now.
fn host(declaration: &Declaration, url: &Located<String>, cx: &mut Decoder) {
    let Ok(address) = url.value.parse::<http::Uri>() else { return };
    let Some(host) = address.host() else { return };
    // A socket of this machine has no host: a database's address has its path there.
    if is_template(&url.value) || host.starts_with("%2F") {
        return;
    }
    let name = &declaration.name;
    let is_here = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    if address.scheme_str() == Some("http") && !is_here {
        let message = format!("the credential `{name}` would go to `{host}` in the clear");
        cx.report(Code::HostNotAllowed, url.span, message).help("write `https://`");
        return;
    }
    if declaration.may_go_to(host, address.port_u16()) {
        return;
    }
    let message = format!("`{host}` may not see the credential `{name}`");
    let help = match declaration.allowed_hosts().as_slice() {
        [] => format!("add `hosts: [{host}]` to its declaration in jada.yaml"),
        hosts => format!(
            "those that may are {}; add it to the `hosts` of its declaration in jada.yaml",
            hosts.join(", ")
        ),
    };
    cx.report(Code::HostNotAllowed, url.span, message).help(help);
}
