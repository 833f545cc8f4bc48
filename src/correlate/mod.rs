//! The matching methods, one algorithm a file, behind the trait [`Method`].
//!
//! A method sees one tile at a time: the prepared pre and post images and the windows in it. Every tile is computed as
//! a whole from the same scene model, so results do not depend on threads, regions or the order of tiles.
pub mod agreement;
pub mod ampcor;
pub mod asked;
pub mod batch_sums;
pub mod bilateral;
pub mod block;
pub mod chance;
pub mod clear;
pub mod coherence;
pub mod coherent;
pub mod column_sums;
pub mod cross_spectrum;
pub mod cut;
pub mod dense;
pub mod eight;
pub mod fft2;
pub mod fill;
pub mod frequency;
pub mod half_pixel;
pub mod interp;
pub mod lag_block;
pub mod lag_sums;
pub mod lanes;
pub mod lsm;
pub mod lsm_affine;
pub mod lsm_cut;
pub mod lsm_joint;
pub mod lsm_level;
pub mod lsm_shared;
pub mod lsm_tile;
pub mod lsm_window;
pub mod masked;
pub mod missing;
pub mod peak;
pub mod peak_shared;
pub mod phase;
pub mod phase_slopes;
pub mod precision;
pub mod prefilter;
pub mod prefilter_choice;
pub mod prepare;
pub mod pyramid;
pub mod quick_search;
pub mod radial;
pub mod real_fft2;
pub mod rectangles;
pub mod regularized;
pub mod residual;
pub mod scene;
pub mod search;
pub mod sides;
pub mod spatial;
pub mod spatial_aliased;
pub mod spline_choice;
pub mod split;
pub mod split_line;
pub mod sums;
pub mod surface;
pub mod surface_layer;
pub mod taper;
pub mod tile_filter;
pub mod uncertainty;
pub mod window_sums;

use crate::Error;
use crate::field::{Measurement, PixelShift, Status};
use crate::grid::Window;
use crate::net::images::Pixels;
use crate::net::matcher::NetMethod;
use crate::pipeline::{ComplexUse, MethodName, Params};
use cut::Cuts;
use prepare::{Parts, PreparedPost, PreparedPre};
use pyramid::{DIRECT, GRAIN};
use scene::Scene;
use search::{SearchArea, TileWindows};
use std::sync::atomic::{AtomicBool, Ordering};

/// How post pixels relate to pre pixels, and how far a displacement may reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alignment {
    /// Whole-pixel offset: pre pixel x corresponds to post pixel x + base without motion, up to `fraction`.
    pub base: (i64, i64),
    /// The rest of the offset, within ±0.5 pixel.
    pub fraction: (f64, f64),
    /// Whole-pixel search range along x and y.
    pub range: (usize, usize),
    /// Pixels that the images for looking at the pair reach further than the patches: at least the larger range.
    pub search: usize,
}

impl Alignment {
    /// From the post position of pre pixel (0, 0) and the search in pixels. One pixel is added to the search so that a
    /// displacement at its limit still has a peak inside.
    pub fn new(origin: (f64, f64), search: (f64, f64)) -> Self {
        let base = (origin.0.round(), origin.1.round());
        let fraction = (origin.0 - base.0, origin.1 - base.1);
        let range = |s: f64, f: f64| (s + f.abs()).ceil() as usize + 1;
        let range = (range(search.0, fraction.0), range(search.1, fraction.1));
        let search = match range.0.max(range.1) {
            // The pyramid's levels must divide the margin.
            r if r > DIRECT => (r + prepare::SPLINE_MARGIN + GRAIN).next_multiple_of(GRAIN) - prepare::SPLINE_MARGIN,
            r => r,
        };
        Alignment { base: (base.0 as i64, base.1 as i64), fraction, range, search }
    }

    /// The search is too large to be looked through directly.
    pub fn coarse_to_fine(&self) -> bool {
        self.range.0.max(self.range.1) > DIRECT
    }

    /// Pixels that a tile needs around itself in the post image.
    pub fn post_margin(&self) -> usize {
        self.search + prepare::SPLINE_MARGIN + prepare::PAD
    }

    /// What to read from the pre and the post image for a rectangle of pre pixels.
    pub fn windows(&self, pixels: Window) -> (Window, Window) {
        let post = pixels.shifted(self.base.0, self.base.1).grown(self.post_margin());
        (pixels.grown(prepare::PAD), post)
    }
}

/// One image band of a tile, prepared with that band's own scene model.
pub struct Band<'a> {
    pub pre: PreparedPre,
    pub post: PreparedPost,
    pub scene: &'a Scene,
    /// The normalised pixels, for methods that want them.
    pub pixels: Option<Pixels>,
}

/// A tile ready for a method.
pub struct Tile<'a> {
    /// Bands to be matched together, at least one; all with the same margins.
    pub bands: &'a [Band<'a>],
    pub windows: TileWindows,
    /// Where each window is looked for, in whole pixels relative to the tile's base.
    pub area: SearchArea<'a>,
    /// What is added to a displacement relative to the tile's base to get the reported one.
    pub offset: PixelShift,
    /// Expected reported displacement of each cell; empty when nothing is known, which means zero.
    pub prior: &'a [PixelShift],
    /// Largest distance of a reported displacement from its prior on each axis.
    pub search: (f64, f64),
    /// Lines that no window may reach across.
    pub cuts: Option<&'a Cuts>,
    /// The run knows of lines or looks for jumps: windows in straining ground give what is at their centres.
    pub centred: bool,
    /// Columns to the left of the windows and rows above them that the images have, of the halo that the method asked for: less
    /// at the border of the scene.
    pub halo: (usize, usize),
    /// Set when the run is to end at once; what is returned then is thrown away.
    pub stop: &'a AtomicBool,
}

impl<'a> Tile<'a> {
    /// The first band's images; methods that use one band use this one.
    #[inline]
    pub fn pre(&self) -> &'a PreparedPre {
        &self.bands[0].pre
    }

    #[inline]
    pub fn post(&self) -> &'a PreparedPost {
        &self.bands[0].post
    }

    /// All bands' images.
    pub fn pairs(&self) -> Vec<(&'a PreparedPre, &'a PreparedPost)> {
        self.bands.iter().map(|b| (&b.pre, &b.post)).collect()
    }

    /// Top-left pixel of a cell's window in the images.
    #[inline]
    pub fn corner(&self, cell: usize) -> (usize, usize) {
        let (x, y) = self.windows.corner(cell);
        (x + self.halo.0, y + self.halo.1)
    }

    /// Centre of a cell's window in the images.
    #[inline]
    pub fn centre(&self, cell: usize) -> (f32, f32) {
        let half = |side: usize| (side as f32 - 1.0) / 2.0;
        let ((x, y), (w, h)) = (self.corner(cell), self.windows.window);
        (x as f32 + half(w), y as f32 + half(h))
    }

    /// Where to look for windows that are laid over the whole images: the start of the cell nearest to each; empty where all
    /// cells are looked for at the same place.
    pub fn starts_of(&self, windows: &TileWindows) -> Vec<(i32, i32)> {
        if self.area.starts.is_empty() {
            return Vec::new();
        }
        let own = &self.windows;
        let pick = |at: usize, side: usize, halo: usize, window: usize, step: usize, cells: usize| {
            let centre = (at + side / 2) as i64 - (halo + window / 2) as i64;
            ((centre.max(0) as usize + step / 2) / step).min(cells - 1)
        };
        let cell = |k: usize| {
            let (x, y) = windows.corner(k);
            let column = pick(x, windows.window.0, self.halo.0, own.window.0, own.step.0, own.cells.0);
            pick(y, windows.window.1, self.halo.1, own.window.1, own.step.1, own.cells.1) * own.cells.0 + column
        };
        (0..windows.len()).map(|k| self.area.start(cell(k))).collect()
    }

    /// The run is to end at once.
    #[inline]
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Marks a displacement beyond the search: it is not what was asked for.
    pub fn check_search(&self, cell: usize, m: &mut Measurement) {
        let prior = self.prior.get(cell).copied().unwrap_or_default();
        let away = |d: f64, offset: f64, prior: f64| (d + offset - prior).abs();
        if m.status == Status::Valid
            && (away(m.shift.dx, self.offset.dx, prior.dx) > self.search.0
                || away(m.shift.dy, self.offset.dy, prior.dy) > self.search.1)
        {
            *m = Measurement::failed(Status::OutsideSearch);
        }
    }
}

/// A matching method with one thread's buffers.
pub trait Method {
    /// Pixels around the windows that the method looks at.
    fn halo(&self) -> usize {
        0
    }

    /// Whether it also wants that of its halo which lies over the scene's border, invalid pixels all.
    fn looks_over_the_border(&self) -> bool {
        false
    }

    /// Measures every window of the tile, in cell order; displacements are relative to the tile's base.
    fn match_tile(&mut self, tile: &Tile) -> Vec<Measurement>;

    /// What it works on besides the filtered images; `cut` where lines that no window may reach across are near.
    fn parts(&self, _cut: bool) -> Parts {
        Parts::Spread
    }

    /// Whether the method looks at the normalised pixels of [`Band::pixels`].
    fn wants_pixels(&self) -> bool {
        false
    }

    /// Takes why the last tile could not be measured at all; its measurements are to be thrown away then.
    fn failure(&mut self) -> Option<Error> {
        None
    }

    /// Takes the jumps found inside windows of the last tile (`--split`), in cell order.
    fn splits(&mut self) -> Vec<split::Split> {
        Vec::new()
    }
}

/// The method that `params` asks for; `scenes` are the scene models of the bands.
pub fn plan<'a>(params: &'a Params, scenes: &'a [Scene]) -> Box<dyn Method + 'a> {
    match params.method {
        MethodName::Lsm => Box::new(lsm_tile::LsmTile::new(params, scenes)),
        MethodName::Precision => Box::new(precision::Precision::new(params, &scenes[0])),
        MethodName::Dense => Box::new(dense::Dense::new(params)),
        MethodName::Frequency => Box::new(frequency::Frequency::new(params, &scenes[0])),
        MethodName::Spatial if params.complex == ComplexUse::Coherence => {
            Box::new(coherent::Coherent::new(params, scenes))
        }
        MethodName::Spatial => Box::new(spatial::Spatial::new(params, scenes)),
        MethodName::Regularized => Box::new(regularized::Regularized::new(params)),
        MethodName::Net => match &params.net {
            Some(net) => Box::new(NetMethod::new(net.clone(), params)),
            None => Box::new(NoNetwork),
        },
    }
}

/// `net` without a network: whoever sets parameters without a job must bring it along.
struct NoNetwork;

impl Method for NoNetwork {
    fn match_tile(&mut self, tile: &Tile) -> Vec<Measurement> {
        vec![Measurement::failed(Status::NoData); tile.windows.len()]
    }

    fn failure(&mut self) -> Option<Error> {
        Some(Error::Internal("method `net` was given no network".into()))
    }
}
