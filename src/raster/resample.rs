//! An image on another image's grid, computed while it is read (`--resample`).
//!
//! Positions go pre pixel → pre map → post map (PROJ) → post pixel, exactly at nodes every [`SPACING`] pixels of the pre
//! grid and bilinearly between them. The nodes are anchored at the grid's origin, so a pixel's value does not depend on
//! the window it is read with.

use super::compare::{no_overlap, same_frame};
use super::georef::Crs;
use super::kernel::Kernel;
use super::open::RasterBand;
use super::reason;
use crate::field::GeoTransform;
use crate::grid::{Grid, Image, ImageFile, ImageReader, Window};
use crate::{Error, Result};
use gdal::spatial_ref::CoordTransform;

/// Distance of exactly transformed positions in pixels: between them a map projection departs from a plane by less
/// than 1e-4 px for pixels up to 100 m.
const SPACING: i64 = 8;

/// The post image as it would look on the pre grid without any motion.
pub struct Resampled {
    pre: RasterBand,
    post: RasterBand,
    /// Post pixels per pre pixel along the post image's axes.
    scale: (f64, f64),
}

impl Resampled {
    /// # Errors
    /// [`Error::GridMismatch`] when one of the images is not georeferenced or they do not overlap.
    pub fn new(pre: &RasterBand, post: &RasterBand) -> Result<Self> {
        same_frame(pre, post)?;
        let mapping = Mapping::new(pre, post)?;
        // A coarse look at the whole pre image.
        let (w, h) = (pre.width() as f64, pre.height() as f64);
        let steps = 32;
        let mut inside = 0;
        for j in 0..=steps {
            let at =
                |i: i32| (f64::from(i) / f64::from(steps) * (w - 1.0), f64::from(j) / f64::from(steps) * (h - 1.0));
            let points = mapping.exact((0..=steps).map(at).collect());
            let within = |p: &&(f64, f64)| {
                p.0 > -0.5 && p.1 > -0.5 && p.0 < post.width() as f64 - 0.5 && p.1 < post.height() as f64 - 0.5
            };
            inside += points.iter().filter(within).count();
        }
        if inside == 0 {
            return Err(no_overlap(pre, post));
        }
        let (cx, cy) = (w / 2.0, h / 2.0);
        let p = mapping.exact(vec![(cx - 0.5, cy), (cx + 0.5, cy), (cx, cy - 0.5), (cx, cy + 0.5)]);
        let length = |a: f64, b: f64| match a.hypot(b) {
            l if l.is_finite() => l,
            _ => 1.0,
        };
        let scale = (length(p[1].0 - p[0].0, p[3].0 - p[2].0), length(p[1].1 - p[0].1, p[3].1 - p[2].1));
        Ok(Resampled { pre: pre.clone(), post: post.clone(), scale })
    }
}

impl ImageFile for Resampled {
    fn size(&self) -> (usize, usize) {
        (self.pre.width(), self.pre.height())
    }

    fn open(&self) -> Result<Box<dyn ImageReader + '_>> {
        Ok(Box::new(ResampledReader {
            mapping: Mapping::new(&self.pre, &self.post)?,
            source: self.post.open()?,
            extent: Window::new(0, 0, self.post.width(), self.post.height()),
            kernel: Kernel::new(self.scale),
        }))
    }

    fn name(&self) -> String {
        self.post.label()
    }

    fn well_sampled(&self) -> bool {
        self.post.well_sampled()
    }
}

struct ResampledReader<'a> {
    mapping: Mapping,
    source: Box<dyn ImageReader + 'a>,
    extent: Window,
    kernel: Kernel,
}

impl ImageReader for ResampledReader<'_> {
    fn read(&mut self, window: Window) -> Result<Image> {
        let mut out = Image::invalid(window.width, window.height);
        let positions = self.mapping.positions(window);
        let reach = self.kernel.reach();
        let Some(part) = bounding(&positions.data, reach).and_then(|b| b.intersect(&self.extent)) else {
            return Ok(out);
        };
        let source = self.source.read(part)?;
        for (i, &(x, y)) in positions.data.iter().enumerate() {
            if let Some(v) = self.kernel.value(&source, x - part.x as f64, y - part.y as f64) {
                out.values.data[i] = v;
                out.valid.data[i] = true;
            }
        }
        Ok(out)
    }
}

/// The source pixels that the kernel touches at any of the positions.
fn bounding(positions: &[(f64, f64)], reach: (usize, usize)) -> Option<Window> {
    let (mut low, mut high) = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
    for &(x, y) in positions.iter().filter(|p| p.0.is_finite() && p.1.is_finite()) {
        low = (low.0.min(x), low.1.min(y));
        high = (high.0.max(x), high.1.max(y));
    }
    if low.0 > high.0 {
        return None;
    }
    // Far outside is as good as outside, and must not overflow.
    let limit = |v: f64| v.clamp(-1e9, 1e9);
    let (x0, y0) = (limit(low.0).floor() as i64 - reach.0 as i64, limit(low.1).floor() as i64 - reach.1 as i64);
    let (x1, y1) = (limit(high.0).ceil() as i64 + reach.0 as i64, limit(high.1).ceil() as i64 + reach.1 as i64);
    Some(Window::new(x0, y0, (x1 - x0 + 1) as usize, (y1 - y0 + 1) as usize))
}

/// From pre pixels to post pixels, both in pixel-centre coordinates.
struct Mapping {
    pre: GeoTransform,
    post: GeoTransform,
    /// `None` when both images have the same CRS.
    transform: Option<CoordTransform>,
}

impl Mapping {
    fn new(pre: &RasterBand, post: &RasterBand) -> Result<Self> {
        let (a, b) = (pre.georef(), post.georef());
        let transform = match (&a.crs, &b.crs) {
            (Some(p), Some(q)) if !p.same(q) => Some(between(p, q)?),
            _ => None,
        };
        if b.transform.pixel(0.0, 0.0).is_none() {
            let text = format!("{} has a singular geotransform {:?}", post.label(), b.transform.0);
            return Err(Error::GridMismatch(text));
        }
        Ok(Mapping { pre: a.transform, post: b.transform, transform })
    }

    /// Positions that cannot be transformed come back as infinite.
    fn exact(&self, pixels: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
        let (mut x, mut y): (Vec<f64>, Vec<f64>) = pixels.iter().map(|&(c, r)| self.pre.map(c + 0.5, r + 0.5)).unzip();
        if let Some(transform) = &self.transform {
            // A failure marks its own points with infinite coordinates; the others are right.
            let _ = transform.transform_coords(&mut x, &mut y, &mut []);
        }
        let to_pixel = |(x, y): (f64, f64)| match self.post.pixel(x, y) {
            Some((c, r)) if c.is_finite() && r.is_finite() => (c - 0.5, r - 0.5),
            _ => (f64::INFINITY, f64::INFINITY),
        };
        x.into_iter().zip(y).map(to_pixel).collect()
    }

    fn positions(&self, w: Window) -> Grid<(f64, f64)> {
        let node = |v: i64| v.div_euclid(SPACING);
        let (i0, j0) = (node(w.x), node(w.y));
        let columns = (node(w.right() - 1) - i0 + 2) as usize;
        let rows = (node(w.bottom() - 1) - j0 + 2) as usize;
        let mut nodes = Vec::with_capacity(columns * rows);
        for j in 0..rows as i64 {
            let at = |i: i64| (((i0 + i) * SPACING) as f64, ((j0 + j) * SPACING) as f64);
            nodes.extend(self.exact((0..columns as i64).map(at).collect()));
        }
        Grid::from_fn(w.width, w.height, |x, y| {
            let (px, py) = (w.x + x as i64, w.y + y as i64);
            let k = (node(py) - j0) as usize * columns + (node(px) - i0) as usize;
            let (u, v) = (px.rem_euclid(SPACING) as f64, py.rem_euclid(SPACING) as f64);
            let (u, v) = (u / SPACING as f64, v / SPACING as f64);
            let (a, b, c, d) = (nodes[k], nodes[k + 1], nodes[k + columns], nodes[k + columns + 1]);
            let mix =
                |a: f64, b: f64, c: f64, d: f64| (1.0 - v) * ((1.0 - u) * a + u * b) + v * ((1.0 - u) * c + u * d);
            (mix(a.0, b.0, c.0, d.0), mix(a.1, b.1, c.1, d.1))
        })
    }
}

fn between(from: &Crs, to: &Crs) -> Result<CoordTransform> {
    CoordTransform::new(&from.srs()?, &to.srs()?).map_err(|e| {
        Error::GridMismatch(format!("no transformation from {} to {}: {}", from.label, to.label, reason(e)))
    })
}
