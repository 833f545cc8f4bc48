//! The front ends `dense-1` and `dense-2`: what a network gets instead of raw images, channel by channel.
//!
//! The displacement of the `dense` method (for `dense-2` smoothed as `regularized` smooths), the corrections that every
//! window size and whitening would make to it with their standard deviations, one more correction by small windows alone,
//! and both images. A network has nothing to discover about matching then; it chooses between windows, pixel by pixel.
//!
//! | channels | what | unit |
//! |---|---|---|
//! | 0, 1 | pre image and post image warped by the displacement, normalised in boxes of 31 px | local standard deviations, within ±[`BRIGHTEST`] |
//! | 2, 3 | the same in boxes of 5 px | as above |
//! | 4, 5 | the displacement, right and down | px |
//! | 6, 7 | its standard deviation along x and y | ln px |
//! | 8 | 1 where both images are valid, else 0 | |
//! | 9, 10, 11 | correction by 9 px windows, iterated twice without any gate: right, down, standard deviation | px, px, ln px |
//! | 12 + 6 s + 3 k ... | for window size s of [`SCALES`] and whitening k (31 px, 5 px): correction right, down, standard deviation | px, px, ln px |
//!
//! Standard deviations are those of both axes together (root of the mean variance) where there is one channel; all
//! logarithms lie within [`LOG_SIGMA`], whose upper end means that nothing is known; the correction is then zero.
//! Displacements are on the pre grid, relative to the tile's base.

use super::card::FrontEnd;
use crate::correlate::dense::candidates::{Candidate, HALVINGS, SCALES, UNKNOWN, average};
use crate::correlate::dense::fuse::fuse;
use crate::correlate::dense::levels::{Level, Levels};
use crate::correlate::dense::start;
use crate::correlate::dense::whiten::combine;
use crate::correlate::dense::windows::double;
use crate::correlate::lanes::{ln, vectors};
use crate::correlate::search::{SearchArea, TileWindows};
use crate::correlate::{Band, Tile, regularized};
use crate::engine::Engine;
use crate::grid::{Grid, Window};
use crate::layout::Layout;
use crate::pipeline::{MethodName, Pair, Params};
use crate::{Error, Result};
use std::borrow::Cow;
use std::sync::atomic::AtomicBool;

/// The displacement that the others are about, right; down follows.
pub const DISPLACEMENT: usize = 4;
/// The first correction: right, down, standard deviation; all others follow in threes.
pub const FIRST: usize = 9;
/// Channels before those of the window sizes.
const FIXED: usize = FIRST + 3;
/// Number of channels.
pub const CHANNELS: usize = FIXED + 6 * SCALES.len();
/// Pixels around a place that its features depend on, nearly.
pub const HALO: usize = 64;
/// Bound on normalised images.
pub const BRIGHTEST: f32 = 4.0;
/// Bounds on logarithms of standard deviations: 1/1000 px and 10 px.
pub const LOG_SIGMA: (f32, f32) = (-6.907_755, std::f32::consts::LN_10);
/// Scale of the windows that iterate without a gate, how often, and how far they may go in all, pixels.
const SMALL: usize = 1;
const ITERATIONS: usize = 2;
const FARTHEST: f32 = 2.0;

/// The channels of a tile: channel c at (x, y) is `data[(c * height + y) * width + x]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    pub width: usize,
    pub height: usize,
    pub data: Vec<f32>,
}

impl Features {
    pub fn channel(&self, c: usize) -> &[f32] {
        let n = self.width * self.height;
        &self.data[c * n..(c + 1) * n]
    }

    fn set(&mut self, c: usize, values: impl Iterator<Item = f32>) {
        let n = self.width * self.height;
        self.data[c * n..(c + 1) * n].iter_mut().zip(values).for_each(|(o, v)| *o = v);
    }

    /// A correction and the sum of its two variances.
    fn set_correction(&mut self, c: usize, [dx, dy, variance]: [&Grid<f32>; 3]) {
        let n = self.width * self.height;
        let (right, rest) = self.data[c * n..(c + 3) * n].split_at_mut(n);
        let (down, sigma) = rest.split_at_mut(n);
        vectors(
            #[inline(always)]
            || {
                known_only(right, &dx.data, &variance.data);
                known_only(down, &dy.data, &variance.data);
                sigma.iter_mut().zip(&variance.data).for_each(|(o, v)| *o = log_sigma(0.5 * v));
            },
        );
    }
}

/// `values` where anything is known of them, else zero.
#[inline(always)]
fn known_only(out: &mut [f32], values: &[f32], variance: &[f32]) {
    let known = values.iter().zip(variance).map(|(v, variance)| if *variance < UNKNOWN { *v } else { 0.0 });
    out.iter_mut().zip(known).for_each(|(o, v)| *o = v);
}

#[inline(always)]
fn log_sigma(variance: f32) -> f32 {
    (0.5 * ln(variance.max(f32::MIN_POSITIVE))).max(LOG_SIGMA.0).min(LOG_SIGMA.1)
}

/// The displacement that features are about.
#[derive(Debug, Clone, Copy)]
pub enum About<'a> {
    /// What a front end finds.
    Found(FrontEnd),
    /// This one, of the pre images' size and relative to the tile's base: the next pass of a network.
    Given(&'a [Grid<f32>; 2]),
}

/// The features of all pixels of the tile's pre images, halo included; `None` when the run was stopped. The standard deviation
/// of a displacement that is not the `dense` method's is that of the largest candidates' fusion.
pub fn of_tile(tile: &Tile, about: About) -> Option<Features> {
    let mut levels = Levels::new(tile.bands.iter().map(Level::new).collect());
    let mut find = || {
        let mut d = start::field(tile);
        let found = levels.iterate(&mut d, || tile.stopped())?;
        Some((d, found.covariance))
    };
    let (d, sigma) = match about {
        About::Given(d) => (d.clone(), None),
        About::Found(FrontEnd::Dense1) => find().map(|(d, sigma)| (d, Some(sigma)))?,
        About::Found(FrontEnd::Dense2) => (regularized::smoothed(tile, find()?.0), None),
    };
    if tile.stopped() {
        return None;
    }
    let (width, height) = (d[0].width, d[0].height);
    let mut f = Features { width, height, data: vec![0.0; CHANNELS * width * height] };
    let found = levels.candidates([&d[0], &d[1]], 0);
    let sigma = sigma.unwrap_or_else(|| {
        let averages: Vec<Candidate> = found.scales.iter().map(average).collect();
        fuse(&averages, 0, width, height).covariance
    });
    for (kind, images) in levels.bands[0].whitened()?.iter().enumerate() {
        for (i, image) in images.iter().enumerate() {
            f.set(2 * kind + i, image.data.iter().map(|v| v.clamp(-BRIGHTEST, BRIGHTEST)));
        }
    }
    (0..2).for_each(|i| f.set(DISPLACEMENT + i, d[i].data.iter().copied()));
    f.set(6, sigma[0].data.iter().map(|v| log_sigma(*v)));
    f.set(7, sigma[2].data.iter().map(|v| log_sigma(*v)));
    f.set(8, levels.bands[0].both_valid().data.iter().map(|v| f32::from(u8::from(*v))));
    for (s, &halvings) in HALVINGS.iter().enumerate() {
        for (kind, candidate) in found.scale(s).iter().enumerate() {
            let [dx, dy] = candidate.delta.each_ref();
            let variance = sum(&candidate.covariance);
            let full = [dx, dy, &variance].map(|g| refine(g, halvings, width, height));
            f.set_correction(FIXED + 6 * s + 3 * kind, full.each_ref().map(Cow::as_ref));
        }
    }
    let (delta, covariance) = small_windows(&mut levels, &d, [found.scale(SMALL).clone()]);
    f.set_correction(FIRST, [&delta[0], &delta[1], &sum(&covariance)]);
    Some(f)
}

/// Of the variances along both axes.
fn sum(covariance: &[Grid<f32>; 3]) -> Grid<f32> {
    combine(&covariance[0], &covariance[2], |a, b| a + b)
}

/// Block values at every pixel.
fn refine(g: &Grid<f32>, halvings: usize, width: usize, height: usize) -> Cow<'_, Grid<f32>> {
    let finer = |g: Cow<Grid<f32>>, k: usize| Cow::Owned(double(&g, width.div_ceil(1 << k), height.div_ceil(1 << k)));
    (0..halvings).rev().fold(Cow::Borrowed(g), finer)
}

/// The correction that windows of 9 px alone arrive at; `first` are their candidates about `d`.
fn small_windows(
    levels: &mut Levels,
    d: &[Grid<f32>; 2],
    [first]: [[Candidate; 2]; 1],
) -> ([Grid<f32>; 2], [Grid<f32>; 3]) {
    let mut step = average(&first);
    let mut total = d.each_ref().map(|g| g.map(|_| 0.0));
    for pass in 0..ITERATIONS {
        for (t, s) in total.iter_mut().zip(&step.delta) {
            t.data.iter_mut().zip(&s.data).for_each(|(t, s)| *t = (*t + s).clamp(-FARTHEST, FARTHEST));
        }
        if pass + 1 < ITERATIONS {
            let moved = [0, 1].map(|i| {
                let data = d[i].data.iter().zip(&total[i].data).map(|(a, b)| a + b).collect();
                Grid { width: d[i].width, height: d[i].height, data }
            });
            let found = levels.candidates_of_scale([&moved[0], &moved[1]], SMALL);
            step = average(&found);
        }
    }
    (total, step.covariance)
}

/// The features of a whole pair of images in memory, as one tile: for making training data.
///
/// # Errors
/// Images of different size, smaller than 32 px or without valid pixels; a search beyond the direct one; a start of
/// another size or with gaps.
pub fn of_pair(pair: &Pair, params: &Params, about: About) -> Result<Features> {
    let (w, h) = pair.bands[0].0.size();
    let post = pair.bands[0].1.size();
    if post != (w, h) {
        let text =
            format!("pre image has {w} x {h} pixels, post image {} x {}: give images of one size", post.0, post.1);
        return Err(Error::Data(text));
    }
    if w.min(h) < 32 {
        return Err(Error::Data(format!("image of {w} x {h} pixels: features need 32 x 32 or more")));
    }
    if let About::Given(d) = about {
        if d.iter().any(|g| (g.width, g.height) != (w, h)) {
            return Err(Error::Data(format!("start of {} x {} for images of {w} x {h}", d[0].width, d[0].height)));
        }
        if d.iter().any(|g| g.data.iter().any(|v| !v.is_finite())) {
            return Err(Error::Data("start holds values that are no numbers: fill its gaps first".into()));
        }
    }
    let params =
        Params { method: MethodName::Dense, window: (32, 32), step: (1, 1), auto_search: None, ..params.clone() };
    let layout = Layout::new((w, h), params.window, params.step, None)?;
    let stop = AtomicBool::new(false);
    let engine = Engine::new(pair, &layout, &params, &stop)?;
    let (range, offset) = engine.direct_search().ok_or_else(|| {
        Error::Data("features of a pair look for displacements of up to 32 pixels: use a smaller search".into())
    })?;
    let mut worker = engine.worker(pair)?;
    let bands: Vec<Band> = worker
        .images(Window::new(0, 0, w, h))?
        .ok_or_else(|| Error::Data("no valid pixel in one of the images".into()))?;
    let tile = Tile {
        bands: &bands,
        windows: TileWindows { cells: (1, 1), window: (w, h), step: (1, 1) },
        area: SearchArea { range, starts: &[] },
        offset,
        prior: &[],
        search: (f64::INFINITY, f64::INFINITY),
        cuts: None,
        centred: false,
        halo: (0, 0),
        stop: &stop,
    };
    of_tile(&tile, about).ok_or(Error::Cancelled)
}
