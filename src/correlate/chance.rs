//! How large a correlation chance makes, so that ground with nothing in common gets no value.
//!
//! N independent pixels without any relation correlate with a standard deviation of 1/√N; neighbouring pixels that are alike
//! count as fewer, N / Σρ² (Bartlett 1935). The largest of n such numbers exceeds √(2 ln(n/p)) standard deviations with a
//! probability of at most p.

use super::scene::Scene;
use crate::pipeline::Params;

/// Probability that a window gets a value by chance.
const PROBABILITY: f64 = 2e-3;
/// Most pixels that count as one.
const MOST_ALIKE: f64 = 8.0;

/// The least correlation that is believed, in units of 1/√N, N the window's pixels.
pub fn least(params: &Params, scene: &Scene) -> f64 {
    let places = (2.0 * params.search.0 + 1.0) * (2.0 * params.search.1 + 1.0);
    (2.0 * (places / PROBABILITY).ln() * scene.alike.min(MOST_ALIKE)).sqrt()
}
