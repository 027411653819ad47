//! Map tests.
