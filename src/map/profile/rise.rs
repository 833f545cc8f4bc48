//! How wide a step is: an error function between the straight lines of the two sides.

use libm::erf;

use super::fit::nmad;

/// A step at `centre` that rises from 10 to 90 % over `width`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Rise {
    pub centre: f64,
    pub centre_sigma: f64,
    /// Distance from 10 to 90 % of the step.
    pub width: f64,
    pub width_sigma: f64,
    /// Height of the step.
    pub step: f64,
}

/// 10 to 90 % of a normal distribution in standard deviations.
pub const RISE: f64 = 2.563_103_131_089_201;

/// Fits (1 - F) L + F R with lines L and R through the points with d < -`core` and d > `core` and F the cumulative normal
/// distribution. `points` are distance, value and weight; `correlated` is the number of neighbouring points that share
/// their error. `None` when there are too few points on a side or the step is lost in the scatter.
pub fn rise(points: &[(f64, f64, f64)], core: f64, correlated: f64) -> Option<Rise> {
    let (left, right) = (line(points.iter().filter(|p| p.0 < -core))?, line(points.iter().filter(|p| p.0 > core))?);
    let at = |l: (f64, f64), d: f64| l.0 + l.1 * d;
    let step = at(right, 0.0) - at(left, 0.0);
    let outside = points.iter().filter(|p| p.0.abs() > core);
    let scatter = nmad(&outside.map(|p| p.1 - at(if p.0 < 0.0 { left } else { right }, p.0)).collect::<Vec<f64>>());
    if step.abs() <= 3.0 * scatter || step == 0.0 {
        return None;
    }
    let model = |d: f64, centre: f64, s: f64| {
        let f = 0.5 * (1.0 + erf((d - centre) / (s * std::f64::consts::SQRT_2)));
        at(left, d) * (1.0 - f) + at(right, d) * f
    };
    let misfit =
        |centre: f64, s: f64| -> f64 { points.iter().map(|p| p.2 * (p.1 - model(p.0, centre, s)).powi(2)).sum() };
    // Coarse to fine on centre and logarithm of the width.
    let spacing = points.windows(2).map(|p| p[1].0 - p[0].0).fold(f64::INFINITY, f64::min);
    let (low, high) = ((0.05 * spacing).ln(), (2.0 * core.max(spacing)).ln());
    let mut best = (0.0, 0.5 * (low + high));
    let (mut reach, mut span) = (core.max(spacing), 0.5 * (high - low));
    for _ in 0..14 {
        let grid = |k: i32| f64::from(k) / 6.0;
        let mut found = (f64::INFINITY, best);
        for i in -6..=6 {
            for j in -6..=6 {
                let at = (best.0 + grid(i) * reach, (best.1 + grid(j) * span).clamp(low, high));
                let value = misfit(at.0, at.1.exp());
                if value < found.0 {
                    found = (value, at);
                }
            }
        }
        best = found.1;
        (reach, span) = (0.45 * reach, 0.45 * span);
    }
    let (centre, s) = (best.0, best.1.exp());
    // Curvature of the misfit: linearised least squares.
    let (hc, hs) = (1e-3 * s.max(spacing), 1e-3 * s);
    let (mut cc, mut cs, mut ss, mut weight) = (0.0, 0.0, 0.0, 0.0);
    for p in points {
        let dc = (model(p.0, centre + hc, s) - model(p.0, centre - hc, s)) / (2.0 * hc);
        let ds = (model(p.0, centre, s + hs) - model(p.0, centre, s - hs)) / (2.0 * hs);
        cc += p.2 * dc * dc;
        cs += p.2 * dc * ds;
        ss += p.2 * ds * ds;
        weight += p.2;
    }
    let variance = misfit(centre, s) / weight * points.len() as f64 / (points.len() as f64 - 6.0).max(1.0);
    let det = cc * ss - cs * cs;
    let mean = weight / points.len() as f64;
    let (vc, vs) = (ss / det * variance * mean * correlated, cc / det * variance * mean * correlated);
    Some(Rise {
        centre,
        // A step sharper than the spacing of the points leaves its place open within it.
        centre_sigma: vc.max(0.0).sqrt().min(core.max(spacing)),
        width: RISE * s,
        width_sigma: (RISE * vs.max(0.0).sqrt()).min(RISE * core.max(spacing)),
        step,
    })
}

/// Weighted least-squares line: value at 0 and slope.
pub(super) fn line<'a>(points: impl Iterator<Item = &'a (f64, f64, f64)>) -> Option<(f64, f64)> {
    let (mut n, mut w, mut x, mut y, mut xx, mut xy) = (0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for p in points {
        n += 1;
        w += p.2;
        x += p.2 * p.0;
        y += p.2 * p.1;
        xx += p.2 * p.0 * p.0;
        xy += p.2 * p.0 * p.1;
    }
    let det = w * xx - x * x;
    if n < 3 || det <= 0.0 {
        return None;
    }
    Some(((xx * y - x * xy) / det, (w * xy - x * y) / det))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_of_known_steps() {
        let points =
            |f: &dyn Fn(f64) -> f64| (-60..=60).map(|i| (f64::from(i), f(f64::from(i)), 1.0)).collect::<Vec<_>>();
        let smooth = points(&|d| 0.01 * d + 0.5 * erf((d - 1.5) / (6.0 * std::f64::consts::SQRT_2)));
        let got = rise(&smooth, 25.0, 1.0).unwrap();
        assert!((got.width / (RISE * 6.0) - 1.0).abs() < 2e-3 && (got.centre - 1.5).abs() < 0.02, "{got:?}");
        assert!((got.step - 1.0).abs() < 1e-3);
        // A ramp of a box window of 32: 10 to 90 % is 25.6, and nearly so for the best error function.
        let ramp = rise(&points(&|d| (d / 32.0).clamp(-0.5, 0.5)), 25.0, 1.0).unwrap();
        assert!((23.0..28.0).contains(&ramp.width), "{ramp:?}");
        assert!(rise(&points(&|d| if d as i64 % 2 == 0 { 0.1 } else { -0.1 }), 25.0, 1.0).is_none());
    }
}
