//! Intake tests.
