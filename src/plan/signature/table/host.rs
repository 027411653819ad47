//! Phrases of the host: its disks, its memory, its programs and its units.
//!
//! Owns the phrases. Refuses to know which of them goes before which (`table`).

pub(super) const INODES: &[&str] =
    &["no inodes left", "out of inodes", "inodes 100%", "no inode is left"];

pub(super) const FULL: &[&str] = &[
    "no space left on device",
    "enospc",
    "disk quota exceeded",
    "edquot",
    "database or disk is full",
    "sqlite_full",
    "storagefull",
    "the disk is full",
    "disk full",
    "not enough space on the disk",
    "could not extend file",
];

pub(super) const BROKEN: &[&str] = &[
    "read-only file system",
    "erofs",
    "input/output error",
    "disk i/o error",
    "database disk image is malformed",
    "structure needs cleaning",
];

pub(super) const OOM: &[&str] = &[
    "oom-kill",
    "oom killer",
    "oomkilled",
    "out of memory: killed process",
    "killed by the oom killer",
    "oom_kill",
    "killed for lack of memory",
];

pub(super) const MEMORY: &[&str] = &[
    "out of memory",
    "cannot allocate memory",
    "enomem",
    "memoryerror",
    "std::bad_alloc",
    "java.lang.outofmemoryerror",
    "javascript heap out of memory",
    "heap limit allocation failed",
    "memory allocation of",
    "the system has no memory left",
];

pub(super) const HANDLES: &[&str] = &[
    "too many open files",
    "emfile",
    "enfile",
    "no file descriptor left",
    "no room for another process",
    "fork: retry",
    "fork: resource temporarily unavailable",
    "can't start new thread",
];

pub(super) const NO_PROGRAM: &[&str] = &[
    "command not found",
    "there is no program",
    "the interpreter & does not exist",
    "needs a loader or library that does not exist",
    "bad interpreter",
    "modulenotfounderror",
    "no module named",
    "cannot find module",
    "executable file not found",
    "could not find or load main class",
    "error while loading shared libraries",
    "exec format error",
    "can't be run: it is not executable",
    "spawn & enoent",
    "/usr/bin/env & no such file or directory",
    "sh: 1 & not found",
];

pub(super) const UNIT_FAILED: &[&str] =
    &["main process exited, code=exited", "entered failed state", "failed with result"];

pub(super) const UNIT_GONE: &[&str] = &[
    "cannot connect to the docker daemon",
    "is the docker daemon running",
    "unit is not active",
    "could not be found & unit",
    "unit not found",
    "no such container",
    "no process is called",
];
