//! What is allowed in a declaration, and yet not wise.
//!
//! Owns what is known of scopes: which of them reach further than most jobs need, which the device flow
//! can't carry, and which grants end by themselves. Refuses to refuse anything.

use super::section::{GoogleSection, OAuth2Section, ProviderSection};
use super::texts::{SomeText, google_scope};
use crate::yaml::{Code, Decoder, Located};

/// What Google's scopes begin with.
const GOOGLE: &str = "https://www.googleapis.com/auth/";

/// A scope that reaches further than most jobs need.
struct Broad {
    scope: &'static str,
    why: &'static str,
    narrower: &'static str,
}

const BROAD: &[Broad] = &[
    Broad {
        scope: "https://www.googleapis.com/auth/drive",
        why: "reaches every file of the account",
        narrower: "`spreadsheets` reaches sheets only, `drive.file` what the app made or was given, \
                   `drive.readonly` writes nothing",
    },
    Broad {
        scope: "https://mail.google.com/",
        why: "reaches every mail of the account, and ends with its password",
        narrower: "`gmail.send` sends only, `gmail.readonly` reads only",
    },
    Broad {
        scope: "https://www.googleapis.com/auth/calendar",
        why: "reaches every calendar of the account, and who may see it",
        narrower: "`calendar.events` reaches events only, `calendar.readonly` writes nothing",
    },
];

/// Reaches everything in Google Cloud. For a service account its roles are the limit.
const CLOUD: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What Google's device flow can carry, besides what only says who somebody is.
const DEVICE: &[&str] = &["drive.file", "drive.appdata", "youtube", "youtube.readonly"];

/// Hosts of Google's endpoints.
const GOOGLE_HOSTS: &[&str] = &["googleapis.com", "accounts.google.com", "google.com"];

/// Warns of what is not wise.
pub(super) fn provider(section: &ProviderSection, cx: &mut Decoder) {
    match section {
        ProviderSection::Google(google) => {
            broad(&google.scopes.0, cx);
            cloud(&google.scopes.0, cx);
            testing(google, cx);
        }
        ProviderSection::ServiceAccount(account) => broad(&account.scopes.0, cx),
        ProviderSection::OAuth2(oauth) => device(oauth, cx),
        _ => {}
    }
}

fn broad(scopes: &[Located<SomeText>], cx: &mut Decoder) {
    for scope in scopes {
        let full = google_scope(&scope.value.0);
        if let Some(broad) = BROAD.iter().find(|broad| broad.scope == full) {
            let message = format!("the scope `{}` {}", scope.value.0, broad.why);
            cx.report(Code::BroadScope, scope.span, message).help(broad.narrower);
        }
    }
}

fn cloud(scopes: &[Located<SomeText>], cx: &mut Decoder) {
    for scope in scopes.iter().filter(|scope| google_scope(&scope.value.0) == CLOUD) {
        let message =
            "with this scope, a session policy of Google Cloud can end the grant every day";
        let help =
            "ask for the scope of the one API that is called, or use `google_service_account`";
        cx.report(Code::BroadScope, scope.span, message).help(help);
    }
}

/// Warns of grants that end after a week: only those that merely say who somebody is do not.
fn testing(google: &GoogleSection, cx: &mut Decoder) {
    let lasting = google.scopes.0.iter().all(|scope| is_identity(&google_scope(&scope.value.0)));
    if google.testing.value && !lasting {
        let message = "grants of an app in testing end 7 days after each consent";
        let help = "publish the app (for under 100 users Google need not verify it), make it internal, \
                    or use `google_service_account`, which needs no consent";
        cx.report(Code::ShortGrant, google.testing.span, message).help(help);
    }
}

/// Warns of scopes that Google refuses to a device.
fn device(oauth: &OAuth2Section, cx: &mut Decoder) {
    let Some(url) = &oauth.device_url else { return };
    let host = url.0.split('/').nth(2).unwrap_or_default();
    let at_google = |of: &str| host == of || host.ends_with(&format!(".{of}"));
    if !GOOGLE_HOSTS.iter().any(|of| at_google(of)) {
        return;
    }
    for scope in &oauth.scopes.0 {
        let full = google_scope(&scope.value.0);
        let short = full.strip_prefix(GOOGLE).unwrap_or(&full);
        if !is_identity(&full) && !DEVICE.contains(&short) {
            let message = format!("Google's device flow can't carry the scope `{}`", scope.value.0);
            let help = "log in with a browser or with `jadactl auth login --remote`, or use \
                        `google_service_account`";
            cx.report(Code::NotForDevices, scope.span, message).help(help);
        }
    }
}

fn is_identity(scope: &str) -> bool {
    let short = scope.strip_prefix(GOOGLE).unwrap_or(scope);
    matches!(short, "openid" | "userinfo.email" | "userinfo.profile")
}
