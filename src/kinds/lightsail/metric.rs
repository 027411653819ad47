//! The metrics that the service has of an instance. Memory and disks are not among them: nobody sees those from
//! outside.
//!
//! Owns each one's statistic, unit and granularity, and how far back a value is looked for. Refuses to sum up.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::client::{Client, Trouble};

/// How far back a value is looked for: the service is up to ten minutes late.
const BACK: Duration = Duration::from_secs(20 * 60);

/// A metric, as the service has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kinds) struct Metric {
    /// Its name.
    pub(in crate::kinds) name: &'static str,
    /// What of a period is asked for.
    statistic: Statistic,
    /// The unit, in the service's own word.
    pub(in crate::kinds) unit: &'static str,
    /// Seconds of a period.
    period: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statistic {
    Average,
    Maximum,
    Sum,
}

const fn of(name: &'static str, statistic: Statistic, unit: &'static str, period: u32) -> Metric {
    Metric { name, statistic, unit, period }
}

/// Every metric that the service publishes of an instance.
pub(in crate::kinds) const METRICS: &[Metric] = &[
    of("CPUUtilization", Statistic::Average, "Percent", 300),
    of("BurstCapacityPercentage", Statistic::Average, "Percent", 300),
    of("BurstCapacityTime", Statistic::Average, "Seconds", 300),
    of("NetworkIn", Statistic::Sum, "Bytes", 300),
    of("NetworkOut", Statistic::Sum, "Bytes", 300),
    of("StatusCheckFailed", Statistic::Maximum, "Count", 60),
    of("StatusCheckFailed_Instance", Statistic::Maximum, "Count", 60),
    of("StatusCheckFailed_System", Statistic::Maximum, "Count", 60),
    of("MetadataNoToken", Statistic::Sum, "Count", 300),
];

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "metricData", default)]
    data: Vec<Point>,
}

#[derive(Deserialize)]
struct Point {
    timestamp: f64,
    average: Option<f64>,
    maximum: Option<f64>,
    sum: Option<f64>,
}

impl Client<'_> {
    /// The newest value of a metric, if there is one.
    pub(in crate::kinds) async fn newest(
        &self,
        instance: &str,
        metric: &Metric,
    ) -> Result<Option<f64>, Trouble> {
        let statistic = match metric.statistic {
            Statistic::Average => "Average",
            Statistic::Maximum => "Maximum",
            Statistic::Sum => "Sum",
        };
        let input = json!({
            "instanceName": instance,
            "metricName": metric.name,
            "period": metric.period,
            "startTime": self.seconds(BACK),
            "endTime": self.seconds(Duration::ZERO),
            "unit": metric.unit,
            "statistics": [statistic],
        });
        let answer: Answer = self.call("GetInstanceMetricData", &input).await?;
        // They come in no order.
        let newest = answer.data.iter().max_by(|a, b| a.timestamp.total_cmp(&b.timestamp));
        Ok(newest.and_then(|point| match metric.statistic {
            Statistic::Average => point.average,
            Statistic::Maximum => point.maximum,
            Statistic::Sum => point.sum,
        }))
    }
}
