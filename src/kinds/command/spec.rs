//! The `command` section, and what it may not say.
//!
//! Owns its keys. Refuses to look at the disk: whether a program exists is told elsewhere.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::kinds::process::{Pattern, environment};
use crate::kinds::template::{self, Names};
use crate::model::{Binding, Channel};
use crate::yaml::decode::values::{Entries, OneOrMany, ScalarText};
use crate::yaml::{Code, Decode, Decoder, Located, Node, Value, section};

section! {
    /// Runs a program.
    pub struct CommandSpec {
        /// What runs: a list is a program with its arguments, a text is given to `/bin/sh -c`. Templates.
        pub run: Run,
        /// Variables to set, beside and before those of the job's own `env`. Values are templates.
        pub env: Entries<Located<ScalarText>> = Entries::default(),
        /// Variables of the daemon to hand on. Without it a program gets PATH, HOME, USER, LOGNAME, SHELL,
        /// LANG, LC_*, TZ and TMPDIR only.
        pub inherit_env: Vec<Located<String>> = Vec::new(),
        /// What the program reads. A template. By default it reads an empty input.
        pub stdin: Option<Located<String>>,
        /// Exit codes that mean success.
        pub success_exit_codes: Option<ExitCodes>,
        /// How the program shows that its credential was refused, whatever its exit code.
        pub auth_failure: Option<Signs>,
        /// How the program shows that trying again may help. Where this is given, any other failure is
        /// permanent; where it is not, every failing exit code may be tried again.
        pub transient: Option<Signs>,
    }
}

section! {
    /// Signs of a certain kind of failure; one of them is enough.
    pub struct Signs {
        /// Exit codes.
        pub exit_codes: OneOrMany<Located<u8>> = OneOrMany::default(),
        /// A regular expression that a line of standard error matches.
        pub stderr_match: Option<PatternText>,
        /// A regular expression that a line of standard output matches.
        pub stdout_match: Option<PatternText>,
    }
}

/// Exit codes; none where none could be read, which is not the same as if nothing were said.
#[derive(Clone, Debug, PartialEq)]
pub struct ExitCodes(pub Vec<Located<u8>>);

impl Decode for ExitCodes {
    const EXPECTS: &'static str = "exit codes";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        Some(Self(OneOrMany::decode(node, cx).unwrap_or_default().0))
    }
}

impl JsonSchema for ExitCodes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ExitCodes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        OneOrMany::<Located<u8>>::json_schema(generator)
    }
}

/// What a command runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Run {
    /// A program with its arguments.
    Exec(Vec<Located<ScalarText>>),
    /// A text for the shell.
    Shell(Located<String>),
}

impl Decode for Run {
    const EXPECTS: &'static str = "a list (a program and its arguments) or a text for the shell";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let run = match &node.value {
            Value::List(_) => Self::Exec(Vec::decode(node, cx)?),
            Value::Text(_) => Self::Shell(Located::decode(node, cx)?),
            _ => {
                cx.wrong_type(node, Self::EXPECTS);
                return None;
            }
        };
        let first = match &node.value {
            Value::List(words) => words.first(),
            _ => Some(node),
        };
        let first = first.map_or(Some(String::new()), |first| cx.written(first));
        // What is no text was reported.
        let first = first?;
        if first.trim().is_empty() {
            let at = node.head(cx.source());
            cx.report(Code::OutOfRange, at, "this runs nothing").help("write [PROGRAM, ARGUMENT…]");
            return None;
        }
        Some(run)
    }
}

impl JsonSchema for Run {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Run".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let words = generator.subschema_for::<ScalarText>();
        json_schema!({
            "anyOf": [
                { "type": "array", "items": words, "minItems": 1 },
                { "type": "string", "minLength": 1 },
            ]
        })
    }
}

/// A regular expression over single lines. Kept as text: compiled ones are large, and few run at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternText(pub String);

impl Decode for PatternText {
    const EXPECTS: &'static str = "a regular expression";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let text = String::decode(node, cx)?;
        match Pattern::parse(&text) {
            Ok(_) => Some(Self(text)),
            Err(error) => {
                let at = cx.within(node, 0..text.len());
                let message = format!("this regular expression can't be read: {error}");
                cx.report(Code::BadCondition, at, message)
                    .help("in YAML, write it in single quotes so that \\ stays as it is");
                None
            }
        }
    }
}

impl JsonSchema for PatternText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PatternText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "regex" })
    }
}

impl CommandSpec {
    /// Whether this exit code means success.
    #[must_use]
    pub fn is_success(&self, code: i32) -> bool {
        match self.success_exit_codes.as_ref().map(|codes| codes.0.as_slice()) {
            None | Some([]) => code == 0,
            Some(codes) => codes.iter().any(|known| i32::from(known.value) == code),
        }
    }

    /// Reports what is wrong in meaning: templates, and keys that contradict each other. `known` are the
    /// names that the job declares outside of this section.
    pub fn check(&self, known: &Names<'_>, cx: &mut Decoder) {
        self.check_codes(cx);
        self.check_bound(known.bindings, cx);
        let mut env = inherited_names(&self.inherit_env);
        let names = Names { env: env.clone(), ..known.clone() };
        for (name, value) in &self.env.0 {
            check_variable(name, cx);
            template::report(&value.value.0, value.span, &names, cx);
        }
        for name in &self.inherit_env {
            check_variable(name, cx);
        }
        env.extend(&known.env);
        env.extend(self.env.0.iter().map(|(name, _)| name.as_str()));
        let names = Names { env, ..known.clone() };
        match &self.run {
            Run::Exec(words) => {
                for word in words {
                    template::report(&word.value.0, word.span, &names, cx);
                }
            }
            Run::Shell(text) => {
                template::report(text, text.span, &names, cx);
                report_arguments(text, known.bindings, cx);
            }
        }
        if let Some(text) = &self.stdin {
            template::report(text, text.span, &names, cx);
        }
    }

    /// Reports variables that a binding fills already, and the one that leads to the daemon's secrets.
    fn check_bound(&self, bindings: &[Binding], cx: &mut Decoder) {
        let secrets = self.inherit_env.iter().find(|name| name.value == environment::SECRETS);
        if let Some(name) = secrets {
            let message = format!("with `{}`, a program could read every secret", name.value);
            let help = "declare the one that it needs: `{ file: { systemd: NAME } }`, and bind it";
            cx.report(Code::NoTokenForEnv, name.span, message).help(help);
        }
        let names = self.env.0.iter().map(|(name, _)| name).chain(&self.inherit_env);
        for name in names {
            let bound = bindings.iter().find(|binding| *binding.channel.variable() == name.value);
            if let Some(binding) = bound {
                let message = format!(
                    "the variable `{}` holds the credential `{}` already",
                    name.value, binding.name
                );
                let help = "remove it, or name another variable in the job's `credentials`";
                cx.report(Code::Contradiction, name.span, message).help(help);
            }
        }
    }

    fn check_codes(&self, cx: &mut Decoder) {
        let auth = self.auth_failure.as_ref().map(|signs| ("auth_failure", signs));
        let transient = self.transient.as_ref().map(|signs| ("transient", signs));
        // None of the written codes could be read: what else they say is not known.
        let unread = self.success_exit_codes.as_ref().is_some_and(|codes| codes.0.is_empty());
        for (key, signs) in auth.into_iter().chain(transient).filter(|_| !unread) {
            for code in &signs.exit_codes.0 {
                if self.is_success(i32::from(code.value)) {
                    let message = format!("exit code {} can't mean success and {key}", code.value);
                    let reported = cx.report(Code::Contradiction, code.span, message);
                    reported.help("take it out of one of the two lists");
                }
            }
        }
        let Some((auth, transient)) = self.auth_failure.as_ref().zip(self.transient.as_ref())
        else {
            return;
        };
        for code in &transient.exit_codes.0 {
            let same = |other: &&Located<u8>| other.value == code.value;
            if let Some(other) = auth.exit_codes.0.iter().find(same) {
                let message = format!("exit code {} can't mean both", code.value);
                let reported = cx.report(Code::Contradiction, code.span, message);
                reported.label(other.span, "here it means auth_failure");
                reported.help("take it out of one of the two lists");
            }
        }
    }
}

/// Warns of a text for the shell that names a variable with a token in it: the shell puts it into the
/// arguments of what it starts. To tell that it is one of its own commands would take a shell.
fn report_arguments(text: &Located<String>, bindings: &[Binding], cx: &mut Decoder) {
    for binding in bindings {
        let Channel::Variable(variable) = &binding.channel else { continue };
        let Some(at) = expansion(&text.value, variable) else { continue };
        let part = at..at + 1 + variable.len();
        let span = template::place(text, text.span, &part, cx.source());
        let message = format!("the shell writes `{variable}` into the arguments of a program");
        let help = "let the program read the variable itself, or bind a file and hand over its path: \
                    everybody on the host can read arguments";
        cx.report(Code::SecretInArguments, span, message).help(help);
    }
}

/// Where a text for the shell expands a variable.
fn expansion(text: &str, variable: &str) -> Option<usize> {
    let names = |rest: &str| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let rest = rest.strip_prefix(variable);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    };
    text.match_indices('$').map(|(at, _)| at).find(|at| names(&text[at + 1..]))
}

/// The variables that templates may name besides those that the job declares.
pub(in crate::kinds) fn inherited_names(also: &[Located<String>]) -> Vec<&str> {
    let allowed = environment::ALLOWED.iter().copied();
    allowed.chain(also.iter().map(|name| name.value.as_str())).collect()
}

fn check_variable(name: &Located<String>, cx: &mut Decoder) {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(legal)
    {
        let message = format!("`{}` is no name for a variable", name.value);
        let help = "use letters, digits and '_', and no digit first";
        cx.report(Code::BadName, name.span, message).help(help);
    }
}
