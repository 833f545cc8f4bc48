//! Without the feature `onnx`: no network can be made, so none is ever run.

use super::{Model, NetOptions, runtime};
use crate::{Error, Result};

/// An input: name, shape and values.
pub struct Input<'a> {
    pub name: &'static str,
    pub shape: Vec<usize>,
    pub values: &'a [f32],
}

/// What comes out.
pub struct Output {
    pub displacement: Vec<f32>,
    pub log_scale: Option<Vec<f32>>,
}

/// A network that cannot be made.
pub struct Network(());

impl Network {
    /// # Errors
    /// Always.
    pub fn new(_: &Model, options: &NetOptions) -> Result<Network> {
        runtime::load(options.onnxruntime.as_deref()).map(|_| Network(()))
    }

    pub fn takes_pair(&self) -> bool {
        false
    }

    pub fn takes_start(&self) -> bool {
        false
    }

    pub fn takes_features(&self) -> bool {
        false
    }

    pub fn takes(&self, _: &str) -> bool {
        false
    }

    pub fn gives_scale(&self) -> bool {
        false
    }

    /// # Errors
    /// Always.
    pub fn run(&mut self, inputs: &[Input], shape: &[usize]) -> Result<Output> {
        let sizes: usize =
            inputs.iter().map(|i| i.name.len() + i.shape.len() + i.values.len()).sum::<usize>() + shape.len();
        Err(Error::Internal(format!("a network without ONNX Runtime ({sizes})")))
    }
}
