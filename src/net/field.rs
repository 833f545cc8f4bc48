//! Networks of the kind `dense` on a tile: passes, pieces, and the field that comes out.

use std::sync::atomic::Ordering;

use super::card::Card;
use super::cover::{Blend, Geometry, Span, cut, pieces};
use super::evidence;
use super::features::{self, About, DISPLACEMENT};
use super::images::Source;
use super::session::{Input, Network, Output};
use super::{Net, SHIFT};
use crate::correlate::Tile;
use crate::correlate::dense::start::{self, bilinear};
use crate::correlate::dense::whiten::combine;
use crate::correlate::dense::windows::box_sum;
use crate::correlate::prepare::Preparer;
use crate::grid::Grid;
use crate::{Error, Result};

/// Of what the last of several passes changed, so much counts as standard deviation: the next would change something, too.
const STILL_TO_COME: f32 = 2.0;
/// Radius of the box over which the closure of forward and backward is averaged, pixels.
const CLOSURE: usize = 16;

/// The displacement of every pixel of a tile, relative to its base, and the variances of its two components.
pub struct Field {
    pub d: [Grid<f32>; 2],
    pub variance: [Grid<f32>; 2],
}

/// What a network says about a tile in one go.
struct Said {
    d: [Grid<f32>; 2],
    log_scale: Option<[Grid<f32>; 2]>,
}

/// What one run needs.
struct Inputs<'a> {
    /// Pre bands, then post bands; empty for a network that takes features only.
    pair: Vec<&'a Grid<f32>>,
    start: Option<[&'a Grid<f32>; 2]>,
    features: Option<&'a features::Features>,
    /// For a network that takes it besides the features.
    evidence: Option<&'a [f32]>,
}

/// Everything that does not change from pass to pass.
pub struct Run<'a> {
    pub net: &'a Net,
    pub network: &'a mut Network,
    pub preparer: &'a mut Preparer,
    pub tile: &'a Tile<'a>,
}

impl Run<'_> {
    fn card(&self) -> &Card {
        &self.net.model.card
    }

    /// The field of the tile; `None` when the run is stopped or an image is empty.
    ///
    /// # Errors
    /// The network's failures.
    pub fn field(&mut self, sources: &mut [Source]) -> Result<Option<Field>> {
        let zero = sources[0].pre.map(|_| 0.0f32);
        let front = self.card().front_end.filter(|_| self.network.takes_features());
        let mut d = match front.is_none() && start_wanted(self.tile, self.card()) {
            true => start::field(self.tile),
            false => [zero.clone(), zero.clone()],
        };
        // A network that knows where it starts looks at the post image as it is.
        let own_warp = self.network.takes_start() || front.is_some();
        let mut log_scale = None;
        let mut changed = [zero.clone(), zero.clone()];
        for pass in 0..self.net.passes() {
            if self.tile.stopped() {
                return Ok(None);
            }
            let about = match front {
                Some(_) if pass > 0 => Some(About::Given(&d)),
                front => front.map(About::Found),
            };
            let features = match about.map(|about| features::of_tile(self.tile, about)) {
                Some(None) => return Ok(None),
                found => found.flatten(),
            };
            if let Some(found) = &features {
                let plane = |c: usize| Grid::from_vec(found.width, found.height, found.channel(c).to_vec());
                d = [plane(DISPLACEMENT), plane(DISPLACEMENT + 1)];
            }
            let Some(posts) = self.posts(sources, (!own_warp).then_some(&d)) else { return Ok(None) };
            let pair = sources.iter().map(|s| &s.pre).chain(&posts).collect();
            let start = self.network.takes_start().then_some([&d[0], &d[1]]);
            let evidence = features.as_ref().filter(|_| self.network.takes("evidence")).map(evidence::of);
            let inputs = Inputs { pair, start, features: features.as_ref(), evidence: evidence.as_deref() };
            let Some(said) = self.say(&inputs)? else { return Ok(None) };
            let before = d;
            d = match own_warp {
                true => said.d,
                false => composed(&said.d, &before),
            };
            if pass > 0 {
                changed = [0, 1].map(|i| combine(&d[i], &before[i], |d, b| STILL_TO_COME * (d - b)));
            }
            log_scale = said.log_scale;
        }
        let variance = match log_scale {
            Some(s) => [0, 1].map(|i| combine(&s[i], &changed[i], |s, c| laplace_variance(s) + c * c)),
            None if front.is_some() => [zero.map(|_| f32::NAN), zero.map(|_| f32::NAN)],
            None => match self.closure(sources, &d)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        Ok(Some(Field { d, variance }))
    }

    /// The post images, warped by `d` where that is given.
    fn posts(&mut self, sources: &mut [Source], d: Option<&[Grid<f32>; 2]>) -> Option<Vec<Grid<f32>>> {
        let still = |s: &Source| s.post_window((0, 0), (s.pre.width, s.pre.height));
        match d {
            None => Some(sources.iter().map(still).collect()),
            Some(d) => sources.iter_mut().map(|s| s.warped([&d[0], &d[1]], self.preparer)).collect(),
        }
    }

    /// Variances for networks that state none: what the network still sees, looking backwards, when the post image is
    /// warped by its own result. Two independent errors add up in it, so half of its local mean square is one's.
    fn closure(&mut self, sources: &mut [Source], d: &[Grid<f32>; 2]) -> Result<Option<[Grid<f32>; 2]>> {
        let Some(posts) = self.posts(sources, Some(d)) else { return Ok(None) };
        let zero = sources[0].pre.map(|_| 0.0f32);
        let pair = posts.iter().chain(sources.iter().map(|s| &s.pre)).collect();
        let start = self.network.takes_start().then_some([&zero, &zero]);
        let Some(back) = self.say(&Inputs { pair, start, features: None, evidence: None })? else { return Ok(None) };
        let count = box_sum(&zero.map(|_| 1.0f32), CLOSURE);
        let mean = |g: &Grid<f32>| {
            let sums = box_sum(&g.map(|v| 0.5 * v * v), CLOSURE);
            let level = |v: f32| self.card().sigma.map_or(v, |s| s.variance(f64::from(v)) as f32);
            let data = sums.data.iter().zip(&count.data).map(|(s, n)| level(s / n)).collect();
            Grid::from_vec(g.width, g.height, data)
        };
        Ok(Some(back.d.each_ref().map(mean)))
    }

    /// Runs the network on the pieces of the tile and puts them together; `None` when the run is stopped.
    fn say(&mut self, inputs: &Inputs) -> Result<Option<Said>> {
        let (w, h) = size(inputs);
        let wanted = centres(self.tile);
        let geometry = self.net.geometry();
        let card = self.card();
        let multiple = card.multiple;
        // Four looks, each with its own place in the network's pooling.
        let looks: &[(usize, usize)] = match self.net.options.average {
            true => &[(0, 0), (SHIFT, 0), (0, SHIFT), (SHIFT, SHIFT)],
            false => &[(0, 0)],
        };
        let channels = if self.network.gives_scale() { 4 } else { 2 };
        let mut blend = Blend::new(channels, w, h);
        for &(sx, sy) in looks {
            let geometry = Geometry { tile: geometry.tile.max(2 * geometry.halo + SHIFT + multiple), ..geometry };
            let (columns, rows) = pieces((w, h), wanted, geometry, (sx, sy));
            for down in &rows {
                for across in &columns {
                    if self.tile.stop.load(Ordering::Relaxed) {
                        return Ok(None);
                    }
                    let (pw, ph) = (across.padded(multiple), down.padded(multiple));
                    let said = self.piece(inputs, across, down, (pw, ph))?;
                    let mut planes = said.displacement;
                    planes.extend(said.log_scale.into_iter().flatten());
                    self.net.check(&planes)?;
                    blend.add(across, down, &planes, pw, ph);
                }
            }
        }
        let mut planes = blend.finish().into_iter();
        let mut two = || planes.next().zip(planes.next()).map(|(a, b)| [a, b]);
        let d = two().ok_or_else(|| Error::Internal("a network without displacement".into()))?;
        Ok(Some(Said { d, log_scale: two() }))
    }

    fn piece(&mut self, inputs: &Inputs, across: &Span, down: &Span, (w, h): (usize, usize)) -> Result<Output> {
        let planes = |grids: &[&Grid<f32>]| {
            let mut out = Vec::with_capacity(grids.len() * w * h);
            grids.iter().for_each(|g| cut(&g.data, g.width, (across, down), (w, h), &mut out));
            out
        };
        let pair = planes(&inputs.pair);
        let start = inputs.start.map(|s| planes(&s));
        let channels = |values: &[f32], width: usize, height: usize| {
            let mut out = Vec::with_capacity(values.len() / (width * height) * w * h);
            for plane in values.chunks_exact(width * height) {
                cut(plane, width, (across, down), (w, h), &mut out);
            }
            out
        };
        let features = inputs.features.map(|f| channels(&f.data, f.width, f.height));
        let evidence = inputs.features.zip(inputs.evidence).map(|(f, e)| channels(e, f.width, f.height));
        let mut list = Vec::new();
        if self.network.takes_pair() {
            list.push(Input { name: "pair", shape: vec![1, inputs.pair.len(), h, w], values: &pair });
        }
        if let Some(values) = &start {
            list.push(Input { name: "start", shape: vec![1, 2, h, w], values });
        }
        if let Some(values) = &features {
            list.push(Input { name: "features", shape: vec![1, features::CHANNELS, h, w], values });
        }
        if let Some(values) = &evidence {
            list.push(Input { name: "evidence", shape: vec![1, evidence::CHANNELS, h, w], values });
        }
        self.network.run(&list, &[1, 2, h, w])
    }
}

/// Whether the network needs a first field: something is known of the motion, or it may be larger than the network knows.
pub fn start_wanted(tile: &Tile, card: &Card) -> bool {
    // The range has a pixel to spare.
    let range = tile.area.range.0.max(tile.area.range.1).saturating_sub(1);
    !tile.area.starts.is_empty() || range as f64 > card.max_displacement
}

/// Variance of a Laplace distribution whose scale has the logarithm `s`: 2 b². Scales beyond [1e-4, 1e2] px are no statement.
pub fn laplace_variance(s: f32) -> f32 {
    let b = s.clamp(-9.21, 4.6).exp();
    2.0 * b * b
}

/// Displacement of the post image when `r` is what was left of it after a warp by `d`: r(x) + d(x + r(x)).
fn composed(r: &[Grid<f32>; 2], d: &[Grid<f32>; 2]) -> [Grid<f32>; 2] {
    let at = |axis: usize| {
        Grid::from_fn(r[0].width, r[0].height, |x, y| {
            let (rx, ry) = (r[0].get(x, y), r[1].get(x, y));
            [rx, ry][axis] + bilinear(&d[axis], x as f32 + rx, y as f32 + ry)
        })
    };
    [at(0), at(1)]
}

/// The pixels around the centres of the cells, from and one past the last, along x and y.
fn centres(tile: &Tile) -> ((usize, usize), (usize, usize)) {
    let w = &tile.windows;
    let axis = |halo: usize, window: usize, step: usize, cells: usize, size: usize| {
        let from = halo + (window - 1) / 2;
        // A centre between pixels needs both; one more so that a blend of them is defined.
        (from, (from + (cells - 1) * step + 2).min(size))
    };
    let values = &tile.pre().values;
    (
        axis(tile.halo.0, w.window.0, w.step.0, w.cells.0, values.width),
        axis(tile.halo.1, w.window.1, w.step.1, w.cells.1, values.height),
    )
}

fn size(inputs: &Inputs) -> (usize, usize) {
    match (inputs.pair.first(), inputs.features) {
        (Some(g), _) => (g.width, g.height),
        (None, Some(f)) => (f.width, f.height),
        (None, None) => (0, 0),
    }
}
