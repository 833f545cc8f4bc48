//! The one error type. Every message names the value at fault and what to do next.
use std::path::PathBuf;

/// Result with the crate's [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Everything that can go wrong, in the user's terms.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An input could not be opened or is not usable as a raster or layer.
    #[error("cannot open {path}: {why}")]
    Open { path: String, why: String },
    /// Pixels could not be read, e.g. from a truncated file.
    #[error("cannot read {path}: {why}")]
    Read { path: String, why: String },
    /// The output could not be created, written or renamed.
    #[error("cannot write {path}: {why}")]
    Write { path: String, why: String },
    /// The output is there already.
    #[error("{} exists already: add --overwrite to replace it", .0.display())]
    Exists(PathBuf),
    /// The two images do not lie on comparable grids; the text names both and the remedy.
    #[error("{0}")]
    GridMismatch(String),
    /// An option has an unusable value.
    #[error("{}: {why}", option_text(name, value))]
    Option { name: String, value: String, why: String },
    /// The data cannot give a result (all nodata, no texture, no overlap); the text says what to do.
    #[error("{0}")]
    Data(String),
    /// The user or the host program stopped the run.
    #[error("stopped on request; nothing was written")]
    Cancelled,
    /// A defect of shiftmap itself.
    #[error("internal error: {0}; please report it with the command line")]
    Internal(String),
}

/// `--window 3`, or `WINDOW=3` for an option given as `KEY=VALUE`.
fn option_text(name: &str, value: &str) -> String {
    match name.starts_with(|c: char| c.is_ascii_uppercase()) {
        true => format!("{name}={value}"),
        false => format!("{name} {value}"),
    }
}

impl Error {
    /// An [`Error::Option`] from anything printable.
    pub fn option(name: &str, value: impl std::fmt::Display, why: impl Into<String>) -> Self {
        Error::Option { name: name.into(), value: value.to_string(), why: why.into() }
    }
}
