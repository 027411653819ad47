//! `alerts`: when people are told, as it is written in `jada.yaml`.
//!
//! Owns the keys: the group wait, reminders, maintenance windows, the last resort. Refuses to know whom
//! (`notifiers`) and how (`alerts`) anybody is told.

use std::path::Path;
use std::time::Duration;

use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;

use super::forms::Tried;
use super::names::NameText;
use super::notifiers::{self, CommandSection};
use super::schedule::{self, Asked, CronText, ZoneText};
use crate::alerts::maintenance::{Begins, Ends, Window};
use crate::alerts::settings::Alerts;
use crate::credentials::declare::texts::SomeText;
use crate::kinds::alert::Remind;
use crate::plan::schedule::{Moment, TriggerSpec, When};
use crate::yaml::decode::numbers::Seconds;
use crate::yaml::decode::quantity::DurationText;
use crate::yaml::decode::values::{Entries, OneOrMany};
use crate::yaml::{Code, Decoder, Located, Span, one_of, section, words};

section! {
    /// When people are told.
    pub struct AlertsSection {
        /// Who is told of what belongs to no job, and of jobs that name nobody: every notifier where it is not
        /// given.
        pub notify: Option<Located<OneOrMany<Located<NameText>>>>,
        /// How long an opening waits for its cause, and for others of the same moment: `30s` where it is not
        /// given.
        pub group_wait: Option<Located<DurationText>>,
        /// After which times people are reminded of what goes on, the last one again and again: `[1h, 4h, 24h]`
        /// where it is not given; or `never`.
        pub remind: Option<Remind>,
        /// When nobody is told of what begins.
        pub maintenance: Entries<Tried<MaintenanceSection>> = Entries(Vec::new()),
        /// What is run when no notifier can be reached.
        pub last_resort: Option<LastResortSection>,
    }
}

one_of! {
    /// What is run when no notifier can be reached.
    pub enum LastResortSection as "way" {
        /// A program, with the incident as JSON on its standard input.
        command => Command(CommandSection),
    }
}

section! {
    /// A time in which nobody is told of what begins. What is known already still ends aloud.
    pub struct MaintenanceSection {
        /// Which nodes, such as `site/*` or `job/backup`; all of them where it is not given.
        pub nodes: OneOrMany<SomeText> = OneOrMany::default(),
        /// On which days it begins, with `at: HH:MM`; each day where it is not given.
        pub on: OneOrMany<DayWord> = OneOrMany::default(),
        /// When it ends, on the wall: `04:00`, or a date and time where `at` is one.
        pub until: Option<Located<SomeText>>,
        /// How long it is, in real time.
        pub r#for: Option<Located<Seconds>>,
        /// The zone of its times: that of `defaults`, or UTC, where it is not given.
        pub timezone: Option<ZoneText>,

        one of
        /// When it begins.
        pub begins: BeginsSection,
    }
}

one_of! {
    /// When a maintenance window begins.
    pub enum BeginsSection as "beginning" {
        /// At a time on the wall, `02:00`, or once, `2026-12-01T22:00`.
        at => At(Located<SomeText>),
        /// As a cron expression says.
        cron => Cron(Located<CronText>),
    }
}

words! {
    /// A day of the week, or several.
    pub enum DayWord {
        /// Monday.
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
        /// Monday to Friday.
        Weekdays = "weekdays",
        /// Saturday and Sunday.
        Weekends = "weekends",
    }
}

/// The longest window: a longer one is a notifier to remove.
const WINDOW_MAX: Duration = Duration::from_hours(24 * 31);

/// The longest group wait: whoever waits longer hears too late.
const GROUP_WAIT_MAX: Duration = Duration::from_mins(15);

/// Takes the section into the settings. `names` are the declared notifiers.
pub(super) fn read(
    section: &AlertsSection,
    (alerts, names): (&mut Alerts, &[&str]),
    (root, zone): (&Path, &TimeZone),
    cx: &mut Decoder,
) {
    if let Some(given) = &section.notify {
        if given.value.0.is_empty() {
            let message = "nobody is told of what belongs to no job, such as a bad file";
            let help = "name a notifier, or leave the key out: every notifier is told then";
            cx.report(Code::NotDelivered, given.span, message).help(help);
        }
        alerts.notify = notifiers::named(&given.value, names, cx);
    }
    if let Some(wait) = &section.group_wait {
        if wait.value.0 > GROUP_WAIT_MAX {
            let message = "nobody would be told in time";
            cx.report(Code::OutOfRange, wait.span, message).help("write 15m or less");
        }
        alerts.group_wait = wait.value.0.min(GROUP_WAIT_MAX);
    }
    if let Some(times) = &section.remind {
        alerts.remind.clone_from(&times.0);
    }
    if let Some(LastResortSection::Command(command)) = &section.last_resort {
        alerts.last_resort = notifiers::program(command, root, cx);
    }
    for (name, window) in &section.maintenance.0 {
        let Some(given) = window.as_ref() else { continue };
        let mut reading = Reading { name, given, zone, cx };
        alerts.maintenance.extend(reading.window());
    }
}

/// Reads one window.
struct Reading<'a> {
    name: &'a Located<String>,
    given: &'a MaintenanceSection,
    zone: &'a TimeZone,
    cx: &'a mut Decoder,
}

impl Reading<'_> {
    fn window(&mut self) -> Option<Window> {
        let zone = self.given.timezone.as_ref().map_or(self.zone, |zone| &zone.0).clone();
        let begins = match &self.given.begins {
            BeginsSection::At(text) => self.at(text)?,
            BeginsSection::Cron(text) => {
                self.no_days("a cron expression says its days itself");
                let asked = Asked::of_cron(
                    TriggerSpec {
                        timezone: zone.clone(),
                        ..TriggerSpec::new(When::Cron(text.value.0.clone()))
                    },
                    text.span,
                );
                Begins::Cron(schedule::compile(&[asked], &self.name.value, self.cx)?)
            }
        };
        let ends = self.ends(&begins)?;
        Some(Window {
            name: self.name.value.clone(),
            nodes: self.given.nodes.0.iter().map(|node| node.0.clone()).collect(),
            begins,
            ends,
            zone,
        })
    }

    fn at(&mut self, text: &Located<SomeText>) -> Option<Begins> {
        if let Ok(at) = text.value.0.trim().parse::<Time>() {
            return Some(Begins::Weekly { days: self.days(), at });
        }
        match Moment::parse(&text.value.0) {
            Ok(Moment::Local(at)) => {
                self.no_days("a date is on one day");
                Some(Begins::Once(at))
            }
            Ok(Moment::Day(_) | Moment::Instant(_)) | Err(_) => self.bad_time(text),
        }
    }

    fn ends(&mut self, begins: &Begins) -> Option<Ends> {
        match (&self.given.until, &self.given.r#for) {
            (None, Some(length)) => {
                if length.value.0 > WINDOW_MAX {
                    let help = "write 31d or less: nothing is told of what begins all that time";
                    self.cx
                        .report(Code::OutOfRange, length.span, "this window is too long")
                        .help(help);
                    return None;
                }
                Some(Ends::After(length.value.0))
            }
            (Some(until), None) => self.until(until, begins),
            (Some(until), Some(_)) => {
                let message = "`until` and `for` both say when it ends";
                self.cx.report(Code::Contradiction, until.span, message).help("remove one of them");
                None
            }
            (None, None) => {
                let message = format!("the window `{}` has no end", self.name.value);
                let help = "add `until: 04:00`, or `for: 2h`";
                self.cx.report(Code::MissingKey, self.name.span, message).help(help);
                None
            }
        }
    }

    fn until(&mut self, text: &Located<SomeText>, begins: &Begins) -> Option<Ends> {
        let once = match begins {
            Begins::Once(at) => Some(*at),
            Begins::Weekly { .. } | Begins::Cron(_) => None,
        };
        if let Ok(time) = text.value.0.trim().parse::<Time>() {
            return Some(Ends::At(time));
        }
        match (Moment::parse(&text.value.0), once) {
            (Ok(Moment::Local(end)), Some(begin)) => self.span(begin, end, text.span),
            _ => {
                self.bad_time::<()>(text);
                None
            }
        }
    }

    fn span(&mut self, begin: DateTime, end: DateTime, at: Span) -> Option<Ends> {
        if end > begin {
            return Some(Ends::On(end));
        }
        let message = "this window ends before it begins";
        self.cx.report(Code::Contradiction, at, message).help("write a later time");
        None
    }

    fn bad_time<T>(&mut self, text: &Located<SomeText>) -> Option<T> {
        let message = format!("`{}` is no time on the wall", text.value.0);
        let help = "write 02:00, or once 2026-12-01T22:00; `timezone` says where the wall is";
        self.cx.report(Code::BadInstant, text.span, message).help(help);
        None
    }

    fn no_days(&mut self, why: &str) {
        if !self.given.on.0.is_empty() {
            let message = "`on` belongs to `at: HH:MM`";
            self.cx.report(Code::Contradiction, self.name.span, message).help(why.to_owned());
        }
    }

    fn days(&self) -> Vec<Weekday> {
        use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
        let days = self.given.on.0.iter().flat_map(|word| match word {
            DayWord::Monday => vec![Monday],
            DayWord::Tuesday => vec![Tuesday],
            DayWord::Wednesday => vec![Wednesday],
            DayWord::Thursday => vec![Thursday],
            DayWord::Friday => vec![Friday],
            DayWord::Saturday => vec![Saturday],
            DayWord::Sunday => vec![Sunday],
            DayWord::Weekdays => vec![Monday, Tuesday, Wednesday, Thursday, Friday],
            DayWord::Weekends => vec![Saturday, Sunday],
        });
        days.collect()
    }
}
