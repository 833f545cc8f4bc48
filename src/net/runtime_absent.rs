//! Without the feature `onnx`: networks are refused.

use crate::{Error, Result};
use std::path::PathBuf;

/// The library in use: there is none.
#[derive(Clone)]
pub struct Runtime {
    pub library: PathBuf,
    pub version: String,
}

/// # Errors
/// Always: this program was built without ONNX Runtime.
pub fn load(_: Option<&str>) -> Result<Runtime> {
    Err(Error::Data("this shiftmap was built without networks; build it with `--features onnx`".into()))
}

pub fn devices(_: &Runtime) -> Vec<&'static str> {
    Vec::new()
}
