//! From symptoms to the root cause: the evidence graph behind `jadactl doctor`, and behind the root that an
//! incident names.
//!
//! Owns the graph, the walk, the verdict and its words. Pure but for its probes and the snapshot it takes of
//! the store. Refuses to open incidents (`engine/`) and to tell anybody (`alerts/`).
