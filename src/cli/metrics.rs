//! `metrics`: the daemon in figures.
//!
//! Owns the line for CloudWatch. Refuses to know how a figure comes about.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value as Json, json};

use super::Session;
use super::exit::{Error, Exit, Result};
use crate::web::api::Sample;
use crate::web::client::Client;

/// The namespace in CloudWatch.
const NAMESPACE: &str = "JADA";

/// What CloudWatch takes in one line.
const METRICS_MAX: usize = 100;

/// Prints the daemon's figures: as Prometheus reads them, or as a line for CloudWatch.
///
/// The same text is on http://127.0.0.1:7411/metrics. The line has the figures of the daemon as a whole,
/// and of jobs, checks and credentials the worst one; give it to the CloudWatch agent.
#[derive(Debug, clap::Args)]
pub(super) struct MetricsArgs {
    /// One line in CloudWatch's embedded metric format
    #[arg(long, conflicts_with = "json")]
    emf: bool,
}

pub(super) async fn metrics(
    session: &mut Session,
    client: &Client,
    args: MetricsArgs,
) -> Result<Exit> {
    if session.print.json {
        session.print.json(&client.metrics().await?)?;
    } else if args.emf {
        let samples = client.metrics().await?;
        let node = session.config()?.settings.node.name;
        let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        let line = emf(&samples, &node.unwrap_or_else(host), super::now(client));
        session.print.data().write_all(format!("{line}\n").as_bytes()).map_err(Error::from)?;
    } else {
        let text = client.metrics_text().await?;
        session.print.data().write_all(text.as_bytes()).map_err(Error::from)?;
    }
    Ok(Exit::Done)
}

/// How figures of one name become one figure.
fn joined(name: &str, values: &[f64]) -> f64 {
    if name.ends_with("_days_left") {
        return values.iter().copied().fold(f64::INFINITY, f64::min);
    }
    if name.ends_with("_seconds") || name.ends_with("_verdict") {
        return values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    }
    values.iter().sum()
}

/// One line in the embedded metric format. It has one dimension, the node.
fn emf(samples: &[Sample], node: &str, now: Timestamp) -> Json {
    let mut by_name: BTreeMap<String, (String, Vec<f64>)> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| is_told(&sample.name)) {
        // A state is part of what is counted; a job, check or credential is not.
        let word = |key: &str| sample.labels.get(key).map(String::as_str);
        let state = word("state").or(word("severity")).unwrap_or_default();
        let name = camel(&format!("{}_{state}", sample.name.trim_start_matches("jada_")));
        by_name
            .entry(name)
            .or_insert_with(|| (sample.name.clone(), Vec::new()))
            .1
            .push(sample.value);
    }
    let mut root = Map::new();
    let mut told = Vec::new();
    for (name, (of, values)) in by_name.into_iter().take(METRICS_MAX) {
        told.push(json!({ "Name": name, "Unit": unit(&of) }));
        root.insert(name, json!(joined(&of, &values)));
    }
    root.insert("node".into(), json!(node));
    let directive = json!({ "Namespace": NAMESPACE, "Dimensions": [["node"]], "Metrics": told });
    let aws = json!({ "Timestamp": now.as_millisecond(), "CloudWatchMetrics": [directive] });
    root.insert("_aws".into(), aws);
    Json::Object(root)
}

/// Figures that mean nothing once they are joined, or beside the time that CloudWatch keeps itself.
fn is_told(name: &str) -> bool {
    !name.ends_with("_timestamp_seconds")
        && !name.ends_with("_info")
        && name != "jada_start_time_seconds"
}

fn unit(name: &str) -> &'static str {
    let units = [
        ("_seconds", "Seconds"),
        ("_bytes", "Bytes"),
        ("_days_left", "None"),
        ("_verdict", "None"),
    ];
    units.iter().find(|(end, _)| name.ends_with(end)).map_or("Count", |(_, unit)| unit)
}

/// `outbox_rows_held` as `OutboxRowsHeld`.
fn camel(name: &str) -> String {
    let part = |part: &str| {
        let mut letters = part.chars();
        letters.next().map_or_else(String::new, |first| {
            format!("{}{}", first.to_ascii_uppercase(), letters.as_str())
        })
    };
    name.split(['_', '-']).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Sample { name: name.into(), help: String::new(), labels, value }
    }

    #[test]
    fn one_line_with_the_worst_of_many() {
        let mut samples = vec![
            sample("jada_incidents_open", &[("severity", "error")], 2.0),
            sample("jada_incidents_open", &[("severity", "warning")], 1.0),
            sample("jada_credential_days_left", &[("credential", "a")], 40.0),
            sample("jada_credential_days_left", &[("credential", "b")], 6.5),
            sample("jada_last_success_timestamp_seconds", &[("job", "a")], 1.0e9),
        ];
        for job in 0..500 {
            let name = format!("job-{job}");
            samples.push(sample(
                "jada_last_success_age_seconds",
                &[("job", &name)],
                f64::from(job),
            ));
            samples.push(sample("jada_slots_last_day", &[("job", &name), ("state", "ran")], 2.0));
        }
        let line = emf(&samples, "box", "2026-11-25T09:00:00Z".parse().unwrap());
        insta::assert_snapshot!(line, @r#"{"CredentialDaysLeft":6.5,"IncidentsOpenError":2.0,"IncidentsOpenWarning":1.0,"LastSuccessAgeSeconds":499.0,"SlotsLastDayRan":1000.0,"_aws":{"CloudWatchMetrics":[{"Dimensions":[["node"]],"Metrics":[{"Name":"CredentialDaysLeft","Unit":"None"},{"Name":"IncidentsOpenError","Unit":"Count"},{"Name":"IncidentsOpenWarning","Unit":"Count"},{"Name":"LastSuccessAgeSeconds","Unit":"Seconds"},{"Name":"SlotsLastDayRan","Unit":"Count"}],"Namespace":"JADA"}],"Timestamp":1795597200000},"node":"box"}"#);
    }
}
