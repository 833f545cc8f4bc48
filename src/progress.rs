//! Progress and cancel in one callback.

/// Receives the fraction done; returns `false` to stop the run. Called only from the thread that started the run.
pub trait Progress {
    fn report(&mut self, fraction: f64, message: &str) -> bool;
}

impl<F: FnMut(f64, &str) -> bool> Progress for F {
    fn report(&mut self, fraction: f64, message: &str) -> bool {
        self(fraction, message)
    }
}

/// Never prints, never stops.
pub struct Silent;

impl Progress for Silent {
    fn report(&mut self, _: f64, _: &str) -> bool {
        true
    }
}
