//! Exit codes: part of the contract, the same in every sidecar.

use std::{fmt, process::ExitCode};

/// Why a process ended. The numbers are those of `sysexits.h`, so that scripts and people can look them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or stopped by a signal with nothing left undone.
    Clean,
    /// A flag or variable is wrong.
    Usage,
    /// Something waited for never came.
    Unavailable,
    /// A part failed or panicked: ours to mend.
    Bug,
    /// The shutdown deadline passed with work left.
    Unfinished,
    /// A config file is wrong, or a port is taken.
    Config,
    /// A code the operator asked for.
    Other(u8),
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Bug => 70,
            Self::Unfinished => 75,
            Self::Config => 78,
            Self::Other(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why the process, or one part of it, cannot go on. Each problem is one line for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    pub problems: Vec<String>,
}

impl Failure {
    pub fn new(exit: Exit, problem: impl Into<String>) -> Self {
        Self { exit, problems: vec![problem.into()] }
    }

    pub fn config(problem: impl Into<String>) -> Self {
        Self::new(Exit::Config, problem)
    }

    pub fn bug(problem: impl Into<String>) -> Self {
        Self::new(Exit::Bug, problem)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("; "))
    }
}
