//! jiff for croner, whose own jiff is an older one.

use croner::errors::CronError;
use croner::time::{CivilDateTime, CronDateTime, Resolution, Weekday};
use jiff::Timestamp;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// An instant in a zone, as croner wants to see it.
#[derive(Clone, Debug)]
pub(crate) struct Zoned {
    pub(crate) at: Timestamp,
    pub(crate) zone: TimeZone,
}

impl Zoned {
    fn with(&self, at: Timestamp) -> Self {
        Self { at, zone: self.zone.clone() }
    }
}

impl CronDateTime for Zoned {
    fn to_civil(&self) -> CivilDateTime {
        let local = self.zone.to_datetime(self.at);
        let part = |value: i8| u32::from(value.unsigned_abs());
        CivilDateTime::from_ymd_hms(
            local.year().into(),
            part(local.month()),
            part(local.day()),
            part(local.hour()),
            part(local.minute()),
            part(local.second()),
        )
        .unwrap()
    }

    fn civil_weekday(&self) -> Weekday {
        let day = self.zone.to_datetime(self.at).weekday().to_sunday_zero_offset();
        [
            Weekday::Sunday,
            Weekday::Monday,
            Weekday::Tuesday,
            Weekday::Wednesday,
            Weekday::Thursday,
            Weekday::Friday,
            Weekday::Saturday,
        ][usize::try_from(day).unwrap()]
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |value: u32| i8::try_from(value).unwrap();
        let local = jiff::civil::DateTime::new(
            i16::try_from(civil.year()).unwrap(),
            part(civil.month()),
            part(civil.day()),
            part(civil.hour()),
            part(civil.minute()),
            part(civil.second()),
            0,
        )
        .map_err(|_| CronError::InvalidDate)?;
        let with = |offset: jiff::tz::Offset| self.with(offset.to_timestamp(local).unwrap());
        Ok(match self.zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => Resolution::Single(with(offset)),
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
            AmbiguousOffset::Fold { before, after } => {
                Resolution::Ambiguous(with(before), with(after))
            }
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let at = self.at.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()?;
        Some(self.with(at))
    }

    fn cmp_instant(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}
