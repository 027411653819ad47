//! By mail.
//!
//! Owns the message, the conversation with the server and what its refusals mean. Refuses to speak in clear to
//! any other host.

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, header};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Tls as Seal, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor};

use super::{Failure, Ways};
use crate::alerts::message::Message;
use crate::alerts::settings::{Email, Login, Tls};
use crate::credentials::keeper::{Need, Use};
use crate::credentials::mint::TokenValue;
use crate::model::{JobName, RunId};

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// Sends it.
pub(super) async fn tell(ways: &Ways, email: &Email, message: &Message) -> Result<String, Failure> {
    let mail = mail(email, message)?;
    let work = async {
        let transport = transport(ways, email).await?;
        let sent = transport.send(mail).await;
        sent.map(drop).map_err(|error| judge(&email.server, &error))
    };
    ways.within(email.timeout, work).await?;
    Ok(format!("{} took it", email.server))
}

fn mail(email: &Email, message: &Message) -> Result<Mail, Failure> {
    let address = |text: &String| {
        text.parse::<Mailbox>()
            .map_err(|error| Failure::settings(format!("`{text}` is no mail address: {error}")))
    };
    let domain = email.from.rsplit('@').next().unwrap_or("localhost").trim_end_matches('>');
    let mut building = Mail::builder()
        .from(address(&email.from)?)
        .subject(format!("[jada] {}", message.subject))
        .message_id(Some(format!("<{}@{domain}>", message.key)));
    for to in &email.to {
        building = building.to(address(to)?);
    }
    if let Some(incident) = message.incident {
        // One thread for each incident, whichever of its mails comes first.
        building = building.references(format!("<jada-incident-{incident}@{domain}>"));
    }
    // No vacation notice answers it.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    building
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .header(header::MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .body(format!("{}\n", message.text))
        .map_err(|error| Failure::settings(format!("no mail can be made of it: {error}")))
}

async fn transport(ways: &Ways, email: &Email) -> Result<Transport, Failure> {
    // Taken already where something else in this process speaks TLS, and then it is the same one.
    let _taken = rustls::crypto::ring::default_provider().install_default();
    let seal = match email.tls {
        Tls::Never => Seal::None,
        Tls::Always | Tls::Starttls => {
            let parameters = TlsParameters::new(email.server.clone())
                .map_err(|error| Failure::line(format!("TLS is not to be had: {error}")))?;
            if email.tls == Tls::Always {
                Seal::Wrapper(parameters)
            } else {
                Seal::Required(parameters)
            }
        }
    };
    let mut building = Transport::builder_dangerous(&email.server)
        .port(email.port)
        .tls(seal)
        .timeout(Some(email.timeout));
    if let Some((user, login)) = &email.login {
        let (user, password, mechanisms) = sign_in(ways, user, login).await?;
        building = building.credentials(Credentials::new(user, password));
        building = building.authentication(mechanisms);
    }
    Ok(building.build())
}

async fn sign_in(
    ways: &Ways,
    user: &str,
    login: &Login,
) -> Result<(String, String, Vec<Mechanism>), Failure> {
    let passwords = vec![Mechanism::Plain, Mechanism::Login];
    let name = match login {
        Login::Password(place) => {
            let password = ways.secret(place).await?;
            return Ok((user.to_owned(), password.expose().to_owned(), passwords));
        }
        Login::Credential(name) => name,
    };
    let whom = Use { job: JobName::parse("notifiers").expect("a legal name"), run: RunId(0) };
    let lease = ways.keeper(name)?.token(name, Need::default(), &whom).await;
    let lease = lease.map_err(|refused| Failure::settings(refused.words))?;
    match &lease.token.value {
        TokenValue::Bearer(token) => {
            Ok((user.to_owned(), token.expose().to_owned(), vec![Mechanism::Xoauth2]))
        }
        TokenValue::Basic { user, password } => {
            Ok((user.clone(), password.expose().to_owned(), passwords))
        }
        TokenValue::Header { .. } | TokenValue::Aws { .. } => {
            Err(Failure::settings(format!("{name} is nothing to sign in to a mail server with")))
        }
    }
}

/// What a refusal means: 5xx and what we can't do at all are for the settings, the rest for another try.
fn judge(server: &str, error: &lettre::transport::smtp::Error) -> Failure {
    use std::error::Error as _;
    let mut words = format!("{server}: {error}");
    if let Some(source) = error.source() {
        let source = source.to_string();
        if !words.contains(&source) {
            words = format!("{words}: {source}");
        }
    }
    if error.is_permanent() || error.is_client() {
        Failure::settings(words)
    } else {
        Failure::line(words)
    }
}
