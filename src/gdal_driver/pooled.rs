//! A worker that owns what it borrows, so that it can wait for the next tile with its files open.

use crate::Result;
use crate::engine::{Engine, Worker};
use crate::field::Measurement;
use crate::grid::{Grid, Window};
use crate::job::Prepared;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// See the module.
pub struct Pooled {
    /// Dropped before what it borrows from.
    worker: Worker<'static>,
    engine: Arc<Engine>,
    _images: Arc<Prepared>,
}

// SAFETY: a worker owns open datasets, coordinate transformations and buffers. GDAL allows a dataset and a
// transformation to be used from any thread, one at a time, and moving a worker out of a `Pooled` is impossible, so
// nothing it shares within itself is ever seen by two threads. What it borrows (engine, images) is `Sync`.
unsafe impl Send for Pooled {}

impl Pooled {
    pub fn new(engine: Arc<Engine>, images: Arc<Prepared>) -> Result<Pooled> {
        let worker = engine.worker(&images.pair())?;
        // SAFETY: the worker borrows from the engine and the images only, which this value keeps alive behind `Arc`s
        // (they do not move) and drops after the worker.
        let worker = unsafe { std::mem::transmute::<Worker<'_>, Worker<'static>>(worker) };
        Ok(Pooled { worker, engine, _images: images })
    }

    pub fn is_for(&self, engine: &Arc<Engine>) -> bool {
        Arc::ptr_eq(&self.engine, engine)
    }

    /// Measures a tile.
    ///
    /// # Errors
    /// Unreadable images.
    pub fn tile(&mut self, tile: Window) -> Result<Grid<Measurement>> {
        self.worker.tile(tile, &AtomicBool::new(false))
    }
}
