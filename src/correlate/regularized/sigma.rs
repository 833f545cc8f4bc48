//! How well the refined field is known.
//!
//! Where the springs are whole, the solution averages the pixels' measurements with the kernel of (I - λ∇²)⁻¹, whose
//! square integrates to I/(4πλ) in units of the variance 1/I: the variance is 1/(4πλ) = 1/(4π L² I). The information
//! that reaches a pixel, Σ_q exp(-2 |p - q| / L) I_q ≈ L² I, is gathered by recursive filters along x and then y whose
//! decay also follows the springs (the domain transform of Gastal & Oliveira 2011), so that it halves beside a jump
//! and does not come from across a line.
//!
//! What smoothing took where the ground bends, told by smoothing the data's pull on the field ([`super::refine`]), is
//! about as uncertain as the field itself, so its square counts only as far as it exceeds that. Beside a free edge, t
//! smoothing lengths away, a sloping plateau is off by exp(-t) and what is told of it by (1 + t)/2 · exp(-t) (the
//! one-dimensional problem): less by about the share of the kernel that lies on the pixel's side.

use super::refine::Refined;
use crate::grid::Grid;

/// Calibration of the variance on simulated pairs (optical and radar, several noise levels).
const SCALE: f32 = 1.2;
/// Variance that differences to the neighbours add: where the jump lies is known to about a pixel.
const AT_JUMPS: f32 = 0.25;
/// Least information of an axis as a share of that of plain gradients.
const LEAST: f32 = 0.04;

/// Covariance xx, xy, yy of every pixel.
pub fn covariance(found: &Refined) -> [Grid<f32>; 3] {
    let [mut xx, mut xy, mut yy] = found.data.net.each_ref().map(|g| gathered(g, found));
    let plain = [0, 2].map(|i| gathered(&found.data.information[i], found));
    let spread = spread(&found.d);
    let side = gathered(&found.d[0].map(|_| 1.0), found);
    for k in 0..xx.data.len() {
        let (a, c) = (xx.data[k].max(LEAST * plain[0].data[k]), yy.data[k].max(LEAST * plain[1].data[k]));
        let limit = 0.98 * (a * c).sqrt();
        let b = xy.data[k].max(-limit).min(limit);
        let det = a * c - b * b;
        // Where nothing is known, or numbers are beyond the range of the type, sigma is infinite, which the matcher rejects.
        let known = det.is_finite() && det > f32::MIN_POSITIVE;
        let scale = SCALE / (4.0 * std::f32::consts::PI * det);
        // The kernel's share on this side, of coth(1/L) along each axis.
        let share = (side.data[k] * (1.0 / found.reach.data[k]).tanh().powi(2)).clamp(0.25, 1.0);
        let [tx, ty] = [0, 1].map(|i| found.taken[i].data[k] / share);
        let [vx, vy] = if known { [scale * c, scale * a] } else { [f32::INFINITY; 2] };
        let [jx, jy] = spread.each_ref().map(|g| AT_JUMPS * g.data[k]);
        xx.data[k] = vx.max(tx * tx) + jx;
        xy.data[k] = if known { -scale * b } else { 0.0 };
        yy.data[k] = vy.max(ty * ty) + jy;
    }
    [xx, xy, yy]
}

/// Σ_q exp(-2 |p - q| / L) v_q along the ways that springs leave.
fn gathered(v: &Grid<f32>, found: &Refined) -> Grid<f32> {
    let (joined, reach) = (&found.joined, &found.reach);
    let (w, h) = (v.width, v.height);
    // A spring as weak as half of its stiffness is twice as long.
    let pass = |k: usize, axis: usize| {
        let j = joined[axis].data[k];
        if j > 0.0 { (-2.0 / (reach.data[k] * j.sqrt())).exp() } else { 0.0 }
    };
    let passes = [0, 1].map(|axis| -> Vec<f32> { (0..w * h).map(|k| pass(k, axis)).collect() });
    let mut out = v.clone();
    for y in 0..h {
        let links = &passes[0][y * w..(y + 1) * w];
        let own = v.row(y);
        let row = &mut out.data[y * w..(y + 1) * w];
        let mut run = 0.0;
        for x in 0..w {
            run = own[x] + if x > 0 { links[x - 1] * run } else { 0.0 };
            row[x] = run;
        }
        let mut run = 0.0;
        for x in (0..w).rev() {
            row[x] += run;
            run = if x > 0 { links[x - 1] * (run + own[x]) } else { 0.0 };
        }
    }
    let rows = out.clone();
    let mut run = vec![0.0f32; w];
    for y in 0..h {
        for x in 0..w {
            let link = if y > 0 { passes[1][(y - 1) * w + x] } else { 0.0 };
            run[x] = rows.data[y * w + x] + link * run[x];
            out.data[y * w + x] = run[x];
        }
    }
    run.fill(0.0);
    for y in (0..h).rev() {
        for x in 0..w {
            out.data[y * w + x] += run[x];
            let link = if y > 0 { passes[1][(y - 1) * w + x] } else { 0.0 };
            run[x] = link * (run[x] + rows.data[y * w + x]);
        }
    }
    out
}

/// Variance of each component in 3 × 3 pixels.
fn spread(d: &[Grid<f32>; 2]) -> [Grid<f32>; 2] {
    d.each_ref().map(|g| {
        let (w, h) = (g.width, g.height);
        Grid::from_fn(w, h, |x, y| {
            let here = g.get(x, y);
            let (mut sum, mut square, mut n) = (0.0f32, 0.0f32, 0.0f32);
            for v in y.saturating_sub(1)..(y + 2).min(h) {
                for u in x.saturating_sub(1)..(x + 2).min(w) {
                    let away = g.get(u, v) - here;
                    sum += away;
                    square += away * away;
                    n += 1.0;
                }
            }
            (square / n - (sum / n) * (sum / n)).max(0.0)
        })
    })
}
