//! What the token server answers.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::PoisonError;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::{Value as Json, json};

use super::http::{Answer, Request, pairs, read, write};
use super::{
    CLIENT, Code, Decision, Device, Family, Fault, PUBLIC, Refresh, SECRET, Shared, State,
};

/// Answers one request.
pub fn serve(mut stream: TcpStream, shared: &Shared, address: SocketAddr) {
    let lock = || shared.state.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(lock().next_fault(true), Some(Fault::Reset)) {
        // What is unread makes the close a reset.
        return;
    }
    let Ok(request) = read(&stream) else { return };
    let mut state = lock();
    let at_token = request.path == "/token" || request.path.ends_with("/access_tokens");
    state.seen.push(request.clone());
    let fault = if at_token { state.next_fault(false) } else { None };
    let date = state.date();
    let text = match &fault {
        Some(Fault::Answer { status, headers, body }) => {
            let answer = Answer { status: *status, headers: headers.clone(), body: body.clone() };
            answer.text(&date)
        }
        Some(Fault::Reset | Fault::Hang) => String::new(),
        Some(Fault::LoseAnswer | Fault::TearAnswer) | None => {
            state.answer(&request, address).text(&date)
        }
    };
    drop(state);
    shared.changed.notify_all();
    match fault {
        // The other side has to give up.
        Some(Fault::Hang) => drop(stream.read(&mut [0])),
        Some(Fault::LoseAnswer) => {}
        Some(Fault::TearAnswer) => write(&stream, &text[..text.len() - 20]),
        _ => write(&stream, &text),
    }
}

impl State {
    /// The fault of this call. A reset is due before the request is read, all others after.
    fn next_fault(&mut self, unread: bool) -> Option<Fault> {
        let due = self.faults.front().or(self.standing_fault.as_ref())?.clone();
        if matches!(due, Fault::Reset) != unread {
            return None;
        }
        self.faults.pop_front();
        Some(due)
    }

    fn seconds(&self) -> i64 {
        (self.now)() + self.skew
    }

    fn date(&self) -> String {
        let at = Timestamp::from_second(self.seconds()).expect("a moment");
        DateTimePrinter::new().timestamp_to_rfc9110_string(&at).expect("a date")
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A person consents: the refresh token of the new grant.
    pub fn consent(&mut self, scopes: &str) -> String {
        let family = self.number();
        self.families.insert(family, Family { scopes: scopes.to_owned(), revoked: false });
        self.refresh_token(family)
    }

    fn refresh_token(&mut self, family: u64) -> String {
        let token = format!("canary-refresh-{}", self.number());
        self.refresh.insert(token.clone(), Refresh { family, spent: false });
        token
    }

    pub fn takes(&self, access: &str) -> bool {
        let family = self.access.get(access);
        family.is_some_and(|family| self.families.get(family).is_none_or(|found| !found.revoked))
    }

    fn answer(&mut self, request: &Request, address: SocketAddr) -> Answer {
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/token") => self.token(request),
            ("POST", "/device") => self.device(request, address),
            ("POST", "/revoke") => self.revoke(request),
            ("GET", "/authorize") => self.authorize(request),
            ("GET", "/api") => self.api(request),
            ("GET", "/.well-known/openid-configuration") => metadata(address),
            ("POST", path) if path.starts_with("/app/installations/") => self.installation(request),
            _ => Answer { status: 404, headers: Vec::new(), body: String::new() },
        }
    }

    fn token(&mut self, request: &Request) -> Answer {
        let field = |name: &str| request.form.get(name).cloned().unwrap_or_default();
        let by_assertion = field("grant_type").ends_with(":jwt-bearer");
        if !by_assertion && !knows_client(request) {
            return refuse(401, "invalid_client");
        }
        match field("grant_type").as_str() {
            "refresh_token" => self.refreshed(&field("refresh_token")),
            "authorization_code" => self.traded(request),
            "client_credentials" => self.handed_out(0, &field("scope"), None),
            "urn:ietf:params:oauth:grant-type:device_code" => self.polled(&field("device_code")),
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => self.asserted(&field("assertion")),
            _ => refuse(400, "unsupported_grant_type"),
        }
    }

    fn refreshed(&mut self, token: &str) -> Answer {
        let Some(found) = self.refresh.get_mut(token) else { return refuse(400, "invalid_grant") };
        let (family, spent) = (found.family, found.spent);
        if self.rotates {
            found.spent = true;
        }
        let grant = self.families.get_mut(&family).expect("tokens have families");
        // Whoever shows a spent token may be a thief: the whole grant ends.
        grant.revoked |= spent;
        if grant.revoked {
            return refuse(400, "invalid_grant");
        }
        let scopes = grant.scopes.clone();
        let next = self.rotates.then(|| self.refresh_token(family));
        self.handed_out(family, &scopes, next)
    }

    fn handed_out(&mut self, family: u64, scopes: &str, refresh: Option<String>) -> Answer {
        self.exchanges += 1;
        let access = format!("canary-access-{}", self.number());
        self.access.insert(access.clone(), family);
        let mut body = json!({ "access_token": access, "token_type": "Bearer" });
        body["scope"] = self.granted.clone().unwrap_or_else(|| scopes.to_owned()).into();
        if !self.expires_in.is_empty() {
            body["expires_in"] = serde_json::from_str(&self.expires_in).expect("JSON");
        }
        if let Some(refresh) = refresh {
            body["refresh_token"] = refresh.into();
        }
        if self.google {
            body["refresh_token_expires_in"] = 604_799.into();
        }
        if scopes.split(' ').any(|scope| scope == "openid") {
            let claims = json!({ "sub": "1", "email": self.account }).to_string();
            body["id_token"] = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)).into();
        }
        Answer::json(200, &body)
    }

    /// A person who consents at once, and is sent back.
    fn authorize(&mut self, request: &Request) -> Answer {
        let field = |name: &str| request.query.get(name).cloned().unwrap_or_default();
        let code = format!("canary-code-{}", self.number());
        let waiting = Code {
            challenge: field("code_challenge"),
            redirect: field("redirect_uri"),
            scopes: field("scope"),
        };
        self.codes.insert(code.clone(), waiting);
        let back = format!("{}?code={code}&state={}", field("redirect_uri"), field("state"));
        let headers = vec![("Location".to_owned(), back)];
        Answer { status: 302, headers, body: String::new() }
    }

    fn traded(&mut self, request: &Request) -> Answer {
        let field = |name: &str| request.form.get(name).cloned().unwrap_or_default();
        let Some(code) = self.codes.remove(&field("code")) else {
            return refuse(400, "invalid_grant");
        };
        let verifier = field("code_verifier");
        let digest = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
        let proven = URL_SAFE_NO_PAD.encode(digest) == code.challenge;
        if !proven || code.redirect != field("redirect_uri") {
            return refuse(400, "invalid_grant");
        }
        self.consented(&code.scopes)
    }

    fn consented(&mut self, scopes: &str) -> Answer {
        let refresh = self.consent(scopes);
        let family = self.refresh[&refresh].family;
        self.handed_out(family, scopes, Some(refresh))
    }

    fn device(&mut self, request: &Request, address: SocketAddr) -> Answer {
        if !knows_client(request) {
            return refuse(401, "invalid_client");
        }
        let number = self.number();
        let code = format!("canary-device-{number}");
        let user_code = format!("USER-{number}");
        let scopes = request.form.get("scope").cloned().unwrap_or_default();
        let waiting = Device { user_code: user_code.clone(), scopes, decision: Decision::Pending };
        self.devices.insert(code.clone(), waiting);
        let body = json!({
            "device_code": code,
            "user_code": user_code,
            "verification_uri": format!("http://{address}/activate"),
            "expires_in": 600,
            "interval": 5,
        });
        Answer::json(200, &body)
    }

    fn polled(&mut self, code: &str) -> Answer {
        let Some(device) = self.devices.get_mut(code) else {
            return refuse(400, "invalid_grant");
        };
        match device.decision {
            Decision::Pending => refuse(400, "authorization_pending"),
            Decision::SlowDownOnce => {
                device.decision = Decision::Pending;
                refuse(400, "slow_down")
            }
            Decision::Denied => refuse(403, "access_denied"),
            Decision::Expired => refuse(400, "expired_token"),
            Decision::Consented => {
                let scopes = device.scopes.clone();
                self.devices.remove(code);
                self.consented(&scopes)
            }
        }
    }

    fn asserted(&mut self, statement: &str) -> Answer {
        let Some(claims) = claims(statement) else { return refuse(400, "invalid_grant") };
        let at = |name: &str| claims[name].as_i64().unwrap_or_default();
        let now = self.seconds();
        if at("iat") > now || at("exp") <= now || at("exp") - at("iat") > 3600 {
            return refuse(400, "invalid_grant");
        }
        let scopes = claims["scope"].as_str().unwrap_or_default().to_owned();
        self.handed_out(0, &scopes, None)
    }

    fn installation(&mut self, request: &Request) -> Answer {
        let bearer = request.headers.get("authorization").cloned().unwrap_or_default();
        let claims = claims(bearer.trim_start_matches("Bearer ")).unwrap_or_default();
        let at = |name: &str| claims[name].as_i64().unwrap_or_default();
        let now = self.seconds();
        if at("iat") > now || at("exp") <= now || at("exp") - at("iat") > 600 {
            return Answer::json(
                401,
                &json!({ "message": "A JSON web token could not be decoded" }),
            );
        }
        self.exchanges += 1;
        let ends = Timestamp::from_second(now + 3600).expect("a moment").to_string();
        let token = format!("canary-installation-{}", self.number());
        self.access.insert(token.clone(), 0);
        Answer::json(201, &json!({ "token": token, "expires_at": ends }))
    }

    fn revoke(&mut self, request: &Request) -> Answer {
        let token = request.form.get("token").cloned().unwrap_or_default();
        let family = self.refresh.get(&token).map(|found| found.family);
        let family = family.or_else(|| self.access.get(&token).copied());
        if let Some(family) = family.and_then(|family| self.families.get_mut(&family)) {
            family.revoked = true;
        }
        Answer::json(200, &json!({}))
    }

    fn api(&mut self, request: &Request) -> Answer {
        let bearer = request.headers.get("authorization").cloned().unwrap_or_default();
        if self.takes(bearer.trim_start_matches("Bearer ")) {
            return Answer::json(200, &json!({ "ok": true }));
        }
        let header = ("WWW-Authenticate".to_owned(), r#"Bearer error="invalid_token""#.to_owned());
        Answer { status: 401, headers: vec![header], body: String::new() }
    }
}

fn refuse(status: u16, code: &str) -> Answer {
    // The same words for every cause: what reads them learns nothing.
    let body = json!({ "error": code, "error_description": "grant request is invalid" });
    Answer::json(status, &body)
}

fn metadata(address: SocketAddr) -> Answer {
    let url = |path: &str| format!("http://{address}{path}");
    Answer::json(
        200,
        &json!({
            "issuer": format!("http://{address}"),
            "token_endpoint": url("/token"),
            "authorization_endpoint": url("/authorize"),
            "device_authorization_endpoint": url("/device"),
            "revocation_endpoint": url("/revoke"),
        }),
    )
}

fn knows_client(request: &Request) -> bool {
    let basic = request.headers.get("authorization").and_then(|value| {
        let packed = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
        let text = String::from_utf8(packed).ok()?;
        let (id, secret) = text.split_once(':')?;
        // Each half is form-encoded on its own.
        let plain = |text: &str| pairs(&format!("v={text}")).remove("v");
        Some((plain(id)?, plain(secret)?))
    });
    let field = |name: &str| request.form.get(name).cloned().unwrap_or_default();
    let (id, secret) = basic.unwrap_or_else(|| (field("client_id"), field("client_secret")));
    match id.as_str() {
        CLIENT => secret == SECRET,
        PUBLIC => secret.is_empty(),
        _ => false,
    }
}

/// The claims of a statement. Its signature is not looked at.
fn claims(statement: &str) -> Option<Json> {
    let packed = URL_SAFE_NO_PAD.decode(statement.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&packed).ok()
}
