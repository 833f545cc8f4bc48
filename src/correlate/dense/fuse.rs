//! From the candidates of a pixel to one correction: large windows first, smaller ones where they see something new.
//!
//! The whitenings of a scale are averaged by their inverse squared variances. Going from large to small windows, the
//! difference of the smaller window's candidate to the estimate so far is compared with its own error over a
//! neighbourhood: χ² ≈ 1 means noise, and nothing is taken; large χ² means that the larger window smeared something,
//! and the share 1 - c/χ² is taken (positive-part shrinkage, James & Stein 1961; Wiener's gain with an estimated
//! signal variance). So 5 px windows act beside faults and nowhere else.
//!
//! What is smeared and not taken is the estimate's bias. Stein's unbiased estimate of it (1981, Ann. Stat. 9(6)) is the
//! excess of χ² over what noise gives, times the smaller window's covariance and (1 - share)². Noise gives less than 1 in
//! the last pass: the field holds a part of it already ([`QUIET`]). Single values of it are noise, so it is taken from a neighbourhood of
//! several windows.

use super::candidates::{Candidate, Candidates, HALVINGS, SCALES, UNKNOWN};
use super::whiten::RADII;
use super::windows::{TRIANGLE9, convolve, double, vectors};
use crate::grid::Grid;

/// χ² up to which a smaller window is not believed, by scale.
pub const GATES: [f32; 6] = [2.0, 1.7, 1.6, 1.5, 1.5, 0.0];

/// Scales whose windows tell what the larger ones smeared and the gates left: the noise of smaller ones hides it.
const TELLING: std::ops::RangeInclusive<usize> = 3..=4;

/// χ² of the last pass's windows where nothing is smeared, by scale; measured on still ground with noise of 2 to 10 %, which
/// it does not depend on. (Two passes before leave 0.74 and 0.35 of the variance to the windows of 36 and 72 px over those
/// of 144 and 144 px by the windows' transforms; the covariances are those of single whitenings, not of their mean.)
const QUIET: [f32; 6] = [1.0, 1.0, 1.0, 0.64, 0.2, 0.0];
/// How often the neighbourhood that the gates look at is widened for that.
const WIDER: usize = 3;

/// The fused correction of every pixel and its covariance (xx, xy, yy).
pub struct Fused {
    pub delta: [Grid<f32>; 2],
    pub covariance: [Grid<f32>; 3],
    /// The part of the variances that windows below the largest size brought.
    pub brought: [Grid<f32>; 2],
    /// Mean square of what larger windows smeared in each component and smaller ones did not mend.
    pub smeared: [Grid<f32>; 2],
    /// Largest share that a window of 18 px or less took: above 0 where the windows disagree.
    pub gain: Grid<f32>,
}

/// Fuses the candidates for an image of `width` × `height` pixels, with windows from scale `finest` up.
pub fn fuse(candidates: &Candidates, finest: usize, width: usize, height: usize) -> Fused {
    let mut state: Option<(Fused, usize)> = None;
    for s in (finest..SCALES.len()).rev() {
        let fine = average(candidates.scale(s));
        let next = match state {
            None => fine,
            Some((coarse, halvings)) => {
                let (w, h) = (fine.delta[0].width, fine.delta[0].height);
                let coarse = if halvings > HALVINGS[s] { refine(&coarse, w, h) } else { coarse };
                gate(coarse, &fine, GATES[s], s)
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
        brought: f.brought.each_ref().map(|g| double(g, w, h)),
        smeared: f.smeared.each_ref().map(|g| double(g, w, h)),
        gain: double(&f.gain, w, h),
    }
}

/// Both whitenings as one; no gain is claimed from averaging, their errors are the same ground's.
pub fn average(c: &[Candidate; RADII.len()]) -> Fused {
    let (w, h) = (c[0].delta[0].width, c[0].delta[0].height);
    let plane = || Grid::filled(w, h, 0.0f32);
    let mut share = plane();
    let [a, b] = c.each_ref().map(|c| [&c.covariance[0].data[..w * h], &c.covariance[2].data[..w * h]]);
    vectors(
        #[inline(always)]
        || {
            for (k, s) in share.data.iter_mut().enumerate() {
                let (a, b) = (a[0][k] + a[1][k], b[0][k] + b[1][k]);
                let (a, b) = (a * a, b * b);
                *s = a / (a + b);
            }
        },
    );
    let mixed = |a: &Grid<f32>, b: &Grid<f32>| {
        let mut out = a.clone();
        vectors(
            #[inline(always)]
            || add_share(&mut out.data, &share.data, &b.data),
        );
        out
    };
    Fused {
        delta: [0, 1].map(|i| mixed(&c[0].delta[i], &c[1].delta[i])),
        covariance: [0, 1, 2].map(|i| mixed(&c[0].covariance[i], &c[1].covariance[i])),
        brought: [plane(), plane()],
        smeared: [plane(), plane()],
        gain: plane(),
    }
}

/// a + share · (b - a)
#[inline(always)]
fn add_share(a: &mut [f32], share: &[f32], b: &[f32]) {
    for (a, (s, b)) in a.iter_mut().zip(share.iter().zip(b)) {
        *a += s * (b - *a);
    }
}

fn gate(mut coarse: Fused, fine: &Fused, threshold: f32, scale: usize) -> Fused {
    let (small, telling) = (scale <= 2, TELLING.contains(&scale));
    let (w, h) = (fine.delta[0].width, fine.delta[0].height);
    let n = w * h;
    let mut chi = Grid::filled(w, h, 0.0f32);
    let mut trust = Grid::filled(w, h, 0.0f32);
    let mut excess = Grid::filled(w, h, 0.0f32);
    let [cxx, cxy, cyy] = fine.covariance.each_ref().map(|g| &g.data[..n]);
    let [fx, fy] = fine.delta.each_ref().map(|g| &g.data[..n]);
    vectors(
        #[inline(always)]
        || {
            let [sx, sy] = coarse.delta.each_ref().map(|g| &g.data[..n]);
            let (chi, trust, excess) = (&mut chi.data[..n], &mut trust.data[..n], &mut excess.data[..n]);
            for k in 0..n {
                let (xx, xy, yy) = (cxx[k], cxy[k], cyy[k]);
                let known = (xx < UNKNOWN) & (yy < UNKNOWN);
                let (x, y) = (fx[k] - sx[k], fy[k] - sy[k]);
                let det = (xx * yy - xy * xy).max(f32::MIN_POSITIVE);
                // One window must not decide for its neighbourhood.
                let c = (0.5 * (yy * x * x - 2.0 * xy * x * y + xx * y * y) / det).min(50.0);
                chi[k] = if known { c } else { 0.0 };
                trust[k] = if known { 1.0 } else { 0.0 };
                excess[k] = chi[k] - trust[k] * QUIET[scale];
            }
        },
    );
    let (sum, mass) = (convolve(&chi, &TRIANGLE9), convolve(&trust, &TRIANGLE9));
    if telling {
        let wide = |g: &Grid<f32>| (0..WIDER).fold(convolve(g, &TRIANGLE9), |g, _| convolve(&g, &TRIANGLE9));
        let (all, count) = (wide(&excess), wide(&trust));
        for (e, (a, n)) in excess.data.iter_mut().zip(all.data.iter().zip(&count.data)) {
            *e = if *n > 0.0 { (a / n).max(0.0) } else { 0.0 };
        }
    }
    vectors(
        #[inline(always)]
        || {
            let (sum, mass, trust) = (&sum.data[..n], &mass.data[..n], &trust.data[..n]);
            let [dx, dy] = coarse.delta.each_mut().map(|g| &mut g.data[..n]);
            let [xx, xy, yy] = coarse.covariance.each_mut().map(|g| &mut g.data[..n]);
            let gain = &mut coarse.gain.data[..n];
            let [tx, ty] = coarse.brought.each_mut().map(|g| &mut g.data[..n]);
            let [bx, by] = coarse.smeared.each_mut().map(|g| &mut g.data[..n]);
            let excess = &excess.data[..n];
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
                tx[k] = keep * tx[k] + g * cxx[k];
                ty[k] = keep * ty[k] + g * cyy[k];
                let more = if telling { trust[k] * excess[k] } else { 0.0 };
                bx[k] = keep * bx[k].max(more * cxx[k]);
                by[k] = keep * by[k].max(more * cyy[k]);
            }
        },
    );
    coarse
}
