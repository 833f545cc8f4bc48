//! A model as a file.

use super::CoregisterJob;
use crate::distortion::fit::Spread;
use crate::distortion::{Distortion, Found};
use crate::field::GeoTransform;
use crate::raster::{RasterBand, write_text};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Version of the file's form.
const FORMAT: u32 = 1;

/// A model with what it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// `shiftmap coregistration`
    pub kind: String,
    pub format: u32,
    /// Of shiftmap.
    pub version: String,
    pub pre: String,
    pub post: String,
    /// Columns and rows of the pre image.
    pub size: [usize; 2],
    pub geotransform: [f64; 6],
    /// In WKT; nothing for images without one.
    pub crs: Option<String>,
    /// Where the georeference puts the centre of pre pixel (0, 0) in the post image.
    pub origin: [f64; 2],
    /// Cells that the model was found on, and the share of them that it goes through.
    pub cells: usize,
    pub inside: f64,
    /// Median and robust standard deviation of the displacements in pixels (right, down) before and after.
    pub before: [Numbers; 2],
    pub after: [Numbers; 2],
    /// What is added to `origin`: x_post = x_pre + origin + model(x_pre), in pixels of the pre image.
    pub model: Distortion,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    pub median: f64,
    pub nmad: f64,
}

const KIND: &str = "shiftmap coregistration";

impl Stored {
    pub(super) fn new(
        job: &CoregisterJob,
        pre: &RasterBand,
        origin: (f64, f64),
        found: Found,
        before: Option<[Spread; 2]>,
        cells: usize,
    ) -> Stored {
        let numbers = |s: [Spread; 2]| s.map(|s| Numbers { median: s.median, nmad: s.nmad });
        Stored {
            kind: KIND.into(),
            format: FORMAT,
            version: crate::VERSION.into(),
            pre: job.pre.clone(),
            post: job.post.clone(),
            size: [pre.width(), pre.height()],
            geotransform: pre.georef().transform.0,
            crs: pre.georef().crs.as_ref().map(|c| c.wkt.clone()),
            origin: [origin.0, origin.1],
            cells,
            inside: found.inside,
            before: numbers(before.unwrap_or(found.before)),
            after: numbers(found.after),
            model: found.distortion,
        }
    }

    /// Reads a model.
    ///
    /// # Errors
    /// [`Error::Open`] for files that are none.
    pub fn read(path: &str) -> Result<Stored> {
        let fail = |why: String| Error::Open { path: path.into(), why };
        let text = std::fs::read_to_string(path)
            .map_err(|e| fail(format!("{e}; give the .json file that `shiftmap coregister` wrote")))?;
        let stored: Stored = serde_json::from_str(&text).map_err(|e| {
            fail(format!("not a model of `shiftmap coregister` ({e}); give the .json file that it wrote"))
        })?;
        match stored.kind == KIND && stored.format == FORMAT && stored.sound() {
            true => Ok(stored),
            false => Err(fail(format!(
                "its kind is `{}`, format {}; this version reads `{KIND}`, format {FORMAT}",
                stored.kind, stored.format
            ))),
        }
    }

    /// Tables and lists of the lengths that belong together.
    fn sound(&self) -> bool {
        let m = &self.model;
        let surface = m.surface.as_ref().is_none_or(|s| s.coefficients.iter().all(|c| c.len() <= 6) && s.scale != 0.0);
        let steps = m.steps.as_ref().is_none_or(|s| s.levels.iter().all(|l| l.len() == s.edges.len() + 1));
        let lines = m.lines.as_ref().is_none_or(|l| l.values[0].len() == l.values[1].len() && l.spacing > 0.0);
        surface && steps && lines
    }

    /// Writes the model and returns the path.
    pub(super) fn write(&self, path: &str, overwrite: bool) -> Result<String> {
        write_text(path, &self.json()?, overwrite)?;
        Ok(path.into())
    }

    /// As a file holds it.
    pub fn json(&self) -> Result<String> {
        let text = serde_json::to_string(self).map_err(|e| Error::Internal(format!("model: {e}")))?;
        Ok(text + "\n")
    }

    /// The model, where it belongs to the grid of `pre`.
    ///
    /// # Errors
    /// [`Error::GridMismatch`] naming both grids.
    pub fn fitting(self, pre: &RasterBand, path: &str) -> Result<Stored> {
        let grid = pre.georef().transform;
        let same = |a: &[f64; 6], b: &[f64; 6]| {
            let pixel = GeoTransform(*b).pixel_size();
            let near = |k: usize, size: f64| (a[k] - b[k]).abs() <= 1e-6 * size;
            let far = (self.size[0].max(self.size[1]).max(1)) as f64;
            [0, 3].iter().all(|k| near(*k, pixel.0)) && [1, 2, 4, 5].iter().all(|k| near(*k, pixel.0 / far))
        };
        if self.size == [pre.width(), pre.height()] && same(&self.geotransform, &grid.0) {
            return Ok(self);
        }
        Err(Error::GridMismatch(format!(
            "{path} belongs to {} with {} x {} pixels at {:?}, and {} has {} x {} pixels at {:?}; give the image it was made for, or \
             make a model of this pair",
            self.pre,
            self.size[0],
            self.size[1],
            self.geotransform,
            pre.label(),
            pre.width(),
            pre.height(),
            grid.0
        )))
    }

    /// What there is to say about the model, a line each.
    pub fn lines(&self) -> Vec<String> {
        let m = &self.model;
        let middle = [0.5 * (self.size[0] as f64 - 1.0), 0.5 * (self.size[1] as f64 - 1.0)];
        let mut out = Vec::new();
        let mut constant = m.shift;
        if let Some(s) = &m.surface {
            let at = s.at(middle[0], middle[1]);
            constant = [constant[0] + at[0], constant[1] + at[1]];
        }
        out.push(format!("shift in the middle: {:.3} {:.3} px (right, down)", constant[0], constant[1]));
        if let Some(s) = m.surface.as_ref().filter(|s| s.coefficients[0].len() > 1) {
            let slope = |k: usize, i: usize| 1000.0 * s.coefficients[k][i] / s.scale;
            out.push(format!(
                "slopes, px in 1000 px: right {:.3} along columns, {:.3} along rows; down {:.3}, {:.3}{}",
                slope(0, 1),
                slope(0, 2),
                slope(1, 1),
                slope(1, 2),
                if s.coefficients[0].len() > 3 { "; and a quadratic part" } else { "" }
            ));
        }
        if let Some(s) = &m.steps {
            for (i, edge) in s.edges.iter().enumerate() {
                let step = |k: usize| s.levels[k][i + 1] - s.levels[k][i];
                out.push(format!("seam at {edge:.0} px along the lines: {:.3} {:.3} px", step(0), step(1)));
            }
        }
        if let Some(l) = &m.lines {
            let rms = |v: &Vec<f64>| (v.iter().map(|x| x * x).sum::<f64>() / v.len().max(1) as f64).sqrt();
            out.push(format!("jitter: {:.3} {:.3} px RMS", rms(&l.values[0]), rms(&l.values[1])));
        }
        let text = |n: &[Numbers; 2]| {
            format!("median {:.3} {:.3}, NMAD {:.3} {:.3} px", n[0].median, n[1].median, n[0].nmad, n[1].nmad)
        };
        out.push(format!("displacements on {} cells: {}", self.cells, text(&self.before)));
        out.push(format!("less the model: {}", text(&self.after)));
        out
    }
}
