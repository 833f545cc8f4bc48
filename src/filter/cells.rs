//! A piece of a map while it is filtered.

use crate::Result;
use crate::field::{Covariance, Measurement, PixelShift, Status};
use crate::grid::{Grid, Window};
use crate::map::{DisplacementMap, MapReader};
use rayon::prelude::*;

/// What became of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Step {
    /// Nothing, or its value was corrected.
    Kept = 0,
    Sigma = 1,
    Quality = 2,
    Magnitude = 3,
    Coherence = 4,
    Outlier = 5,
    Filled = 6,
    /// It had no value.
    Empty = 7,
}

impl Step {
    pub const ALL: [Step; 8] = [
        Step::Kept,
        Step::Sigma,
        Step::Quality,
        Step::Magnitude,
        Step::Coherence,
        Step::Outlier,
        Step::Filled,
        Step::Empty,
    ];

    /// For the metadata of the band and messages.
    pub fn text(self) -> &'static str {
        match self {
            Step::Kept => "kept",
            Step::Sigma => "removed: sigma",
            Step::Quality => "removed: quality",
            Step::Magnitude => "removed: magnitude",
            Step::Coherence => "removed: not coherent with its neighbours",
            Step::Outlier => "removed: far from the medians of its neighbours",
            Step::Filled => "filled",
            Step::Empty => "without a value",
        }
    }
}

/// Bands of a piece; both components and both sigmas are NaN together where there is nothing.
#[derive(Debug, Clone)]
pub struct Cells {
    pub window: Window,
    /// East and north.
    pub values: [Grid<f32>; 2],
    /// All NaN for maps without.
    pub sigma: [Grid<f32>; 2],
    pub quality: Grid<f32>,
    /// Codes of [`Status`].
    pub status: Grid<u8>,
    pub step: Grid<Step>,
}

impl Cells {
    /// What the map has in `window`; beyond the map there is nothing.
    ///
    /// # Errors
    /// Those of [`MapReader::read`].
    pub fn read(reader: &mut MapReader, map: &DisplacementMap, window: Window) -> Result<Cells> {
        let block = reader.read(window)?;
        let blank = || Grid::filled(window.width, window.height, f32::NAN);
        let there = block.east.map(f32::is_finite);
        let status = Grid::from_fn(window.width, window.height, |x, y| {
            let code = block.status.as_ref().map(|s| s.get(x, y)).filter(|s| (0.0..=255.0).contains(s));
            let inside = Window::new(0, 0, map.size().0, map.size().1);
            let at = Window::new(window.x + x as i64, window.y + y as i64, 1, 1);
            match (there.get(x, y), code) {
                _ if at.intersect(&inside).is_none() => Status::NoData as u8,
                // A filled cell stays one.
                (true, Some(c)) if c == f32::from(Status::Filled as u8) => Status::Filled as u8,
                (true, _) => Status::Valid as u8,
                (false, Some(c)) if c > 0.0 => c as u8,
                (false, _) => Status::NoData as u8,
            }
        });
        let sigma = block.sigma.unwrap_or_else(|| (blank(), blank()));
        Ok(Cells {
            window,
            step: there.map(|t| if t { Step::Kept } else { Step::Empty }),
            values: [block.east, block.north],
            sigma: [sigma.0, sigma.1],
            quality: block.quality.unwrap_or_else(blank),
            status,
        })
    }

    pub fn width(&self) -> usize {
        self.window.width
    }

    pub fn height(&self) -> usize {
        self.window.height
    }

    #[inline]
    pub fn value(&self, x: usize, y: usize) -> [f32; 2] {
        [self.values[0].get(x, y), self.values[1].get(x, y)]
    }

    /// The part `window`, which starts `margin` cells inside.
    pub fn crop(&self, margin: usize, window: Window) -> Cells {
        let part = Window::new(margin as i64, margin as i64, window.width, window.height);
        let pair = |g: &[Grid<f32>; 2]| [g[0].crop(part), g[1].crop(part)];
        Cells {
            window,
            values: pair(&self.values),
            sigma: pair(&self.sigma),
            quality: self.quality.crop(part),
            status: self.status.crop(part),
            step: self.step.crop(part),
        }
    }

    /// Takes the value of a cell away.
    pub fn remove(&mut self, x: usize, y: usize, step: Step, status: Status) {
        for k in 0..2 {
            self.values[k].set(x, y, f32::NAN);
            self.sigma[k].set(x, y, f32::NAN);
        }
        self.quality.set(x, y, f32::NAN);
        self.status.set(x, y, status as u8);
        self.step.set(x, y, step);
    }

    /// Subtracts a function of the cell's column and row in the whole map.
    pub fn subtract(&mut self, model: impl Fn(f64, f64) -> [f64; 2] + Sync) {
        let (left, top, width) = (self.window.x as f64, self.window.y as f64, self.window.width.max(1));
        let [east, north] = &mut self.values;
        let rows = east.data.par_chunks_mut(width).zip(north.data.par_chunks_mut(width)).enumerate();
        rows.for_each(|(y, (east, north))| {
            for (x, (e, n)) in east.iter_mut().zip(north).enumerate().filter(|(_, (e, _))| e.is_finite()) {
                let m = model(left + x as f64, top + y as f64);
                (*e, *n) = ((f64::from(*e) - m[0]) as f32, (f64::from(*n) - m[1]) as f32);
            }
        });
    }

    /// For the tests that displacement maps and matching share; in map units, right and up.
    pub fn measurements(&self) -> Grid<Measurement> {
        Grid::from_fn(self.width(), self.height(), |x, y| {
            let v = self.value(x, y);
            if !v[0].is_finite() {
                let absent = self.status.get(x, y) == Status::NoData as u8;
                return Measurement::failed(if absent { Status::NoData } else { Status::Outlier });
            }
            let variance = |k: usize| match f64::from(self.sigma[k].get(x, y)).powi(2) {
                v if v.is_finite() => v,
                _ => 0.0,
            };
            Measurement {
                shift: PixelShift::new(v[0].into(), v[1].into()),
                covariance: Covariance { xx: variance(0), xy: 0.0, yy: variance(1) },
                quality: 1.0,
                status: Status::Valid,
            }
        })
    }
}
