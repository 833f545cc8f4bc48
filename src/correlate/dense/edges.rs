//! Sharp edges: beside a jump every window that straddles it gives a mixture of both sides, so a pixel there takes the
//! displacement of a nearby place that no window smeared, the one that its own 9 px window agrees with best.
//!
//! The choice between a few plateaus needs far less precision than a displacement does; the value itself comes from
//! the large windows beyond the smear (the idea of shiftable windows, Bobick & Intille 1999, with a displacement's
//! covariance as the measure).

use super::candidates::{Candidates, UNKNOWN};
use super::fuse::{Fused, average};
use super::windows::{TRIANGLE9, convolve};
use crate::grid::Grid;

/// Scale whose windows choose: 9 px.
const JUDGE: usize = 1;
/// How far plateaus are looked for along each of 8 directions, pixels.
const REACH: [isize; 7] = [4, 7, 10, 13, 16, 20, 24];
/// χ² that one pixel of distance costs, and the largest χ² of a plateau that explains a pixel.
const PER_PIXEL: f32 = 0.04;
const EXPLAINED: f32 = 12.0;

/// Replaces `d` where windows disagree (`fused.gain` above 0); `before` is the field that `found` is about. Returns the mean
/// square error of each component that this adds: plateaus slope, so what they change over the same distance once more.
pub fn sharpen(d: &mut [Grid<f32>; 2], before: &[Grid<f32>; 2], found: &Candidates, fused: &Fused) -> [Grid<f32>; 2] {
    let mut added = [d[0].map(|_| 0.0), d[1].map(|_| 0.0)];
    let (w, h) = (d[0].width, d[0].height);
    let own = average(found.scale(JUDGE));
    let mean = before.each_ref().map(|g| convolve(g, &TRIANGLE9));
    let old = d.clone();
    const RIM: usize = 4;
    for y in RIM..h.saturating_sub(RIM) {
        for x in RIM..w.saturating_sub(RIM) {
            let k = y * w + x;
            if fused.gain.data[k] <= 0.0 || own.covariance[0].data[k] >= UNKNOWN {
                continue;
            }
            let here = [0, 1].map(|i| mean[i].data[k] / 625.0 + own.delta[i].data[k]);
            let [xx, xy, yy] = [0, 1, 2].map(|i| own.covariance[i].data[k]);
            let det = (xx * yy - xy * xy).max(f32::MIN_POSITIVE);
            let mut best = (EXPLAINED, k, k);
            for reach in REACH {
                for (i, j) in [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1)] {
                    // Diagonals as long as the others.
                    let r = if i * j == 0 { reach } else { (reach * 7 + 5) / 10 };
                    let (u, v) = (x as isize + i * r, y as isize + j * r);
                    if u < 0 || v < 0 || u >= w as isize || v >= h as isize {
                        continue;
                    }
                    let q = v as usize * w + u as usize;
                    if fused.gain.data[q] > 0.0 {
                        continue;
                    }
                    let [a, b] = [0, 1].map(|i| here[i] - old[i].data[q]);
                    let cost = 0.5 * (yy * a * a - 2.0 * xy * a * b + xx * b * b) / det + PER_PIXEL * reach as f32;
                    if cost < best.0 {
                        // As far again, or what lies next to it.
                        let (u, v) = ((u + i * r).clamp(0, w as isize - 1), (v + j * r).clamp(0, h as isize - 1));
                        best = (cost, q, v as usize * w + u as usize);
                    }
                }
            }
            for i in 0..2 {
                d[i].data[k] = old[i].data[best.1];
                added[i].data[k] = (old[i].data[best.1] - old[i].data[best.2]).powi(2);
            }
        }
    }
    added
}
