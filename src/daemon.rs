//! Settings, wiring, signals, orderly stop.
