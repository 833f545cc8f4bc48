//! A product that stays in memory.

use super::product::BANDS;
use crate::grid::Grid;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Six bands in memory, shared between who asks for them and the run that fills them.
#[derive(Debug, Clone, Default)]
pub struct MemoryProduct(Arc<Mutex<Vec<Grid<f32>>>>);

impl PartialEq for MemoryProduct {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl MemoryProduct {
    /// Takes the bands, in the order of [`BANDS`]; empty when no run has filled them.
    pub fn take(&self) -> Vec<Grid<f32>> {
        std::mem::take(&mut *self.bands())
    }

    pub(super) fn reserve(&self, width: usize, height: usize) {
        *self.bands() = BANDS.iter().map(|_| Grid::filled(width, height, f32::NAN)).collect();
    }

    pub(super) fn write(&self, x: usize, y: usize, width: usize, pieces: &[&[f32]]) {
        for (band, piece) in self.bands().iter_mut().zip(pieces) {
            for (row, values) in piece.chunks_exact(width).enumerate() {
                band.row_mut(y + row)[x..x + width].copy_from_slice(values);
            }
        }
    }

    fn bands(&self) -> MutexGuard<'_, Vec<Grid<f32>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
