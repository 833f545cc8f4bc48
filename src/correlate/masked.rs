//! The masked correlation of Padfield (2012, IEEE TIP 21(5), eq. 30), over the pixels valid in both windows, from sums over whole
//! windows and what gaps take from them.

use super::batch_sums::{BATCH, Totals};
use super::surface::NOTHING;

/// Fewer valid pixels than this share of the window do not make a correlation.
pub(super) const MIN_OVERLAP: f64 = 0.25;
/// Share of a window's energy that rounding may leave.
const ROUNDING: f64 = 1e-6;

/// What gaps take from the sums over the windows of a part: from the number of pixels, Σf, Σf², Σg and Σg², where it is not zero
/// for all of them.
#[derive(Default)]
pub(super) struct Lost {
    pub sums: [Totals; 5],
    pub some: [bool; 5],
}

impl Lost {
    /// Of a window at the shifts of a line of a batch.
    #[inline(always)]
    pub fn row(&self, window: usize, line: usize) -> [&[f64]; 5] {
        std::array::from_fn(|k| if self.some[k] { self.sums[k].row(window, line) } else { &[0.0; BATCH][..] })
    }
}

/// The masked correlation at neighbouring shifts of a window of so many `pixels`: from the number of valid pixels, Σf and Σf² of its
/// own and Σfg, what gaps take of each sum, and the invalid pixels, Σg and Σg² of the post windows.
#[inline(always)]
pub(super) fn masked(
    ([own, f, ff], fg): ([f64; 3], &[f64]),
    (pixels, lost): (f64, [&[f64]; 5]),
    (other, [g, gg]): (&[u32], [&[f64]; 2]),
    out: &mut [f32],
) {
    // All of one length: no check in the loop. A batch by itself may have fewer lanes than among wider ones.
    let n = lost.iter().map(|v| v.len()).fold(fg.len(), usize::min);
    let (fg, least) = (&fg[..n], MIN_OVERLAP * pixels);
    let ([both, f_lost, ff_lost, g_lost, gg_lost], other) = (lost.map(|v| &v[..n]), &other[..n]);
    let ([g, gg], out) = ([g, gg].map(|v| &v[..n]), &mut out[..n]);
    for s in 0..n {
        let n = own - f64::from(other[s]) + both[s];
        let (f, ff_here) = (f - f_lost[s], ff - ff_lost[s]);
        let (g, gg_here) = (g[s] - g_lost[s], gg[s] - gg_lost[s]);
        let share = 1.0 / n;
        let (vf, vg) = (ff_here - f * f * share, gg_here - g * g * share);
        let value = ((fg[s] - f * g * share) / (vf * vg).sqrt()) as f32;
        // What the products in single precision leave of a constant is no texture.
        let some = (n >= least) & (vf > ROUNDING * ff) & (vg > ROUNDING * gg[s]) & value.is_finite();
        out[s] = if some { value } else { NOTHING };
    }
}
