//! The register of diagnostic codes.
//!
//! Owns every code: its stable number, its severity, its title, and the page that `--explain` prints, which
//! is `explain/J0xx.md`. A new code is one row here and one page there; numbers are never used twice.
//! Refuses to know where a finding is made.

use super::diagnostic::Severity;

/// Declares [`Code`]: `Variant = "J0xx" severity "title";`. The variant's doc is its title.
macro_rules! codes {
    ($($variant:ident = $number:literal $severity:ident $title:literal;)*) => {
        /// A kind of finding, with a number that never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number as shown, such as `J020`.
            #[must_use]
            pub fn number(self) -> &'static str {
                match self { $(Self::$variant => $number,)* }
            }

            /// What the code means, in a few words.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// How bad a finding of this code is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// The whole page: what it means, bad and good YAML, why it is refused.
            #[must_use]
            pub fn explain(self) -> &'static str {
                match self {
                    $(Self::$variant => include_str!(concat!("explain/", $number, ".md")),)*
                }
            }
        }
    };
}

codes! {
    // Files: J001–J009.
    Unreadable = "J001" Error "a file cannot be read";
    DanglingLink = "J002" Error "a link leads nowhere";
    JobsDirMissing = "J003" Error "the jobs folder cannot be read";
    NotText = "J004" Error "a file is not UTF-8 text";
    TooBig = "J005" Error "a file is too big";
    TooDeep = "J006" Error "values are nested too deeply";
    AliasBomb = "J007" Error "aliases expand to too much";
    EmptyFile = "J008" Error "a file is empty";
    TooMany = "J009" Error "a file has too many findings";

    // YAML: J010–J019.
    Syntax = "J010" Error "the YAML cannot be parsed";
    Unquoted = "J011" Error "a text must be quoted";
    TabIndent = "J012" Error "a tab is used as indentation";
    DuplicateKey = "J013" Error "a key is given twice";
    BadKey = "J014" Error "a key is not plain text";
    UnknownAlias = "J015" Error "an alias names no anchor";
    UnsupportedTag = "J016" Error "a tag is not supported";
    BadMerge = "J017" Error "a merge key holds something else than mappings";

    // Structure: J020–J039.
    UnknownKey = "J020" Error "a key is unknown";
    WrongType = "J021" Error "a value is of the wrong type";
    MissingKey = "J022" Error "a required key is missing";
    NoKindKey = "J023" Error "a key that says which kind is missing";
    TwoKindKeys = "J024" Error "two keys say which kind";
    DuplicateName = "J025" Error "two jobs have the same name";
    BadName = "J026" Error "a name is not allowed";
    BadDuration = "J027" Error "a duration cannot be read";
    BadSize = "J028" Error "a size cannot be read";
    BadShare = "J029" Error "a share cannot be read";
    OutOfRange = "J030" Error "a value is out of range";
    UnknownWord = "J031" Error "a word is none of the known ones";
    KindNotRun = "J032" Error "a kind is not run by this version";
    EmptyValue = "J033" Error "a key has no value";

    // Meaning: J040–J069.
    BadCron = "J040" Error "a cron expression cannot be read";
    UnknownTimeZone = "J041" Error "a time zone is unknown";
    BadInstant = "J042" Error "a date or time cannot be read";
    UnknownCredential = "J043" Error "a credential is not declared";
    UnknownNotifier = "J045" Error "a notifier is not declared";
    UnknownPool = "J046" Error "a pool is not declared";
    UnknownJob = "J047" Error "a job does not exist";
    AfterCycle = "J048" Error "jobs wait for each other in a circle";
    DeadlineTooShort = "J049" Error "a deadline is shorter than a tick";
    TemplateSyntax = "J050" Error "a template cannot be parsed";
    TemplateUnknownValue = "J051" Error "a template names an unknown value";
    SecretLiteral = "J052" Error "a secret stands in the file";
    NoSuchPath = "J053" Error "a path does not exist";
    ProgramNotFound = "J054" Warning "a program is not found";
    NotExecutable = "J055" Error "a file is not executable";
    Contradiction = "J056" Error "two keys contradict each other";
    BadCondition = "J057" Error "an expectation cannot be read";
    BadAddress = "J058" Error "a URL or address cannot be read";
    ScopeNotDeclared = "J059" Error "a job needs a scope that its credential lacks";
    NoTokenForEnv = "J060" Error "a variable may hold an access token only";
    CredentialInTemplate = "J061" Error "a template asks for a credential";
    HostNotAllowed = "J062" Error "a host may not see a credential";
    UnknownColumn = "J063" Error "a column does not exist";
    GuardMissing = "J064" Error "a guard must be stated";
    BadTimeFormat = "J065" Error "a format of times cannot be read";

    // Lints: J070–J089.
    NeverFires = "J070" Warning "a schedule never fires";
    DstGap = "J071" Warning "a DST change skips a slot";
    DstOverlap = "J072" Warning "a DST change doubles a slot";
    UnevenStep = "J073" Warning "a cron step does not divide its range";
    BothDayFields = "J074" Warning "both day fields of a cron expression are set";
    CrowdedMinute = "J075" Warning "many jobs are due in one minute";
    RuleNeverFires = "J076" Warning "an alert rule can never fire";
    NotDelivered = "J077" Warning "nobody is told of something";
    NoJob = "J078" Warning "a file has no job in it";
    Overlooked = "J079" Warning "a folder in the jobs folder is not read";
    DstMoves = "J080" Warning "a DST change moves a slot";
    SkippedMonths = "J081" Warning "a schedule leaves out months";
    DuplicateTrigger = "J082" Warning "a trigger is there twice";
    BroadScope = "J083" Warning "a scope reaches further than needed";
    UnusedCredential = "J084" Warning "no job uses a credential";
    NotForDevices = "J085" Warning "the device flow cannot carry a scope";
    ShortGrant = "J086" Warning "a grant ends after a week";
    SecretInArguments = "J087" Warning "a secret may reach arguments";
    CopyUnusable = "J088" Warning "the copy of a last good version cannot be used";
}

impl Code {
    /// The code of a number, written in any case and with or without the `J`.
    #[must_use]
    pub fn parse(number: &str) -> Option<Self> {
        let digits = number.trim().trim_start_matches(['J', 'j']);
        let same = |code: &&Self| !digits.is_empty() && code.number()[1..] == *digits;
        Self::ALL.iter().find(same).copied()
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_ascending_and_parse_back() {
        for pair in Code::ALL.windows(2) {
            assert!(pair[0].number() < pair[1].number(), "{} {}", pair[0], pair[1]);
        }
        for &code in Code::ALL {
            assert!(code.number().len() == 4 && code.number().starts_with("J0"), "{code}");
            assert_eq!(Code::parse(code.number()), Some(code));
            assert_eq!(Code::parse(&code.number()[1..]), Some(code));
        }
        assert_eq!(Code::parse("j010"), Some(Code::Syntax));
        assert_eq!((Code::parse(""), Code::parse("J999"), Code::parse("x")), (None, None, None));
    }

    #[test]
    fn each_page_opens_with_its_number_and_title() {
        for &code in Code::ALL {
            let heading = format!("# {code}: {}\n", code.title());
            assert!(code.explain().starts_with(&heading), "{code} must open with {heading:?}");
        }
    }
}
