//! The straight line through a window that best separates two candidate displacements.

/// A line through a window: pixels with n·x > ρ, n = (cos θ, sin θ), x from the window's centre, are on its positive
/// side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowLine {
    pub theta: f64,
    pub rho: f64,
}

/// Distance over which a pixel's weight rises from 0 to 1 beside the line, pixels.
const EDGE: f64 = 1.0;
/// Directions of the first search, bins a pixel across the line.
const DIRECTIONS: usize = 24;
const BINS: usize = 2;

impl WindowLine {
    /// Signed distance of a point (from the window's centre).
    pub fn distance(&self, x: f64, y: f64) -> f64 {
        self.theta.cos() * x + self.theta.sin() * y - self.rho
    }

    /// Weights of the pixels of one side, row by row; `positive` chooses it.
    pub fn weights(&self, window: (usize, usize), positive: bool) -> Vec<f32> {
        let (cos, sin) = (self.theta.cos(), self.theta.sin());
        let sign = if positive { 1.0 } else { -1.0 };
        let (mx, my) = middle(window);
        let at = |k: usize| ((k % window.0) as f64 - mx, (k / window.0) as f64 - my);
        (0..window.0 * window.1)
            .map(|k| {
                let (x, y) = at(k);
                (sign * (cos * x + sin * y - self.rho) / EDGE).clamp(0.0, 1.0) as f32
            })
            .collect()
    }
}

fn middle(window: (usize, usize)) -> (f64, f64) {
    ((window.0 as f64 - 1.0) / 2.0, (window.1 as f64 - 1.0) / 2.0)
}

/// The line with the least sum of `difference` (the squared residual of the positive side's displacement minus that of
/// the other, row by row) on its positive side, and that sum. `near` narrows the search to its surroundings.
pub fn best_line(difference: &[f32], window: (usize, usize), near: Option<WindowLine>) -> (WindowLine, f64) {
    let whole = std::f64::consts::TAU;
    let thetas: Vec<f64> = match near {
        None => (0..DIRECTIONS).map(|i| whole * i as f64 / DIRECTIONS as f64).collect(),
        Some(line) => (-6..=6).map(|i| line.theta + whole * i as f64 / (6 * DIRECTIONS) as f64).collect(),
    };
    let mut best = (WindowLine { theta: 0.0, rho: 0.0 }, f64::INFINITY);
    each_line(difference, window, &thetas, near.is_some(), |line, sum| {
        if sum < best.1 {
            best = (line, sum);
        }
    });
    best
}

/// Variance of the line's distance from the window's centre: every line around `line` counts with its likelihood, a
/// Gaussian's of the residuals. `scale` is the number of independent pixels in a pixel over the variance of the residual.
pub fn variance(difference: &[f32], window: (usize, usize), line: WindowLine, scale: f64) -> f64 {
    let thetas: Vec<f64> =
        (-6..=6).map(|i| line.theta + std::f64::consts::TAU * i as f64 / (6 * DIRECTIONS) as f64).collect();
    let mut sums = Vec::new();
    each_line(difference, window, &thetas, true, |l, sum| sums.push((sum, l.rho)));
    let least = sums.iter().map(|s| s.0).fold(f64::INFINITY, f64::min);
    let (mut all, mut first, mut second) = (0.0, 0.0, 0.0);
    for (sum, rho) in sums {
        let likelihood = (-0.5 * scale * (sum - least)).exp();
        let away = rho - line.rho;
        (all, first, second) = (all + likelihood, first + likelihood * away, second + likelihood * away * away);
    }
    (second / all - (first / all).powi(2)).max(0.0)
}

/// Calls `found` with the lines of the directions `thetas` and the sums of `difference` on their positive sides.
fn each_line(
    difference: &[f32],
    window: (usize, usize),
    thetas: &[f64],
    fine: bool,
    mut found: impl FnMut(WindowLine, f64),
) {
    let (mx, my) = middle(window);
    let radius = mx.hypot(my) + 1.0;
    let bins = BINS * if fine { 2 } else { 1 };
    let count = (2.0 * radius * bins as f64).ceil() as usize + 1;
    let mut sums = vec![0.0f64; count];
    for &theta in thetas {
        sums.fill(0.0);
        let (cos, sin) = (theta.cos(), theta.sin());
        for y in 0..window.1 {
            let start = (sin * (y as f64 - my) - cos * mx + radius) * bins as f64;
            let step = cos * bins as f64;
            let row = &difference[y * window.0..(y + 1) * window.0];
            for (x, &v) in row.iter().enumerate() {
                sums[(start + step * x as f64) as usize] += v as f64;
            }
        }
        // Bin b holds distances from b / bins - radius on; the line lies at its lower end.
        let mut sum = 0.0;
        for b in (0..count).rev() {
            sum += sums[b];
            found(WindowLine { theta, rho: b as f64 / bins as f64 - radius }, sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_to_a_fraction_of_a_pixel() {
        let window = (32, 30);
        for (theta, rho) in [(0.3, 0.0), (2.1, 5.3), (4.0, -7.2), (5.5, 9.0)] {
            let truth = WindowLine { theta, rho };
            let difference: Vec<f32> = (0..window.0 * window.1)
                .map(|k| {
                    let d = truth.distance((k % window.0) as f64 - 15.5, (k / window.0) as f64 - 14.5);
                    // Deterministic noise larger than the signal.
                    let noise = ((k as u32).wrapping_mul(2654435761) >> 16) as f32 / 65536.0 - 0.5;
                    (if d > 0.0 { -1.0 } else { 1.0 }) + 3.0 * noise
                })
                .collect();
            let (coarse, _) = best_line(&difference, window, None);
            let (fine, cost) = best_line(&difference, window, Some(coarse));
            // At the line's point nearest to the centre.
            let (x, y) = (rho * theta.cos(), rho * theta.sin());
            assert!(fine.distance(x, y).abs() < 0.8, "{truth:?} {fine:?}");
            assert!((fine.theta - theta).sin().abs() < 0.09 && (fine.theta - theta).cos() > 0.0, "{truth:?} {fine:?}");
            assert!(cost < 0.0);
            // The less certain the pixels, the less certain the line.
            let [sure, unsure] = [1.0, 0.1].map(|share| variance(&difference, window, fine, share / 0.75));
            assert!(sure < 0.5 && unsure > 2.0 * sure, "{rho} {sure} {unsure}");
            let (a, b) = (fine.weights(window, true), fine.weights(window, false));
            assert!(a.iter().zip(&b).all(|(a, b)| a * b == 0.0 && a + b <= 1.0));
        }
    }
}
