//! How large a correlation chance makes, so that ground with nothing in common gets no value.
//!
//! The Fisher transform artanh(r) of the correlation of N unrelated independent pixels is normal with a standard deviation
//! 1/√(N-3) (Fisher 1921); neighbouring pixels that are alike count as fewer, N / Σρ² (Bartlett 1935). The largest of n such
//! numbers exceeds √(2 ln(n/p)) standard deviations with a probability of at most p.

use super::scene::Scene;
use crate::pipeline::Params;

/// Probability that a window gets a value by chance.
const PROBABILITY: f64 = 2e-3;
/// Most pixels that count as one.
const MOST_ALIKE: f64 = 8.0;
/// Windows so small that chance reaches a higher correlation are left to their neighbours' judgement.
const HIGHEST: f64 = 0.55;

/// What chance can do in a search of this scene.
#[derive(Debug, Clone, Copy)]
pub struct Chance {
    /// Standard deviations that the best place of a search reaches.
    deviations: f64,
    /// Pixels that count as one.
    alike: f64,
}

impl Chance {
    pub fn new(params: &Params, scene: &Scene) -> Chance {
        let places = (2.0 * params.search.0 + 1.0) * (2.0 * params.search.1 + 1.0);
        Chance { deviations: (2.0 * (places / PROBABILITY).ln()).sqrt(), alike: scene.alike.min(MOST_ALIKE) }
    }

    /// The least correlation of a window of so many pixels that is believed.
    pub fn least(&self, pixels: f64) -> f64 {
        let independent = (pixels / self.alike - 3.0).max(1.0);
        (self.deviations / independent.sqrt()).tanh().min(HIGHEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_windows_believe_small_correlations_and_tiny_ones_good_matches() {
        let c = Chance { deviations: 5.0, alike: 2.0 };
        assert!((c.least(64.0 * 64.0) - 5.0 / 45.2).abs() < 2e-3);
        assert!((c.least(16.0 * 16.0) - (5.0f64 / 125f64.sqrt()).tanh()).abs() < 1e-12);
        assert_eq!(c.least(35.0), HIGHEST);
        assert_eq!(c.least(0.0), HIGHEST);
    }
}
