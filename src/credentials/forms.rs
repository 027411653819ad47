//! The forms in which a secret turns up.
//!
//! Owns the encodings that are looked for: as it is, in base64 of either alphabet and at any place of a
//! longer text, percent-encoded, escaped in JSON. Refuses to look for what is too short to be told from
//! ordinary text, and for a document as a whole: of one, the secrets in it are taken.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::secret::Secret;

/// Shortest text that is looked for: shorter ones turn up by chance.
const SHORTEST: usize = 8;

/// Shortest line of a text of several lines that is looked for.
const SHORTEST_LINE: usize = 16;

type Form = Zeroizing<Vec<u8>>;

/// Every form of a secret.
pub(super) fn of(secret: &Secret) -> Vec<Form> {
    let text = secret.expose().trim();
    if text.starts_with('{')
        && let Ok(document) = serde_json::from_str(text)
    {
        let mut forms = Vec::new();
        inner(&document, None, &mut forms);
        return forms;
    }
    text_forms(text)
}

/// The forms of the secrets in a document, which its keys tell.
fn inner(document: &Json, key: Option<&str>, forms: &mut Vec<Form>) {
    match document {
        Json::Object(entries) => {
            entries.iter().for_each(|(key, value)| inner(value, Some(key), forms));
        }
        Json::Array(items) => items.iter().for_each(|item| inner(item, key, forms)),
        Json::String(text) if key.is_some_and(is_secret_key) => forms.extend(text_forms(text)),
        _ => {}
    }
}

fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace(['-', '_'], "");
    let words = ["token", "secret", "password", "privatekey", "accesskey", "apikey"];
    words.iter().any(|word| key.contains(word)) && !key.ends_with("uri") && !key.ends_with("url")
}

fn text_forms(text: &str) -> Vec<Form> {
    // A key in PEM is rarely said as a whole; its frame is no secret.
    if text.contains('\n') {
        let lines = text.lines().map(str::trim);
        let secret = |line: &&str| line.len() >= SHORTEST_LINE && !line.starts_with("-----");
        return lines.filter(secret).flat_map(line_forms).collect();
    }
    if text.len() < SHORTEST { Vec::new() } else { line_forms(text) }
}

fn line_forms(text: &str) -> Vec<Form> {
    let mut forms = vec![text.as_bytes().to_vec()];
    for skipped in 0..3 {
        forms.extend(encoded(text, skipped));
    }
    forms.push(percent(text, false));
    forms.push(percent(text, true));
    forms.push(lower_escapes(percent(text, true)));
    forms.extend(json(text));
    forms.retain(|form| form.len() >= SHORTEST);
    forms.sort_unstable();
    forms.dedup();
    forms.into_iter().map(Zeroizing::new).collect()
}

/// A text in base64, behind so many other bytes of a longer text: only the letters that it alone decides.
fn encoded(text: &str, skipped: usize) -> [Vec<u8>; 2] {
    let mut bytes = Zeroizing::new(vec![0; skipped]);
    bytes.extend_from_slice(text.as_bytes());
    // Of 6 bits each, the first letters hold bits of what stands before, the last may of what follows.
    let (first, last) = ((skipped * 8).div_ceil(6), bytes.len() * 8 / 6);
    let cut = |encoded: String| encoded.as_bytes()[first..last].to_vec();
    [cut(STANDARD_NO_PAD.encode(&*bytes)), cut(URL_SAFE_NO_PAD.encode(&*bytes))]
}

/// A text as it stands in an address; `form` writes a blank as a plus.
fn percent(text: &str, form: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' if form => out.push(b'+'),
            b'-' | b'_' | b'.' | b'~' => out.push(byte),
            byte if byte.is_ascii_alphanumeric() => out.push(byte),
            byte => out.extend(format!("%{byte:02X}").into_bytes()),
        }
    }
    out
}

/// The same with its escapes in lower case: `%2f`.
fn lower_escapes(mut text: Vec<u8>) -> Vec<u8> {
    let escapes: Vec<usize> = (0..text.len()).filter(|at| text[*at] == b'%').collect();
    for at in escapes {
        text[at + 1..at + 3].make_ascii_lowercase();
    }
    text
}

/// A text within a string of JSON: with slashes as they are, with escapes for all that is not ASCII, and
/// with escaped slashes.
fn json(text: &str) -> [Vec<u8>; 3] {
    let quoted = serde_json::to_string(text).expect("a text is JSON");
    let plain = &quoted[1..quoted.len() - 1];
    let units = |c: char| {
        let mut units = [0; 2];
        let units = c.encode_utf16(&mut units).iter();
        units.map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat()
    };
    let ascii = plain.chars().map(|c| if c.is_ascii() { c.to_string() } else { units(c) });
    let ascii = ascii.collect();
    [plain.to_owned(), ascii, plain.replace('/', "\\/")].map(String::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(secret: &str) -> Vec<String> {
        let forms = of(&Secret::new(secret));
        forms.iter().map(|form| String::from_utf8_lossy(form).into_owned()).collect()
    }

    #[test]
    fn a_secret_is_found_at_any_place_of_a_longer_text_in_base64() {
        let secret = "s3cr3t/token+value";
        let forms = texts(secret);
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "x", "xy"] {
                let long = format!("{before}{secret}{after}");
                for encoded in [STANDARD_NO_PAD.encode(&long), URL_SAFE_NO_PAD.encode(&long)] {
                    assert!(forms.iter().any(|form| encoded.contains(form)), "{long} {forms:?}");
                }
            }
        }
    }

    #[test]
    fn escapes_of_addresses_and_json() {
        let forms = texts("a b/c\"dü€ef");
        for form in [
            "a%20b%2Fc%22d%C3%BC%E2%82%ACef",
            "a+b%2Fc%22d%C3%BC%E2%82%ACef",
            "a+b%2fc%22d%c3%bc%e2%82%acef",
            "a b/c\\\"dü€ef",
            "a b\\/c\\\"dü€ef",
            "a b/c\\\"d\\u00fc\\u20acef",
        ] {
            assert!(forms.iter().any(|known| known == form), "{form} is not in {forms:?}");
        }
    }

    #[test]
    fn short_texts_and_frames_are_no_secrets() {
        assert_eq!(texts("1234567"), Vec::<String>::new());
        let pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nshort\n-----END PRIVATE KEY-----";
        let forms = texts(pem);
        assert!(forms.contains(&"MIIEvQIBADANBgkqhkiG9w0B".to_owned()));
        assert!(!forms.iter().any(|form| form.contains("BEGIN") || form == "short"), "{forms:?}");
    }

    #[test]
    fn of_a_document_the_secrets_in_it() {
        let document = r#"{"type":"authorized_user","client_secret":"GOCSPX-abcdefgh",
            "refresh_token":"1//0abcdefgh","token_uri":"https://oauth2.example.com/token"}"#;
        let forms = texts(document);
        assert!(forms.contains(&"GOCSPX-abcdefgh".to_owned()));
        assert!(forms.contains(&"1//0abcdefgh".to_owned()));
        assert!(!forms.iter().any(|form| form.contains("authorized") || form.contains("example")));
    }
}
