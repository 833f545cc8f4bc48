//! Weights of the pixels of a matching window (`--taper`).
//!
//! A box is the most precise where the motion is the same all over the window. A taper gives a sharper map of motion
//! that changes, at the price of 1.3 to 1.5 times the sigma of the box of the same size.

/// Shape of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Taper {
    /// All pixels count the same.
    #[default]
    Box,
    /// Gaussian with a standard deviation of a quarter of the window's side, along both axes.
    Gaussian,
    /// Raised cosine, zero just outside the window.
    Hann,
}

impl Taper {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Taper::Box => "box",
            Taper::Gaussian => "gaussian",
            Taper::Hann => "hann",
        }
    }

    /// Weights 0 to 1 of a window's pixels, row by row; `None` for the box.
    pub fn weights(self, (w, h): (usize, usize)) -> Option<Vec<f32>> {
        let along = |n: usize| -> Vec<f64> {
            let value = |i: usize| {
                let t = (i as f64 + 0.5) / n as f64;
                match self {
                    Taper::Box => 1.0,
                    Taper::Gaussian => (-0.5 * ((t - 0.5) / 0.25).powi(2)).exp(),
                    Taper::Hann => (std::f64::consts::PI * t).sin().powi(2),
                }
            };
            (0..n).map(value).collect()
        };
        let (x, y) = (along(w), along(h));
        let plane = || y.iter().flat_map(|v| x.iter().map(move |u| (u * v) as f32)).collect();
        (self != Taper::Box).then(plane)
    }
}

/// Number of equally weighted samples with the same variance of a mean: (Σw)²/Σw².
pub fn effective_samples(weights: &[f32]) -> f64 {
    let sum = weights.iter().map(|&w| w as f64).sum::<f64>();
    let squares = weights.iter().map(|&w| (w as f64).powi(2)).sum::<f64>();
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tapers_are_symmetric_and_have_their_known_effective_area() {
        assert!(Taper::Box.weights((8, 8)).is_none());
        for (taper, share) in [(Taper::Hann, 4.0 / 9.0), (Taper::Gaussian, 0.65)] {
            let (w, h) = (31, 24);
            let v = taper.weights((w, h)).unwrap();
            for k in 0..w * h {
                assert!((v[k] - v[w * h - 1 - k]).abs() < 1e-6 && (0.0..=1.0).contains(&v[k]));
            }
            let got = effective_samples(&v) / (w * h) as f64;
            assert!((got - share).abs() < 0.02, "{taper:?} {got}");
        }
    }
}
