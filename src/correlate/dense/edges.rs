//! Sharp edges: beside a jump every window that straddles it gives a mixture of both sides, so a pixel there takes the
//! displacement of a nearby place that no window smeared, the one that its own 9 px window agrees with best.
//!
//! The choice between a few plateaus needs far less precision than a displacement does; the value itself comes from
//! the large windows beyond the smear (the idea of shiftable windows, Bobick & Intille 1999, with a displacement's
//! covariance as the measure).

use super::candidates::{Candidate, UNKNOWN};
use super::fuse::Fused;
use super::windows::{Lines, TRIANGLE9, convolve_row, vectors};
use crate::grid::Grid;
use std::array::from_fn;

/// Scale whose windows choose: 9 px.
pub const JUDGE: usize = 1;
/// How far plateaus are looked for along each of 8 directions, pixels.
const REACH: [isize; 7] = [4, 7, 10, 13, 16, 20, 24];
/// χ² that one pixel of distance costs, and the largest χ² of a plateau that explains a pixel.
const PER_PIXEL: f32 = 0.04;
const EXPLAINED: f32 = 12.0;

/// Pixels in work at once; the compiler makes vectors of them.
const LANES: usize = 16;
/// Rim of pixels that are left as they are.
const RIM: usize = 4;
/// Pixels around the image where plateaus are looked for in vain.
const AROUND: usize = REACH[REACH.len() - 1] as usize;

/// Replaces `d` where windows disagree (`fused.gain` above 0); `own` are the corrections of windows of scale [`JUDGE`] to
/// the field `before`.
pub fn sharpen(d: &mut [Grid<f32>; 2], before: &[Grid<f32>; 2], own: &Candidate, fused: &Fused) {
    let plateaus = Plateaus::new(d, &fused.gain);
    let (w, h) = (d[0].width, d[0].height);
    let mut padded = vec![0.0; w + TRIANGLE9.len()];
    let mut mean = [0; 2].map(|_| vec![0.0f32; w]);
    for y in RIM..h.saturating_sub(RIM) {
        if !fused.gain.row(y).iter().any(|g| *g > 0.0) {
            continue;
        }
        for (before, mean) in before.iter().zip(&mut mean) {
            vectors(
                #[inline(always)]
                || convolve_row(Lines::all(before), y, &TRIANGLE9, &mut padded, mean),
            );
        }
        for x in (RIM..w.saturating_sub(RIM)).step_by(LANES) {
            let n = LANES.min(w - RIM - x);
            let lanes = |row: &[f32]| {
                let mut lanes = [0.0; LANES];
                lanes[..n].copy_from_slice(&row[x..x + n]);
                lanes
            };
            let part = |g: &Grid<f32>| lanes(g.row(y));
            let (gain, covariance) = (part(&fused.gain), own.covariance.each_ref().map(part));
            let wanted = |l: usize| gain[l] > 0.0 && covariance[0][l] < UNKNOWN;
            if !(0..n).any(wanted) {
                continue;
            }
            let (mean, delta) = (mean.each_ref().map(|row| lanes(row)), own.delta.each_ref().map(part));
            let here = [0, 1].map(|i| from_fn(|l| mean[i][l] / 625.0 + delta[i][l]));
            let mut chosen = d.each_ref().map(part);
            vectors(
                #[inline(always)]
                || plateaus.choose(plateaus.index(x, y), &here, &covariance, &mut chosen),
            );
            for i in 0..2 {
                (0..n).filter(|&l| wanted(l)).for_each(|l| d[i].set(x + l, y, chosen[i][l]));
            }
        }
    }
}

/// A displacement field, NaN where it is no plateau, with such pixels around.
struct Plateaus {
    stride: usize,
    d: [Vec<f32>; 2],
    /// Where to look, as steps in `d`, and what the distance costs; near places first.
    places: Vec<(isize, f32)>,
}

impl Plateaus {
    fn new(d: &[Grid<f32>; 2], gain: &Grid<f32>) -> Plateaus {
        let stride = gain.width + 2 * AROUND + LANES;
        let padded = |g: &Grid<f32>| {
            let mut out = vec![f32::NAN; stride * (gain.height + 2 * AROUND)];
            for (y, line) in out.chunks_exact_mut(stride).skip(AROUND).take(gain.height).enumerate() {
                let values = g.row(y).iter().zip(gain.row(y));
                let line = line[AROUND..].iter_mut().zip(values);
                line.for_each(|(o, (v, gain))| *o = if *gain > 0.0 { f32::NAN } else { *v });
            }
            out
        };
        let mut places = Vec::new();
        for reach in REACH {
            for (i, j) in [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)] {
                // Diagonals as long as the others.
                let r = if i * j == 0 { reach } else { (reach * 7 + 5) / 10 };
                places.push((j * r * stride as isize + i * r, PER_PIXEL * reach as f32));
            }
        }
        Plateaus { stride, d: d.each_ref().map(padded), places }
    }

    fn index(&self, x: usize, y: usize) -> usize {
        (y + AROUND) * self.stride + x + AROUND
    }

    /// The best plateaus around the pixels from `at` on, for what they see `here` with its `covariance`; `chosen`
    /// stays where none explains them.
    #[inline(always)]
    fn choose(
        &self,
        at: usize,
        here: &[[f32; LANES]; 2],
        [xx, xy, yy]: &[[f32; LANES]; 3],
        chosen: &mut [[f32; LANES]; 2],
    ) {
        let mut least = [EXPLAINED; LANES];
        // Half of the inverse of the covariance.
        let half: [f32; LANES] = from_fn(|l| 0.5 / (xx[l] * yy[l] - xy[l] * xy[l]).max(f32::MIN_POSITIVE));
        let (p, r): ([f32; LANES], [f32; LANES]) = (from_fn(|l| half[l] * yy[l]), from_fn(|l| half[l] * xx[l]));
        let q: [f32; LANES] = from_fn(|l| -2.0 * half[l] * xy[l]);
        let [cx, cy] = chosen;
        for &(step, price) in &self.places {
            let k = at.wrapping_add_signed(step);
            let (u, v) = (&self.d[0][k..k + LANES], &self.d[1][k..k + LANES]);
            for l in 0..LANES {
                let (a, b) = (here[0][l] - u[l], here[1][l] - v[l]);
                let cost = a * (p[l] * a + q[l] * b) + r[l] * b * b + price;
                // Never true for NaN.
                let better = cost < least[l];
                least[l] = if better { cost } else { least[l] };
                cx[l] = if better { u[l] } else { cx[l] };
                cy[l] = if better { v[l] } else { cy[l] };
            }
        }
    }
}
