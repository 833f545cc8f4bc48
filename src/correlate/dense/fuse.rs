//! From the candidates of a pixel to one correction: large windows first, smaller ones where they see something new.
//!
//! The whitenings of a scale are averaged by their inverse squared variances. Going from large to small windows, the
//! difference of the smaller window's candidate to the estimate so far is compared with its own error over a
//! neighbourhood: χ² ≈ 1 means noise, and nothing is taken; large χ² means that the larger window smeared something,
//! and the share 1 - c/χ² is taken (positive-part shrinkage, James & Stein 1961; Wiener's gain with an estimated
//! signal variance). So 5 px windows act beside faults and nowhere else.

use super::candidates::{Candidate, HALVINGS, SCALES, UNKNOWN};
use super::windows::{Lines, TRIANGLE9, convolve_row, double, double_row, vectors};
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

/// Fuses candidates of both whitenings together, windows [`SCALES`]`[finest + s]` in `candidates[s]`, for an image of
/// `width` × `height` pixels.
pub fn fuse(candidates: &[Candidate], finest: usize, width: usize, height: usize) -> Fused {
    let largest = SCALES.len() - 1;
    let mut fused = Fused::from(&candidates[largest - finest]);
    for s in (finest..largest).rev() {
        fused = gate(fused, &candidates[s - finest], HALVINGS[s + 1] > HALVINGS[s], GATES[s], s <= 2);
    }
    for halvings in (0..HALVINGS[finest]).rev() {
        let (w, h) = (width.div_ceil(1 << halvings), height.div_ceil(1 << halvings));
        fused = Fused {
            delta: fused.delta.each_ref().map(|g| double(g, w, h)),
            covariance: fused.covariance.each_ref().map(|g| double(g, w, h)),
            gain: double(&fused.gain, w, h),
        };
    }
    fused
}

impl Fused {
    fn from(c: &Candidate) -> Fused {
        let none = c.delta[0].map(|_| 0.0);
        Fused { delta: c.delta.clone(), covariance: c.covariance.clone(), gain: none }
    }

    #[inline(always)]
    fn planes(&self) -> [&Grid<f32>; 6] {
        let ([a, b], [c, d, e]) = (&self.delta, &self.covariance);
        [a, b, c, d, e, &self.gain]
    }

    #[inline(always)]
    fn planes_mut(&mut self) -> [&mut Grid<f32>; 6] {
        let ([a, b], [c, d, e]) = (self.delta.each_mut(), self.covariance.each_mut());
        [a, b, c, d, e, &mut self.gain]
    }
}

/// Takes from the windows of the next scale what they see anew; their blocks have half the side where `halved`. Rows
/// are refined, compared, summed and fused one after the other while they are at hand.
fn gate(coarse: Fused, fine: &Candidate, halved: bool, threshold: f32, small: bool) -> Fused {
    const REACH: usize = TRIANGLE9.len() / 2;
    let (w, h) = (fine.delta[0].width, fine.delta[0].height);
    let plane = || Grid::filled(w, h, 0.0f32);
    let mut line = vec![0.0; coarse.gain.width + 2];
    let (coarser, mut fused) = match halved {
        true => {
            let empty = || [plane(), plane()];
            (Some(coarse), Fused { delta: empty(), covariance: [plane(), plane(), plane()], gain: plane() })
        }
        false => (None, coarse),
    };
    // The rows that the sums need, in rings.
    let [mut chi, mut trust] = [0; 2].map(|_| Grid::filled(w, 2 * REACH + 1, 0.0f32));
    let ring = chi.height;
    let [mut sum, mut mass] = [0; 2].map(|_| vec![0.0f32; w]);
    let mut padded = vec![0.0; w + TRIANGLE9.len()];
    for y in 0..h + REACH {
        vectors(
            #[inline(always)]
            || {
                if y < h {
                    if let Some(coarser) = &coarser {
                        for (a, b) in coarser.planes().into_iter().zip(fused.planes_mut()) {
                            double_row(a, y, &mut line, b.row_mut(y));
                        }
                    }
                    disagreement(&fused, fine, y, chi.row_mut(y % ring), trust.row_mut(y % ring));
                }
                if let Some(y) = y.checked_sub(REACH) {
                    let lines = [&chi, &trust].map(|stored| Lines { stored, height: h });
                    convolve_row(lines[0], y, &TRIANGLE9, &mut padded, &mut sum);
                    convolve_row(lines[1], y, &TRIANGLE9, &mut padded, &mut mass);
                    take(&mut fused, fine, y, [&sum, &mass, trust.row(y % ring)], threshold, small);
                }
            },
        );
    }
    fused
}

/// Row `y` of χ² between the windows of one scale and the estimate so far, and of where it is known.
#[inline(always)]
fn disagreement(fused: &Fused, fine: &Candidate, y: usize, chi: &mut [f32], trust: &mut [f32]) {
    let n = chi.len();
    let trust = &mut trust[..n];
    let [xx, xy, yy] = fine.covariance.each_ref().map(|g| &g.row(y)[..n]);
    let [fx, fy] = fine.delta.each_ref().map(|g| &g.row(y)[..n]);
    let [sx, sy] = fused.delta.each_ref().map(|g| &g.row(y)[..n]);
    for k in 0..n {
        let (xx, xy, yy) = (xx[k], xy[k], yy[k]);
        let known = (xx < UNKNOWN) & (yy < UNKNOWN);
        let (x, y) = (fx[k] - sx[k], fy[k] - sy[k]);
        let det = (xx * yy - xy * xy).max(f32::MIN_POSITIVE);
        // One window must not decide for its neighbourhood.
        let c = (0.5 * (yy * x * x - 2.0 * xy * x * y + xx * y * y) / det).min(50.0);
        chi[k] = if known { c } else { 0.0 };
        trust[k] = if known { 1.0 } else { 0.0 };
    }
}

/// Moves row `y` towards `fine` where the sum of χ² over the mass of its neighbourhood is large.
#[inline(always)]
fn take(fused: &mut Fused, fine: &Candidate, y: usize, rows: [&[f32]; 3], threshold: f32, small: bool) {
    let n = rows[0].len();
    let [sum, mass, trust] = rows.map(|r| &r[..n]);
    let [cxx, cxy, cyy] = fine.covariance.each_ref().map(|g| &g.row(y)[..n]);
    let [fx, fy] = fine.delta.each_ref().map(|g| &g.row(y)[..n]);
    let [dx, dy, xx, xy, yy, gain] = fused.planes_mut().map(|g| &mut g.row_mut(y)[..n]);
    for k in 0..n {
        let share = 1.0 - threshold * mass[k] / sum[k].max(f32::MIN_POSITIVE);
        // A window that fixes nothing adds nothing, unless there is nothing else.
        let g = if xx[k] + yy[k] < UNKNOWN { share.max(0.0) * trust[k] } else { 1.0 };
        gain[k] = if small { gain[k].max(g) } else { gain[k] };
        dx[k] += g * (fx[k] - dx[k]);
        dy[k] += g * (fy[k] - dy[k]);
        let keep = (1.0 - g) * (1.0 - g);
        xx[k] = keep * xx[k] + g * cxx[k];
        xy[k] = keep * xy[k] + g * cxy[k];
        yy[k] = keep * yy[k] + g * cyy[k];
    }
}
