//! The JSON Schemas of job files and of `jada.yaml`, for editors.
//!
//! Owns their frame. Their content comes from the very types that decode the YAML, so that the two can't
//! disagree. Refuses to know where they are kept.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::json;

use super::config::SettingsSection;
use super::job::JobSection;

/// The schema of one document of a job file, as `schemas/job.schema.json` has it.
#[must_use]
pub fn job() -> String {
    schema::<JobSection>("A job of JADA")
}

/// The schema of `jada.yaml`, as `schemas/config.schema.json` has it.
#[must_use]
pub fn config() -> String {
    schema::<SettingsSection>("The settings of JADA")
}

fn schema<T: JsonSchema>(title: &str) -> String {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("title".to_owned(), json!(title));
    let text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    format!("{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_every_time() {
        assert_eq!(job(), job());
        assert_eq!(config(), config());
        assert!(job().contains("https://json-schema.org/draft/2020-12/schema"));
    }
}
