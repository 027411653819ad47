//! A record as bytes.
//!
//! Owns the form on disk. Refuses to know files. It is the one place that writes secrets out, so the
//! buffers that they pass through are wiped.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::credentials::mint::{Token, TokenValue};
use crate::credentials::record::{Grant, Record};
use crate::credentials::secret::Secret;
use crate::model::{CredentialName, KnownEnd, Standing};

/// The form's version: a newer one is not guessed at.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Written<'a> {
    version: u32,
    name: CredentialName,
    provider: Cow<'a, str>,
    account: Option<Cow<'a, str>>,
    grant: Option<WrittenGrant<'a>>,
    previous: Option<WrittenGrant<'a>>,
    token: Option<WrittenToken<'a>>,
    standing: Cow<'a, Standing>,
    minted: u64,
}

#[derive(Serialize, Deserialize)]
struct WrittenGrant<'a> {
    refresh_token: Bare<'a>,
    generation: u64,
    scopes: Cow<'a, [String]>,
    consented_at: Timestamp,
    obtained_at: Timestamp,
    ends: Cow<'a, [KnownEnd]>,
}

#[derive(Serialize, Deserialize)]
struct WrittenToken<'a> {
    value: WrittenValue<'a>,
    expires_at: Option<Timestamp>,
    scopes: Option<Cow<'a, [String]>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenValue<'a> {
    Bearer(Bare<'a>),
    Basic {
        user: Cow<'a, str>,
        password: Bare<'a>,
    },
    Header {
        name: Cow<'a, str>,
        key: Bare<'a>,
    },
    Aws {
        access_key_id: Cow<'a, str>,
        secret_access_key: Bare<'a>,
        session_token: Option<Bare<'a>>,
    },
}

/// A secret on its way to or from the disk.
struct Bare<'a>(Cow<'a, Secret>);

impl Serialize for Bare<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Bare<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Cow::Owned(Secret::new(text))))
    }
}

fn bare(secret: &Secret) -> Bare<'_> {
    Bare(Cow::Borrowed(secret))
}

/// The record as bytes.
pub(super) fn write(record: &Record) -> Zeroizing<Vec<u8>> {
    let written = Written {
        version: VERSION,
        name: record.name.clone(),
        provider: Cow::Borrowed(&record.provider),
        account: record.account.as_deref().map(Cow::Borrowed),
        grant: record.grant.as_ref().map(write_grant),
        previous: record.previous.as_ref().map(write_grant),
        token: record.token.as_ref().map(write_token),
        standing: Cow::Borrowed(&record.standing),
        minted: record.minted,
    };
    // Room for everything, so that no half of it is left behind by a buffer that grew.
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    serde_json::to_writer(&mut *bytes, &written).expect("a record is plain data");
    bytes.push(b'\n');
    bytes
}

fn write_grant(grant: &Grant) -> WrittenGrant<'_> {
    WrittenGrant {
        refresh_token: bare(&grant.refresh_token),
        generation: grant.generation,
        scopes: Cow::Borrowed(&grant.scopes),
        consented_at: grant.consented_at,
        obtained_at: grant.obtained_at,
        ends: Cow::Borrowed(&grant.ends),
    }
}

fn write_token(token: &Token) -> WrittenToken<'_> {
    let value = match &token.value {
        TokenValue::Bearer(token) => WrittenValue::Bearer(bare(token)),
        TokenValue::Basic { user, password } => {
            WrittenValue::Basic { user: Cow::Borrowed(user), password: bare(password) }
        }
        TokenValue::Header { name, key } => {
            WrittenValue::Header { name: Cow::Borrowed(name), key: bare(key) }
        }
        TokenValue::Aws { access_key_id, secret_access_key, session_token } => WrittenValue::Aws {
            access_key_id: Cow::Borrowed(access_key_id),
            secret_access_key: bare(secret_access_key),
            session_token: session_token.as_ref().map(bare),
        },
    };
    WrittenToken {
        value,
        expires_at: token.expires_at,
        scopes: token.scopes.as_deref().map(Cow::Borrowed),
    }
}

/// The record that the bytes hold.
///
/// # Errors
/// Says what is wrong with them, without a word of what they hold.
pub(super) fn read(bytes: &[u8], name: &CredentialName) -> Result<Record, String> {
    // The library's own message may quote what it read.
    let written: Written<'static> = serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("is cut off or damaged at line {line} column {column}")
    })?;
    if written.version != VERSION {
        return Err(format!("has form {}, and this program knows form {VERSION}", written.version));
    }
    if written.name != *name {
        return Err(format!("is of '{}'", written.name));
    }
    Ok(Record {
        name: written.name,
        provider: written.provider.into_owned(),
        account: written.account.map(Cow::into_owned),
        grant: written.grant.map(read_grant),
        previous: written.previous.map(read_grant),
        token: written.token.map(read_token),
        standing: written.standing.into_owned(),
        minted: written.minted,
    })
}

fn read_grant(grant: WrittenGrant<'_>) -> Grant {
    Grant {
        refresh_token: grant.refresh_token.0.into_owned(),
        generation: grant.generation,
        scopes: grant.scopes.into_owned(),
        consented_at: grant.consented_at,
        obtained_at: grant.obtained_at,
        ends: grant.ends.into_owned(),
    }
}

fn read_token(token: WrittenToken<'_>) -> Token {
    let value = match token.value {
        WrittenValue::Bearer(token) => TokenValue::Bearer(token.0.into_owned()),
        WrittenValue::Basic { user, password } => {
            TokenValue::Basic { user: user.into_owned(), password: password.0.into_owned() }
        }
        WrittenValue::Header { name, key } => {
            TokenValue::Header { name: name.into_owned(), key: key.0.into_owned() }
        }
        WrittenValue::Aws { access_key_id, secret_access_key, session_token } => TokenValue::Aws {
            access_key_id: access_key_id.into_owned(),
            secret_access_key: secret_access_key.0.into_owned(),
            session_token: session_token.map(|token| token.0.into_owned()),
        },
    };
    Token { value, expires_at: token.expires_at, scopes: token.scopes.map(Cow::into_owned) }
}
