//! Text to located values; the only place that knows the YAML crate. Diagnostics.
