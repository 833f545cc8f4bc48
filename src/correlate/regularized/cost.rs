//! Cost volumes: shaped normalised cross-correlation at whole-pixel displacements and at quarters of a pixel.
//!
//! MicMac's matching maps correlations below a floor to "no information" and the rest, stretched to 0..1, through a
//! square, which makes good matches decide and bad ones indifferent (MM2DPosSism: floor 0.5, exponent 2). Here the
//! floor is what chance gives in a window of so many pixels, so that noisy radar images keep their information.

use super::aggregate::{FULL, Volume};
use crate::correlate::Band;
use crate::correlate::dense::windows::box_sum;
use crate::correlate::prepare::PreparedPost;
use crate::correlate::search::{SearchArea, TileWindows};
use crate::correlate::surface::Surfaces;
use crate::grid::Grid;
use std::sync::atomic::AtomicBool;

/// Standard deviations of chance correlation that count as nothing; and the highest floor.
const CHANCE: f32 = 2.0;
const HIGHEST: f32 = 0.5;
/// Steps of a pixel in the ladder.
pub const PHASES: i32 = 4;

/// The correlation below which a window of `pixels` says nothing.
pub fn floor(pixels: f32) -> f32 {
    (CHANCE / pixels.sqrt()).min(HIGHEST)
}

/// The cost of a correlation.
#[inline(always)]
pub fn shaped(correlation: f32, floor: f32) -> i16 {
    let c = ((correlation - floor) / (1.0 - floor)).clamp(0.0, 1.0);
    (f32::from(FULL) * (1.0 - c * c)) as i16
}

/// The whole-pixel volume of `windows`.
pub fn whole(bands: &[Band], windows: &TileWindows, area: &SearchArea, stop: &AtomicBool) -> Volume {
    let pairs: Vec<_> = bands.iter().map(|b| (&b.pre, &b.post)).collect();
    let mut surfaces = Surfaces::new(&pairs, windows, area);
    let labels = surfaces.size();
    let floor = floor((windows.window.0 * windows.window.1) as f32);
    let mut cost = Vec::with_capacity(windows.len() * labels.0 * labels.1);
    for first in (0..windows.cells.1).step_by(surfaces.group()) {
        let last = (first + surfaces.group()).min(windows.cells.1);
        surfaces.compute(first, last, stop);
        for cell in first * windows.cells.0..last * windows.cells.0 {
            cost.extend(surfaces.of(cell).iter().map(|&c| shaped(c, floor)));
        }
    }
    Volume { cells: windows.cells, labels, base: area.starts.to_vec(), cost }
}

/// The post image at quarters of a pixel: plane (i, j) holds the values at (x + i/4, y + j/4).
pub struct Phases {
    planes: Vec<Grid<f32>>,
    /// Pixels that the planes reach further than the pre image.
    reach: i32,
}

impl Phases {
    pub fn new(post: &PreparedPost) -> Phases {
        let mut planes = Vec::with_capacity((PHASES * PHASES) as usize);
        for j in 0..PHASES {
            for i in 0..PHASES {
                planes.push(pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || plane(post, (i, j)),
                ));
            }
        }
        Phases { planes, reach: post.search as i32 }
    }

    /// The value displaced by `q` quarters from pixel (x, y) of the pre image; at the border the nearest.
    #[inline(always)]
    fn at(&self, x: usize, y: usize, q: (i32, i32)) -> f32 {
        let plane = &self.planes[(q.1.rem_euclid(PHASES) * PHASES + q.0.rem_euclid(PHASES)) as usize];
        let u = (x as i32 + self.reach + q.0.div_euclid(PHASES)).clamp(0, plane.width as i32 - 1);
        let v = (y as i32 + self.reach + q.1.div_euclid(PHASES)).clamp(0, plane.height as i32 - 1);
        plane.data[v as usize * plane.width + u as usize]
    }
}

#[inline(always)]
fn plane(post: &PreparedPost, (i, j): (i32, i32)) -> Grid<f32> {
    let c = &post.coefficients;
    let (w, h) = (post.values.width, post.values.height);
    let quarter = |k: i32| f64::from(k) / f64::from(PHASES);
    let start = -(post.search as i64);
    let (tx, ty) = (c.taps(start, quarter(i)), c.taps(start, quarter(j)));
    let rows = c.rows(h);
    let mut along = vec![0.0f32; rows * w];
    c.along_x(&tx, ty.first, rows, w, &mut along);
    let mut out = Grid::filled(w, h, 0.0f32);
    for y in 0..h {
        c.along_y(&ty.weights, &along, y, w, out.row_mut(y));
    }
    out
}

/// The volume of `around` label steps on each side of the displacement `base` of every pixel, both in quarters of a
/// pixel, a label being `step` of them. Correlations over boxes of radius `radius`.
pub fn ladder(
    bands: &[Band],
    phases: &[Phases],
    base: &[(i32, i32)],
    (step, around): (i32, i32),
    radius: usize,
) -> Volume {
    let size = (bands[0].pre.values.width, bands[0].pre.values.height);
    let labels = (2 * around + 1) as usize;
    let mut total = vec![0.0f32; base.len() * labels * labels];
    let mut counted = vec![0u8; base.len()];
    for (band, phases) in bands.iter().zip(phases) {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || add(band, phases, base, (step, around), radius, &mut total, &mut counted),
        );
    }
    let floor = floor(((2 * radius + 1) * (2 * radius + 1)) as f32);
    let n = labels * labels;
    let cost = total.iter().enumerate().map(|(k, v)| shaped(v / f32::from(counted[k / n].max(1)), floor)).collect();
    // Bases are multiples of the step.
    let base = base.iter().map(|b| (b.0.div_euclid(step), b.1.div_euclid(step))).collect();
    Volume { cells: size, labels: (labels, labels), base, cost }
}

/// Adds the correlations of one band.
#[inline(always)]
fn add(
    band: &Band,
    phases: &Phases,
    base: &[(i32, i32)],
    (step, around): (i32, i32),
    radius: usize,
    total: &mut [f32],
    counted: &mut [u8],
) {
    let f = &band.pre.values;
    let (w, h) = (f.width, f.height);
    let valid = &band.post.valid;
    let (reach, half) = (phases.reach, PHASES / 2);
    let mut both = Grid::filled(w, h, 0.0f32);
    for (k, b) in base.iter().enumerate() {
        let near = |at: usize, q: i32, n: usize| {
            (at as i32 + reach + (q + half).div_euclid(PHASES)).clamp(0, n as i32 - 1) as usize
        };
        let ok = valid.get(near(k % w, b.0, valid.width), near(k / w, b.1, valid.height));
        both.data[k] = f32::from(u8::from(ok && band.pre.valid.data[k]));
    }
    let product = |g: &Grid<f32>, p: &Grid<f32>| -> Grid<f32> {
        let data = g.data.iter().zip(&p.data).map(|(a, b)| a * b).collect();
        Grid { width: w, height: h, data }
    };
    let fm = product(f, &both);
    let (n, sf, sff) = (box_sum(&both, radius), box_sum(&fm, radius), box_sum(&product(&fm, &fm), radius));
    let least = 0.25 * ((2 * radius + 1) * (2 * radius + 1)) as f32;
    let labels = (2 * around + 1) as usize;
    counted.iter_mut().zip(&n.data).for_each(|(c, n)| *c += u8::from(*n >= least));
    let mut g = both.clone();
    for label in 0..labels * labels {
        let offset = ((label % labels) as i32 - around, (label / labels) as i32 - around);
        for (k, b) in base.iter().enumerate() {
            let q = (b.0 + step * offset.0, b.1 + step * offset.1);
            g.data[k] = both.data[k] * phases.at(k % w, k / w, q);
        }
        let (sg, sgg, sfg) =
            (box_sum(&g, radius), box_sum(&product(&g, &g), radius), box_sum(&product(&g, &fm), radius));
        for k in 0..base.len() {
            let m = n.data[k];
            if m < least {
                continue;
            }
            let (vf, vg) = (sff.data[k] - sf.data[k] * sf.data[k] / m, sgg.data[k] - sg.data[k] * sg.data[k] / m);
            let energy = vf * vg;
            if vf > 1e-5 * sff.data[k] && vg > 1e-5 * sgg.data[k] && energy > 0.0 {
                total[k * labels * labels + label] += (sfg.data[k] - sf.data[k] * sg.data[k] / m) / energy.sqrt();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_below_chance_cost_the_same_and_good_ones_nothing() {
        let low = floor(81.0);
        assert!((low - 2.0 / 9.0).abs() < 1e-6 && floor(4.0) == HIGHEST);
        assert_eq!((shaped(-2.0, low), shaped(low, low), shaped(1.0, low)), (FULL, FULL, 0));
        assert!(shaped(0.9, low) < shaped(0.6, low) && shaped(0.6, low) < shaped(0.3, low));
    }
}
