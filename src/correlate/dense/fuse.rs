//! From the candidates of a pixel to one correction: large windows first, smaller ones where they see something new.
//!
//! The whitenings of a scale are averaged by their inverse squared variances. Going from large to small windows, the
//! difference of the smaller window's candidate to the estimate so far is compared with its own error over a
//! neighbourhood: χ² ≈ 1 means noise, and nothing is taken; large χ² means that the larger window smeared something,
//! and the share 1 - c/χ² is taken (positive-part shrinkage, James & Stein 1961; Wiener's gain with an estimated
//! signal variance). So 5 px windows act beside faults and nowhere else.

use super::candidates::{Candidate, Candidates, HALVINGS, SCALES, UNKNOWN};
use super::whiten::{RADII, combine};
use super::windows::{TRIANGLE9, convolve, double};
use crate::grid::Grid;

/// χ² up to which a smaller window is not believed, by scale.
pub const GATES: [f32; 6] = [2.0, 1.7, 1.6, 1.5, 1.5, 0.0];

/// The fused correction of every pixel and its covariance (xx, xy, yy).
pub struct Fused {
    pub delta: [Grid<f32>; 2],
    pub covariance: [Grid<f32>; 3],
    /// Largest share that a window of 18 px or less took: above 0 where the windows disagree.
    pub gain: Grid<f32>,
}

/// Fuses the candidates for an image of `width` × `height` pixels, with windows from scale `finest` up.
pub fn fuse(candidates: &Candidates, finest: usize, width: usize, height: usize) -> Fused {
    let mut state: Option<(Fused, usize)> = None;
    for s in (finest..SCALES.len()).rev() {
        let fine = average(&candidates.scales[s]);
        let next = match state {
            None => fine,
            Some((coarse, halvings)) => {
                let (w, h) = (fine.delta[0].width, fine.delta[0].height);
                let coarse = if halvings > HALVINGS[s] { refine(&coarse, w, h) } else { coarse };
                gate(coarse, &fine, GATES[s], &TRIANGLE9, s <= 2)
            }
        };
        state = Some((next, HALVINGS[s]));
    }
    let (mut fused, mut halvings) = state.expect("there is at least one scale");
    while halvings > 0 {
        halvings -= 1;
        fused = refine(&fused, width.div_ceil(1 << halvings), height.div_ceil(1 << halvings));
    }
    fused
}

fn refine(f: &Fused, w: usize, h: usize) -> Fused {
    Fused {
        delta: f.delta.each_ref().map(|g| double(g, w, h)),
        covariance: f.covariance.each_ref().map(|g| double(g, w, h)),
        gain: double(&f.gain, w, h),
    }
}

/// Both whitenings as one; no gain is claimed from averaging, their errors are the same ground's.
pub fn average(c: &[Candidate; RADII.len()]) -> Fused {
    let mut out =
        Fused { delta: c[0].delta.clone(), covariance: c[0].covariance.clone(), gain: c[0].delta[0].map(|_| 0.0) };
    for k in 0..out.delta[0].data.len() {
        let variance = |c: &Candidate| c.covariance[0].data[k] + c.covariance[2].data[k];
        let (a, b) = (variance(&c[0]).powi(2), variance(&c[1]).powi(2));
        let share = a / (a + b);
        for i in 0..2 {
            out.delta[i].data[k] += share * (c[1].delta[i].data[k] - c[0].delta[i].data[k]);
        }
        for i in 0..3 {
            out.covariance[i].data[k] += share * (c[1].covariance[i].data[k] - c[0].covariance[i].data[k]);
        }
    }
    out
}

fn gate(mut coarse: Fused, fine: &Fused, threshold: f32, around: &[f32], small: bool) -> Fused {
    let (w, h) = (fine.delta[0].width, fine.delta[0].height);
    let mut chi = Grid::filled(w, h, 0.0f32);
    let mut trust = Grid::filled(w, h, 0.0f32);
    for k in 0..w * h {
        let [xx, xy, yy] = [0, 1, 2].map(|i| fine.covariance[i].data[k]);
        if xx >= UNKNOWN || yy >= UNKNOWN {
            continue;
        }
        let [x, y] = [0, 1].map(|i| fine.delta[i].data[k] - coarse.delta[i].data[k]);
        let det = (xx * yy - xy * xy).max(f32::MIN_POSITIVE);
        // One window must not decide for its neighbourhood.
        chi.data[k] = (0.5 * (yy * x * x - 2.0 * xy * x * y + xx * y * y) / det).min(50.0);
        trust.data[k] = 1.0;
    }
    let (sum, mass) = (convolve(&chi, around), convolve(&trust, around));
    let gain = combine(&sum, &mass, |c, m| if c > threshold * m { 1.0 - threshold * m / c } else { 0.0 });
    for k in 0..w * h {
        // A window that fixes nothing adds nothing, unless there is nothing else.
        let known = coarse.covariance[0].data[k] + coarse.covariance[2].data[k] < UNKNOWN;
        let g = if !known { 1.0 } else { gain.data[k] * trust.data[k] };
        if small {
            coarse.gain.data[k] = coarse.gain.data[k].max(g);
        }
        for i in 0..2 {
            coarse.delta[i].data[k] += g * (fine.delta[i].data[k] - coarse.delta[i].data[k]);
        }
        for i in 0..3 {
            let (c, f) = (coarse.covariance[i].data[k], fine.covariance[i].data[k]);
            coarse.covariance[i].data[k] = (1.0 - g) * (1.0 - g) * c + g * f;
        }
    }
    coarse
}
