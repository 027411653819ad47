//! The `alert` section, of a job and of a check.
//!
//! Owns its keys, which of them go together, and the rule that they become. Refuses to judge by it
//! (`plan::alert`), and to know which notifiers there are (`spec/`).

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::model::{AlertRule, AlertWhen, OnUnknown, Severity};
use crate::yaml::decode::numbers::{Count, Seconds};
use crate::yaml::decode::quantity::{DurationText, ShareText};
use crate::yaml::decode::values::OneOrMany;
use crate::yaml::{Code, Decode, Decoder, Located, Node, Span, Value, section, words};

section! {
    /// When failures become an incident, and when it is over.
    pub struct AlertSection {
        /// Failed looks that it takes; a job's run is one look, however often it was tried.
        pub failures: Option<Located<Count>>,
        /// The window that they must fall into. Without it, they must be in a row.
        pub within: Option<Located<Seconds>>,
        /// The number of last looks that `failures` of must have failed.
        pub of: Option<Located<Count>>,
        /// The share of the looks in the window that must have failed.
        pub ratio: Option<Located<ShareText>>,
        /// Fewer looks in the window say nothing of a `ratio`.
        pub samples: Option<Located<Count>>,
        /// How long nothing but failures must have been seen.
        pub r#for: Option<Located<Seconds>>,
        /// Good looks in a row that end the incident: 1 of a job, 2 of a check where it is not given.
        pub recover: Option<Located<Count>>,
        /// How bad a failure is.
        pub severity: Option<SeverityWord>,
        /// What a look that could not tell stands for: nothing where it is not given, but a warning after
        /// three in a row.
        pub on_unknown: Option<UnknownWord>,
        /// After which times people are reminded while it goes on, the last one again and again; or `never`.
        pub remind: Option<Remind>,
        /// Notifiers that are told.
        pub notify: Option<OneOrMany<Located<String>>>,
    }
}

words! {
    /// How bad a failure is.
    pub enum SeverityWord {
        /// Worth a look.
        Warning = "warning",
        /// Something does not work.
        Error = "error",
    }
}

words! {
    /// What a look that could not tell stands for.
    pub enum UnknownWord {
        /// Nothing; three in a row open a warning.
        Keep = "keep",
        /// A warning.
        Warn = "warn",
        /// A failure.
        Fail = "fail",
    }
}

/// Times of reminders; empty is never.
#[derive(Clone, Debug, PartialEq)]
pub struct Remind(pub Vec<Duration>);

impl Decode for Remind {
    const EXPECTS: &'static str = "times such as [1h, 4h, 24h], or never";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        if !matches!(node.value, Value::List(_)) && cx.written(node).as_deref() == Some("never") {
            return Some(Self(Vec::new()));
        }
        let times = OneOrMany::<Minutes>::decode(node, cx)?;
        Some(Self(times.0.into_iter().map(|time| time.0).collect()))
    }
}

/// A time of at least a minute: sooner reminders are noise.
struct Minutes(Duration);

impl Decode for Minutes {
    const EXPECTS: &'static str = "a duration";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let time = DurationText::decode(node, cx)?.0;
        if time >= Duration::from_mins(1) {
            return Some(Self(time));
        }
        let at = node.content(cx.source()).unwrap_or(node.span);
        let reported = cx.report(Code::OutOfRange, at, "this is sooner than a minute");
        reported.help("write 1m or more");
        None
    }
}

impl JsonSchema for Remind {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Remind".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (one, many) = (
            generator.subschema_for::<DurationText>(),
            generator.subschema_for::<Vec<DurationText>>(),
        );
        json_schema!({ "anyOf": [{ "const": "never" }, one, many] })
    }
}

impl AlertSection {
    /// The rule. What does not go together was reported, and is not looked at.
    #[must_use]
    pub fn rule(&self) -> AlertRule {
        let default = AlertRule::default();
        AlertRule {
            when: self.when(),
            recover: self.recover.map(|count| count.value.0),
            severity: match self.severity {
                Some(SeverityWord::Warning) => Severity::Warning,
                Some(SeverityWord::Error) | None => Severity::Error,
            },
            on_unknown: match self.on_unknown {
                Some(UnknownWord::Warn) => OnUnknown::Warn,
                Some(UnknownWord::Fail) => OnUnknown::Fail,
                Some(UnknownWord::Keep) | None => OnUnknown::Keep,
            },
            remind: self.remind.as_ref().map(|remind| remind.0.clone()).or(default.remind),
            notify: self.names().map(|name| name.value.as_str().into()).collect(),
        }
    }

    /// The notifiers that it names.
    pub fn names(&self) -> impl Iterator<Item = &Located<String>> {
        self.notify.iter().flat_map(|names| &names.0)
    }

    fn when(&self) -> AlertWhen {
        let failures = self.failures.map_or(1, |count| count.value.0);
        let within = self.within.map(|time| time.value.0);
        match (self.ratio, self.r#for, self.of, within) {
            (Some(ratio), _, _, within) => AlertWhen::Ratio {
                ratio: ratio.value.0,
                within: within.unwrap_or_default(),
                samples: self.samples.map_or(1, |count| count.value.0),
            },
            (_, Some(time), ..) => AlertWhen::For(time.value.0),
            (_, _, Some(of), _) => AlertWhen::Of { failures, of: of.value.0 },
            (.., Some(within)) => AlertWhen::Within { failures, within },
            (None, None, None, None) => AlertWhen::InARow { failures },
        }
    }

    /// Reports which of its keys do not go together.
    pub fn check(&self, cx: &mut Decoder) {
        let given = [
            ("failures", self.failures.map(|it| it.span)),
            ("within", self.within.map(|it| it.span)),
            ("of", self.of.map(|it| it.span)),
            ("ratio", self.ratio.map(|it| it.span)),
            ("samples", self.samples.map(|it| it.span)),
            ("for", self.r#for.map(|it| it.span)),
        ];
        let (form, goes_with): (&str, &[&str]) = if self.ratio.is_some() {
            ("ratio", &["ratio", "within", "samples"])
        } else if self.r#for.is_some() {
            ("for", &["for"])
        } else if self.of.is_some() {
            ("of", &["failures", "of"])
        } else {
            ("failures", &["failures", "within"])
        };
        for (key, at) in given {
            if let Some(at) = at.filter(|_| !goes_with.contains(&key)) {
                idle(key, at, form, cx);
            }
        }
        self.check_ratio(cx);
        self.check_of(cx);
    }

    /// A share is only one of something: without a window and a volume, one failure is 100 %.
    fn check_ratio(&self, cx: &mut Decoder) {
        let Some(ratio) = self.ratio else { return };
        let missing = match (self.within, self.samples) {
            (Some(_), Some(_)) => None,
            (None, _) => Some("of which time: `within`"),
            (_, None) => {
                Some("how many looks it takes: `samples`; of one look, one failure is 100%")
            }
        };
        if let Some(missing) = missing {
            let message = format!("a ratio must say {missing}");
            let help = "write it like `{ ratio: 50%, within: 1h, samples: 10 }`, or count: `{ failures: 2, within: 1h }`";
            cx.report(Code::Contradiction, ratio.span, message).help(help);
        }
        if !(ratio.value.0 > 0.0 && ratio.value.0 <= 1.0) {
            let message = "no share of the looks is this large or this small";
            cx.report(Code::OutOfRange, ratio.span, message).help("write 1% to 100%");
        }
    }

    fn check_of(&self, cx: &mut Decoder) {
        let (Some(of), failures) = (self.of, self.failures) else { return };
        let failures = failures.map_or(1, |count| count.value.0);
        if of.value.0 < failures {
            let message = format!("{failures} of {} looks can't have failed", of.value.0);
            let help = format!("write `of: {failures}` or more, or ask for fewer failures");
            cx.report(Code::RuleNeverFires, of.span, message).help(help);
        }
    }
}

fn idle(key: &str, at: Span, form: &str, cx: &mut Decoder) {
    let message = format!("`{key}` does not go together with `{form}`");
    let help = match (key, form) {
        ("samples", _) => "it belongs to `ratio`: `{ ratio: 50%, within: 1h, samples: 10 }`",
        ("within", "of") => {
            "count looks, `{ failures: 2, of: 3 }`, or those of a time, `{ failures: 2, within: 1h }`"
        }
        _ => "remove one of the two",
    };
    cx.report(Code::Contradiction, at, message).help(help);
}
