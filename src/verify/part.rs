//! The part of the images on which an earthquake is simulated.

use crate::grid::{Image, ImageFile, ImageReader, MemoryImage, PointFile, PointReader, Window};
use crate::{Error, Result};

/// Why this part.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Part {
    pub x: i64,
    pub y: i64,
    pub width: usize,
    pub height: usize,
    /// What it is a part of.
    pub of: (usize, usize),
    /// `whole`, `region` or `chosen`.
    pub how: &'static str,
    /// Median slope of the brightness between pixels in the part and in all samples of the scene; chosen parts only.
    pub texture: Option<(f64, f64)>,
}

impl Part {
    pub fn window(&self) -> Window {
        Window::new(self.x, self.y, self.width, self.height)
    }
}

/// Candidates along each axis, samples along each axis of a candidate, and side of a sample in pixels.
const CANDIDATES: usize = 8;
const SAMPLES: usize = 3;
const SIDE: usize = 48;

/// At most `largest` × `largest` pixels of `area`, which lies in the image. Corners are multiples of `step`, so that the cells
/// of the part are cells of the whole. Of 8 × 8 candidates the one whose texture is closest to the median of the scene
/// and of which as many pixels are valid as of any, in both images.
///
/// # Errors
/// Images that cannot be read or have no valid pixel there.
pub fn choose(
    pre: &dyn ImageFile,
    post: &dyn ImageFile,
    origin: (f64, f64),
    area: Window,
    step: (usize, usize),
    largest: usize,
) -> Result<Part> {
    let of = pre.size();
    let whole = area == Window::new(0, 0, of.0, of.1);
    let down = |v: i64, step: usize| v - v.rem_euclid(step as i64);
    let up = |v: i64, step: usize| v + (-v).rem_euclid(step as i64);
    let (x, y) = (up(area.x, step.0), up(area.y, step.1));
    let (width, height) = ((area.right() - x).max(0) as usize, (area.bottom() - y).max(0) as usize);
    if width <= largest && height <= largest {
        let how = if whole { "whole" } else { "region" };
        return Ok(Part { x, y, width, height, of, how, texture: None });
    }
    let (w, h) = (width.min(largest), height.min(largest));
    let (mut a, mut b) = (pre.open()?, post.open()?);
    let (dx, dy) = (origin.0.floor() as i64, origin.1.floor() as i64);
    let mut candidates = Vec::new();
    for j in 0..CANDIDATES {
        for i in 0..CANDIDATES {
            let place = |k: usize, room: usize, step: usize| {
                down((room as f64 * k as f64 / (CANDIDATES - 1) as f64).round() as i64, step)
            };
            let corner = (x + place(i, width - w, step.0), y + place(j, height - h, step.1));
            if candidates.iter().any(|c: &Candidate| c.corner == corner) {
                continue;
            }
            let (mut slopes, mut valid) = (Vec::new(), 0);
            for l in 0..SAMPLES {
                for k in 0..SAMPLES {
                    let at = |n: usize, k: usize| ((n - SIDE.min(n)) as f64 * (k as f64 + 0.5) / SAMPLES as f64) as i64;
                    let sample = Window::new(corner.0 + at(w, k), corner.1 + at(h, l), SIDE.min(w), SIDE.min(h));
                    valid += look(&a.read(sample)?, &b.read(sample.shifted(dx, dy))?, &mut slopes);
                }
            }
            candidates.push(Candidate { corner, valid, texture: super::smooth::median(slopes) });
        }
    }
    let most = candidates.iter().map(|c| c.valid).max().unwrap_or(0);
    if most == 0 {
        return Err(Error::Data(format!(
            "{} and {} have no valid pixel in common where they were looked at; give --region",
            pre.name(),
            post.name()
        )));
    }
    let texture = super::smooth::median(candidates.iter().filter(|c| c.valid > 0).map(|c| c.texture).collect());
    let good = candidates.iter().filter(|c| c.valid as f64 >= 0.98 * most as f64);
    let far = |c: &Candidate| (c.texture.max(1e-30) / texture.max(1e-30)).ln().abs();
    let Some(best) = good.min_by(|a, b| far(a).total_cmp(&far(b))) else {
        return Err(Error::Internal("no candidate part".into()));
    };
    let texture = Some((best.texture, texture));
    Ok(Part { x: best.corner.0, y: best.corner.1, width: w, height: h, of, how: "chosen", texture })
}

struct Candidate {
    corner: (i64, i64),
    /// Pixels of the samples that are valid in both images.
    valid: usize,
    texture: f64,
}

/// Number of pixels valid in both; adds the slopes between neighbours of the pre image.
fn look(a: &Image, b: &Image, slopes: &mut Vec<f64>) -> usize {
    let ok = |x: usize, y: usize| a.valid.get(x, y) && b.valid.get(x, y);
    let mut valid = 0;
    for y in 0..a.height() {
        for x in 0..a.width() {
            if ok(x, y) {
                valid += 1;
                if x > 0 && ok(x - 1, y) {
                    slopes.push(f64::from((a.values.get(x, y) - a.values.get(x - 1, y)).abs()));
                }
            }
        }
    }
    valid
}

/// A copy of an image's part in memory, as it was read or displaced, of which is known what is known of the image.
pub struct PartImage<'a> {
    pub copy: &'a MemoryImage,
    pub of: &'a dyn ImageFile,
}

impl ImageFile for PartImage<'_> {
    fn size(&self) -> (usize, usize) {
        self.copy.size()
    }

    fn open(&self) -> Result<Box<dyn ImageReader + '_>> {
        self.copy.open()
    }

    fn name(&self) -> String {
        self.copy.name()
    }

    fn well_sampled(&self) -> bool {
        self.of.well_sampled()
    }
}

/// Points known on the whole pre image, seen from a part of it.
pub struct PartPoints<'a> {
    pub file: &'a dyn PointFile,
    /// Corner of the part.
    pub corner: (f64, f64),
}

impl PointFile for PartPoints<'_> {
    fn open(&self) -> Result<Box<dyn PointReader + '_>> {
        Ok(Box::new(PartReader { reader: self.file.open()?, corner: self.corner }))
    }

    fn name(&self) -> String {
        self.file.name()
    }
}

struct PartReader<'a> {
    reader: Box<dyn PointReader + 'a>,
    corner: (f64, f64),
}

impl PointReader for PartReader<'_> {
    fn sample(&mut self, points: &[(f64, f64)]) -> Result<Vec<Option<(f64, f64)>>> {
        let moved: Vec<(f64, f64)> = points.iter().map(|p| (p.0 + self.corner.0, p.1 + self.corner.1)).collect();
        self.reader.sample(&moved)
    }
}
