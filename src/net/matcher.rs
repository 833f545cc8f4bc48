//! The method `net`: a network on the tiles of a run.

use super::field::Run;
use super::images::{Pixels, Source};
use super::session::Network;
use super::windows;
use super::{Kind, Net, SHIFT, features};
use crate::correlate::agreement::Agreement;
use crate::correlate::dense::Texture;
use crate::correlate::dense::candidates::BLOCK;
use crate::correlate::dense::start::bilinear;
use crate::correlate::fill::ValidCounts;
use crate::correlate::prepare::Preparer;
use crate::correlate::{Method, Tile};
use crate::field::{Covariance, Measurement, PixelShift, Status};
use crate::grid::Grid;
use crate::pipeline::Params;
use crate::{Error, Result};
use std::sync::Arc;

/// Least standard deviation reported, pixels: what interpolation leaves.
const FLOOR: f64 = 1e-3;
/// Standard deviation at which the quality is 1/2, pixels.
const HALF_QUALITY: f64 = 0.25;
/// A cell whose standard deviation is larger was not measured, pixels.
const LARGEST_SIGMA: f64 = 2.0;

/// A network with the buffers of one thread; it is loaded with the first tile.
pub struct NetMethod {
    net: Arc<Net>,
    min_valid: f64,
    window: (usize, usize),
    network: Option<Network>,
    preparer: Preparer,
    failure: Option<Error>,
}

impl NetMethod {
    pub fn new(net: Arc<Net>, params: &Params) -> Self {
        NetMethod {
            net,
            min_valid: params.min_valid,
            window: params.window,
            network: None,
            preparer: Preparer::default(),
            failure: None,
        }
    }
}

impl Method for NetMethod {
    fn halo(&self) -> usize {
        let card = &self.net.model.card;
        let shift = if self.net.options.average { SHIFT } else { 0 };
        // Around the centres of the windows: half a window is there already.
        let half = self.window.0.min(self.window.1) / 2;
        match card.kind {
            // In whole blocks, so that these lie as they do for the method `dense`.
            Kind::Dense if card.front_end.is_some() => {
                (card.halo.max(features::HALO) + shift).saturating_sub(half / BLOCK * BLOCK)
            }
            // An even window has a pixel less before its centre.
            Kind::Dense => (card.halo + shift + 1).saturating_sub(half),
            _ => 0,
        }
    }

    fn wants_pixels(&self) -> bool {
        true
    }

    /// Features are made for the border; a network that sees the images alone would see an edge there, and shifted looks need
    /// room.
    fn looks_over_the_border(&self) -> bool {
        self.net.model.card.front_end.is_none() || self.net.options.average
    }

    fn match_tile(&mut self, tile: &Tile) -> Vec<Measurement> {
        match self.measure(tile) {
            Ok(Some(found)) => found,
            outcome => {
                self.failure = outcome.err();
                vec![Measurement::failed(Status::NoData); tile.windows.len()]
            }
        }
    }

    fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }
}

/// What is known of a cell before its status.
struct Raw {
    d: (f64, f64),
    variance: (f64, f64),
    /// The images agree there, or nothing is known about it.
    matched: bool,
}

impl NetMethod {
    fn measure(&mut self, tile: &Tile) -> Result<Option<Vec<Measurement>>> {
        let pixels: Vec<&Pixels> = tile.bands.iter().filter_map(|b| b.pixels.as_ref()).collect();
        if pixels.len() < self.net.model.card.bands {
            // A band without any valid pixel here.
            return Ok(None);
        }
        let Some(mut sources) = pixels.into_iter().map(Source::new).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let network = match &mut self.network {
            Some(network) => network,
            slot => slot.insert(Network::new(&self.net.model, &self.net.options)?),
        };
        let cells = tile.windows.len();
        let raw: Vec<Raw> = match self.net.model.card.kind {
            Kind::Window => {
                let found = windows::measure(&self.net, network, tile, &mut sources, &mut self.preparer)?;
                let Some(found) = found else { return Ok(None) };
                found.into_iter().map(|f| Raw { d: f.d, variance: f.variance, matched: true }).collect()
            }
            _ => {
                let mut run = Run { net: &self.net, network, preparer: &mut self.preparer, tile };
                let Some(field) = run.field(&mut sources)? else { return Ok(None) };
                let at = |g: &[Grid<f32>; 2], c: (f32, f32)| {
                    (f64::from(bilinear(&g[0], c.0, c.1)), f64::from(bilinear(&g[1], c.0, c.1)))
                };
                // The front end settles somewhere even where the images have nothing in common.
                let front_end = self.net.model.card.front_end.is_some();
                let agreement = front_end.then(|| Agreement::of_tile(tile, field.d.each_ref()));
                let cell = |cell: usize| {
                    let c = tile.centre(cell);
                    let matched = agreement.as_ref().is_none_or(|a| a.at(c.0, c.1));
                    Raw { d: at(&field.d, c), variance: at(&field.variance, c), matched }
                };
                (0..cells).map(cell).collect()
            }
        };
        Ok(Some(self.judge(tile, &sources, &raw)))
    }

    /// Status, quality and standard deviations.
    fn judge(&self, tile: &Tile, sources: &[Source], raw: &[Raw]) -> Vec<Measurement> {
        let window = tile.windows.window;
        let area = (window.0 * window.1) as f64;
        let texture = Texture::new(&tile.bands[0].pre.values);
        let pre_counts = ValidCounts::new(&all(sources, |s, k| s.pre_valid.data[k]));
        let post_counts = PostCounts::new(sources);
        let cell = |cell: usize| {
            let (x, y) = tile.corner(cell);
            let Raw { d, variance, matched } = raw[cell];
            let pre = pre_counts.count(x as i64, y as i64, window) as f64 / area;
            let post = post_counts.share((x as i64, y as i64), window, d);
            // The least that both can have in common is not known; the lesser is what is counted.
            let valid = pre.min(post);
            if valid < self.min_valid || valid == 0.0 {
                return Measurement::failed(Status::NoData);
            }
            if texture.variance(x, y, window) <= tile.bands[0].scene.min_variance {
                return Measurement::failed(Status::LowTexture);
            }
            let origin = tile.area.start(cell);
            let beyond = |d: f64, s: i32, range: usize| (d - f64::from(s)).abs() >= range as f64;
            if beyond(d.0, origin.0, tile.area.range.0) || beyond(d.1, origin.1, tile.area.range.1) {
                return Measurement::failed(Status::SearchEdge);
            }
            // What was filled says nothing: fewer pixels, larger variance.
            let spread = |v: f64| v / (valid * valid) + FLOOR * FLOOR;
            let covariance = Covariance { xx: spread(variance.0), xy: 0.0, yy: spread(variance.1) };
            if !matched || covariance.xx.max(covariance.yy) > LARGEST_SIGMA * LARGEST_SIGMA {
                return Measurement::failed(Status::NoConvergence);
            }
            let mean = 0.5 * (covariance.xx + covariance.yy);
            // Where the network states no sigma, nothing speaks for its values.
            let quality = if mean.is_nan() { 0.0 } else { (1.0 / (1.0 + mean / (HALF_QUALITY * HALF_QUALITY))) as f32 };
            let shift = PixelShift::new(d.0, d.1);
            let mut m = Measurement { shift, covariance, quality, status: Status::Valid };
            tile.check_search(cell, &mut m);
            m
        };
        (0..raw.len()).map(cell).collect()
    }
}

/// Where something holds in every band.
fn all(sources: &[Source], holds: impl Fn(&Source, usize) -> bool) -> Grid<bool> {
    let first = &sources[0].pre;
    let data = (0..first.data.len()).map(|k| sources.iter().all(|s| holds(s, k))).collect();
    Grid { width: first.width, height: first.height, data }
}

/// Valid pixels of the post images, with their margin.
struct PostCounts {
    counts: ValidCounts,
    margin: i64,
}

impl PostCounts {
    fn new(sources: &[Source]) -> Self {
        let first = &sources[0].post_valid;
        let data = (0..first.data.len()).map(|k| sources.iter().all(|s| s.post_valid.data[k])).collect();
        let valid = Grid { width: first.width, height: first.height, data };
        PostCounts { counts: ValidCounts::new(&valid), margin: sources[0].margin() as i64 }
    }

    /// Share of valid pixels in the window at `corner` moved by `d`.
    fn share(&self, corner: (i64, i64), window: (usize, usize), d: (f64, f64)) -> f64 {
        let (x, y) = (corner.0 + self.margin + d.0.round() as i64, corner.1 + self.margin + d.1.round() as i64);
        self.counts.count(x, y, window) as f64 / (window.0 * window.1) as f64
    }
}
