//! The `schedule` key.
//!
//! Owns its forms (a cron expression, a trigger in full, a list of either) and turns them into what
//! `plan::schedule` compiles. Refuses to know what a cron expression means.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::forms::{Short, Tried};
use super::hash::Hash;
use crate::model::{Dst, DstGap, DstOverlap, Revision};
use crate::plan::schedule::{
    CompileError, DateRange, Lint, LintKind, Moment, Schedule, TriggerSpec, When, lint,
};
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::OneOrMany;
use crate::yaml::decode::zone;
use crate::yaml::{Code, Decode, Decoder, Located, Node, Source, Span, one_of, section, words};

/// `schedule`.
pub type ScheduleForm = OneOrMany<Short<Located<CronText>, TriggerSection>>;

section! {
    /// A trigger in full.
    pub struct TriggerSection {
        /// The zone in which local times and dates are read; UTC where none is given.
        pub timezone: Tried<ZoneText>,
        /// Bound of a delay that is added to each slot. It is the same for the same slot on every node.
        pub jitter: Tried<DurationText>,
        /// No slot before it. A date means its first instant.
        pub start: Tried<MomentText>,
        /// No slot after it. A date means its last second.
        pub end: Tried<Located<MomentText>>,
        /// Days without slots: `2026-12-25` or `2026-12-24..2027-01-02`.
        pub except: Tried<OneOrMany<DaysText>>,
        /// What daylight-saving changes do to fixed times.
        pub dst: Tried<DstSection>,

        one of
        /// The times.
        pub when: Tried<WhenKey>,
    }
}

one_of! {
    /// The times of a trigger.
    pub enum WhenKey as "times" {
        /// Five fields (minute, hour, day of month, month, day of week), six (second first), or `@daily`.
        cron => Cron(Located<CronText>),
        /// A fixed period of real time, counted from `start`, or from 1970-01-01T00:00Z without one.
        every => Every(Located<DurationText>),
        /// These moments.
        at => At(Located<OneOrMany<MomentText>>),
    }
}

section! {
    /// What daylight-saving changes do to fixed times. Interval schedules follow real time.
    pub struct DstSection {
        /// For a local time that a change leaves out.
        pub gap: Option<GapWord>,
        /// For a local time that a change repeats.
        pub overlap_hour: Option<OverlapHourWord>,
    }
}

words! {
    /// What happens to a fixed time that a clock change leaves out.
    pub enum GapWord {
        /// Runs once at the first instant after the gap.
        RunAfter = "run_after",
        /// Does not run that day.
        Skip = "skip",
        /// Runs shifted by the gap's length.
        Shift = "shift",
    }
}

words! {
    /// What happens to a fixed time that a clock change repeats.
    pub enum OverlapHourWord {
        /// Runs in the first pass only.
        First = "first",
        /// Runs in the second pass only.
        Last = "last",
        /// Runs in both.
        Both = "both",
    }
}

/// A cron expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronText(pub String);

/// A time zone by its name in the IANA database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneText(pub TimeZone);

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MomentText(pub Moment);

/// A day, or days from one to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaysText(pub DateRange);

/// A trigger as it was asked for, and where.
pub(super) struct Asked {
    /// The trigger.
    pub spec: TriggerSpec,
    /// Where its times stand.
    when: Span,
    /// Where its end stands.
    end: Option<Span>,
}

/// The triggers of a schedule; those with mistakes, which have been reported, are left out.
pub(super) fn asked(form: &ScheduleForm, zone: &TimeZone) -> Vec<Asked> {
    form.0.iter().filter_map(|trigger| one(trigger, zone)).collect()
}

fn one(trigger: &Short<Located<CronText>, TriggerSection>, zone: &TimeZone) -> Option<Asked> {
    let section = match trigger {
        Short::Short(cron) => {
            let spec = TriggerSpec::new(When::Cron(cron.value.0.clone()));
            let spec = TriggerSpec { timezone: zone.clone(), ..spec };
            return Some(Asked { spec, when: cron.span, end: None });
        }
        Short::Full(section) => section,
    };
    let (when, at) = match section.when.as_ref()? {
        WhenKey::Cron(text) => (When::Cron(text.value.0.clone()), text.span),
        WhenKey::Every(period) => (When::Every(period.value.0), period.span),
        WhenKey::At(moments) => {
            (When::At(moments.value.0.iter().map(|moment| moment.0).collect()), moments.span)
        }
    };
    let spec = TriggerSpec {
        when,
        timezone: section.timezone.as_ref().map_or_else(|| zone.clone(), |zone| zone.0.clone()),
        dst: section.dst.as_ref().map_or_else(Dst::default, dst),
        start: section.start.as_ref().map(|moment| moment.0),
        end: section.end.as_ref().map(|moment| moment.value.0),
        except: section.except.iter().flat_map(|days| &days.0).map(|days| days.0).collect(),
        jitter: section.jitter.as_ref().map_or_else(Default::default, |time| time.0),
    };
    Some(Asked { spec, when: at, end: section.end.as_ref().map(|end| end.span) })
}

fn dst(section: &DstSection) -> Dst {
    let gap = section.gap.map_or_else(DstGap::default, |word| match word {
        GapWord::RunAfter => DstGap::RunAfter,
        GapWord::Skip => DstGap::Skip,
        GapWord::Shift => DstGap::Shift,
    });
    let overlap = section.overlap_hour.map_or_else(DstOverlap::default, |word| match word {
        OverlapHourWord::First => DstOverlap::First,
        OverlapHourWord::Last => DstOverlap::Last,
        OverlapHourWord::Both => DstOverlap::Both,
    });
    Dst { gap, overlap }
}

/// Compiles triggers; what is wrong is reported where it stands.
pub(super) fn compile(asked: &[Asked], seed: &str, cx: &mut Decoder) -> Option<Schedule> {
    let specs: Vec<TriggerSpec> = asked.iter().map(|asked| asked.spec.clone()).collect();
    match Schedule::compile(&specs, seed) {
        Ok(schedule) => Some(schedule),
        Err(errors) => {
            for error in &errors {
                report(&asked[error.trigger], error, cx);
            }
            None
        }
    }
}

fn report(asked: &Asked, error: &CompileError, cx: &mut Decoder) {
    let (code, at) = match error.key {
        "cron" => (Code::BadCron, asked.when),
        "every" => (Code::OutOfRange, asked.when),
        "at" => (Code::BadInstant, asked.when),
        _ => (Code::Contradiction, asked.end.unwrap_or(asked.when)),
    };
    let at = error.range.as_ref().map_or(at, |range| asked.part(at, range, cx.source()));
    let reported = cx.report(code, at, error.message.clone());
    if !error.help.is_empty() {
        reported.help(error.help.clone());
    }
}

impl Asked {
    /// A cron expression outside of a job, and where it stands.
    pub(super) fn of_cron(spec: TriggerSpec, when: Span) -> Self {
        Self { spec, when, end: None }
    }

    /// The place of a part of a cron expression, if it is written in the file as it reads.
    pub(super) fn part(&self, whole: Span, part: &Range<usize>, source: &Source) -> Span {
        let When::Cron(text) = &self.spec.when else { return whole };
        if source.slice(whole) != text {
            return whole;
        }
        let start = whole.start as usize;
        Span::new(start + part.start..start + part.end)
    }
}

/// What is suspicious about triggers from `now` on.
pub(super) fn lints(asked: &[Asked], seed: &str, now: Timestamp) -> Vec<Lint> {
    let specs: Vec<TriggerSpec> = asked.iter().map(|asked| asked.spec.clone()).collect();
    lint(&specs, seed, now)
}

/// Tells a lint where it stands.
pub(super) fn tell(asked: &[Asked], lint: &Lint, cx: &mut Decoder) {
    let code = match lint.kind {
        LintKind::NeverFires => Code::NeverFires,
        LintKind::DstSkips => Code::DstGap,
        LintKind::DstDoubles => Code::DstOverlap,
        LintKind::DstMoves => Code::DstMoves,
        LintKind::UnevenStep => Code::UnevenStep,
        LintKind::BothDays => Code::BothDayFields,
        LintKind::SkippedMonths => Code::SkippedMonths,
        LintKind::Duplicate => Code::DuplicateTrigger,
    };
    let asked = &asked[lint.trigger];
    let whole = asked.when;
    let at = lint.range.as_ref().map_or(whole, |range| asked.part(whole, range, cx.source()));
    cx.report(code, at, lint.message.clone()).help(lint.help.clone());
}

/// The hash of what decides the slots of a job, besides its name: equal hash, equal slots. A short form
/// and the full form that says the same are equal.
pub(super) fn revision(asked: &[Asked], enabled: bool) -> Revision {
    let mut hash = Hash::new();
    hash.number(u64::from(enabled));
    hash.number(asked.len() as u64);
    for Asked { spec, .. } in asked {
        match &spec.when {
            When::Cron(text) => {
                hash.text("cron");
                hash.text(text.trim());
            }
            When::Every(period) => {
                hash.text("every");
                hash.number(millis(*period));
            }
            When::At(moments) => {
                hash.text("at");
                for moment in moments {
                    hash.text(&shown(moment));
                }
            }
        }
        hash.text(spec.timezone.iana_name().unwrap_or("UTC"));
        hash.text(match spec.dst.gap {
            DstGap::RunAfter => "run_after",
            DstGap::Skip => "skip",
            DstGap::Shift => "shift",
        });
        hash.text(match spec.dst.overlap {
            DstOverlap::First => "first",
            DstOverlap::Last => "last",
            DstOverlap::Both => "both",
        });
        hash.text(&spec.start.as_ref().map_or_else(String::new, shown));
        hash.text(&spec.end.as_ref().map_or_else(String::new, shown));
        for days in &spec.except {
            hash.text(&days.first.to_string());
            hash.text(&days.last.to_string());
        }
        hash.number(millis(spec.jitter));
    }
    hash.revision()
}

/// By what schedules are shared: equal keys, equal schedules.
#[derive(Clone, Copy)]
pub(super) struct Keys {
    /// Of the compiled schedule.
    pub schedule: u64,
    /// Of what is suspicious about it, which jitter has no say in.
    pub lints: u64,
}

impl Keys {
    /// The keys of the schedule that is asked for in a job of this name.
    pub(super) fn of(asked: &[Asked], name: &str) -> Self {
        let revision = revision(asked, true);
        let hashed =
            asked.iter().any(|a| matches!(&a.spec.when, When::Cron(t) if t.contains(['H', 'h'])));
        let spread = asked.iter().any(|asked| !asked.spec.jitter.is_zero());
        let key = |seeded| {
            let mut hash = Hash::new();
            hash.number(revision.0);
            hash.text(if seeded { name } else { "" });
            hash.finish()
        };
        Self { schedule: key(hashed || spread), lints: key(hashed) }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn shown(moment: &Moment) -> String {
    match moment {
        Moment::Instant(at) => at.to_string(),
        Moment::Local(local) => local.to_string(),
        Moment::Day(day) => day.to_string(),
    }
}

impl Decode for CronText {
    const EXPECTS: &'static str = "a cron expression";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        if let Some(text) = node.text() {
            return Some(Self(text.to_owned()));
        }
        let reported = cx.wrong_type(node, Self::EXPECTS);
        if reported.help.is_none() {
            reported.help("write it in quotes, as in \"15 2 * * *\"");
        }
        None
    }
}

impl Decode for ZoneText {
    const EXPECTS: &'static str = "a time zone";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        let text = String::decode(node, cx)?;
        if let Ok(zone) = TimeZone::get(&text) {
            return Some(Self(zone));
        }
        let at = cx.within(node, 0..text.len());
        let help = zone::way_out(&text);
        cx.report(Code::UnknownTimeZone, at, format!("unknown time zone `{text}`")).help(help);
        None
    }
}

impl Decode for MomentText {
    const EXPECTS: &'static str = "a date or time";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        parsed(node, cx, Moment::parse).map(Self)
    }
}

impl Decode for DaysText {
    const EXPECTS: &'static str = "a date, or two with `..` between";

    fn decode(node: &Node<'_>, cx: &mut Decoder) -> Option<Self> {
        parsed(node, cx, DateRange::parse).map(Self)
    }
}

fn parsed<T>(node: &Node<'_>, cx: &mut Decoder, parse: fn(&str) -> Result<T, String>) -> Option<T> {
    let text = String::decode(node, cx)?;
    match parse(&text) {
        Ok(value) => Some(value),
        Err(message) => {
            let at = cx.within(node, 0..text.len());
            // "'x' is no date: write …" has the way out behind the colon.
            let (message, forms) = message.split_once(": write ").unwrap_or((&message, ""));
            let reported = cx.report(Code::BadInstant, at, message);
            if !forms.is_empty() {
                reported.help(format!("write {forms}"));
            }
            None
        }
    }
}

macro_rules! text_schema {
    ($($name:ident),+) => {$(
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string" })
            }
        }
    )+};
}

text_schema!(CronText, ZoneText, MomentText, DaysText);
