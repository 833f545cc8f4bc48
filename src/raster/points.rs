//! Rasters on any grid, read at points of the pre image: prior displacements and flags.

use super::georef::{Crs, GeoReference};
use super::open::{NoData, OpenOptions, RasterBand, open_dataset};
use super::reason;
use crate::field::{GeoTransform, GroundShift};
use crate::grid::{Image, ImageFile, ImageReader, PointFile, PointReader, Window};
use crate::{Error, Result};
use gdal::spatial_ref::CoordTransform;

/// What the raster tells at a point.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Content {
    /// Bands 1 and 2 are east and north in map units times this factor.
    Metres(f64),
    /// Bands 1 and 2 are right and up in pixels of the pre image.
    Pixels,
    /// Band 1 is a number; the second number is zero.
    Flag,
}

/// A raster of known displacements (`--prior`) or of places (`--stable`), sampled where the pre image needs it. Its
/// grid and CRS may differ from the pre image's.
pub struct PointRaster {
    bands: Vec<RasterBand>,
    content: Content,
    pre: GeoReference,
}

impl PointRaster {
    /// Displacements: east and north in bands 1 and 2, as shiftmap writes them. The unit is the bands' (m or px); where
    /// none is stated, metres for a projected CRS, otherwise pixels of the pre image.
    ///
    /// # Errors
    /// [`Error::Open`], fewer than two bands, an unknown unit, no common place with the pre image's CRS.
    pub fn displacement(path: &str, pre: &GeoReference) -> Result<Self> {
        let bands = vec![open(path, 1)?, open(path, 2).map_err(|e| two_bands(path, e))?];
        let projected = bands[0].georef().pixel_metres().is_some();
        let unit = unit_of(path)?;
        let content = match unit.as_str() {
            "m" | "metre" | "meter" | "metres" | "meters" => metres(&bands[0])?,
            "" if projected => metres(&bands[0])?,
            "px" | "pixel" | "pixels" | "" => Content::Pixels,
            other => {
                let why = format!("its unit is `{other}`; displacements are in m or px");
                return Err(Error::option("--prior", path, why));
            }
        };
        PointRaster { bands, content, pre: pre.clone() }.checked("--prior", path)
    }

    /// Places on an image (`pre`): band 1 is not zero there.
    ///
    /// # Errors
    /// [`Error::Open`], no common place with the pre image's CRS.
    pub fn flag(path: &str, option: &str, pre: &GeoReference) -> Result<Self> {
        PointRaster { bands: vec![open(path, 1)?], content: Content::Flag, pre: pre.clone() }.checked(option, path)
    }

    /// A raster without any georeference counts as lying on the pre grid only when it has none either.
    fn checked(self, option: &str, path: &str) -> Result<Self> {
        if self.bands[0].georef().referenced != self.pre.referenced {
            let (with, without) = if self.pre.referenced { ("the pre image", path) } else { (path, "the pre image") };
            let why =
                format!("{with} is georeferenced and {without} is not; `gdal_edit.py -a_srs -a_ullr` gives it a place");
            return Err(Error::option(option, path, why));
        }
        self.transforms()?;
        Ok(self)
    }

    /// From the pre image's map to this raster's and back; `None` when they are the same.
    fn transforms(&self) -> Result<Option<(CoordTransform, CoordTransform)>> {
        match (&self.pre.crs, &self.bands[0].georef().crs) {
            (Some(a), Some(b)) if !a.same(b) => Ok(Some((between(a, b)?, between(b, a)?))),
            _ => Ok(None),
        }
    }
}

fn open(path: &str, band: usize) -> Result<RasterBand> {
    let options = |nodata| OpenOptions { band, nodata, ..OpenOptions::default() };
    let found = RasterBand::open(path, options(NoData::Auto))?;
    // A border of zeros is no gap here: zero is an ordinary displacement.
    if found.undeclared_zero_border() { RasterBand::open(path, options(NoData::None)) } else { Ok(found) }
}

fn two_bands(path: &str, e: Error) -> Error {
    match e {
        Error::Option { .. } => {
            Error::option("--prior", path, "it has one band; east and north are needed in bands 1 and 2")
        }
        e => e,
    }
}

fn metres(band: &RasterBand) -> Result<Content> {
    match band.georef().crs.as_ref().filter(|_| band.georef().pixel_metres().is_some()) {
        Some(crs) => Ok(Content::Metres(1.0 / crs.metres_per_unit)),
        None => Err(Error::option(
            "--prior",
            band.path(),
            "its displacements are in metres but it has no projected CRS; `gdal_edit.py -a_srs` gives it one",
        )),
    }
}

fn unit_of(path: &str) -> Result<String> {
    let fail = |e| Error::Open { path: path.into(), why: reason(e) };
    Ok(open_dataset(path, &[])?.rasterband(1).map_err(fail)?.unit().trim().to_lowercase())
}

fn between(from: &Crs, to: &Crs) -> Result<CoordTransform> {
    CoordTransform::new(&from.srs()?, &to.srs()?).map_err(|e| {
        Error::GridMismatch(format!("no transformation from {} to {}: {}", from.label, to.label, reason(e)))
    })
}

impl PointFile for PointRaster {
    fn open(&self) -> Result<Box<dyn PointReader + '_>> {
        Ok(Box::new(Reader {
            raster: self,
            bands: self.bands.iter().map(|b| b.open()).collect::<Result<_>>()?,
            transforms: self.transforms()?,
        }))
    }

    fn name(&self) -> String {
        self.bands[0].path().into()
    }
}

struct Reader<'a> {
    raster: &'a PointRaster,
    bands: Vec<Box<dyn ImageReader + 'a>>,
    transforms: Option<(CoordTransform, CoordTransform)>,
}

impl PointReader for Reader<'_> {
    fn sample(&mut self, points: &[(f64, f64)]) -> Result<Vec<Option<(f64, f64)>>> {
        let pre = &self.raster.pre.transform;
        let own = &self.raster.bands[0].georef().transform;
        let forth = self.transforms.as_ref().map(|t| &t.0);
        let maps: Vec<(f64, f64)> = points.iter().map(|&(c, r)| pre.map(c + 0.5, r + 0.5)).collect();
        let places = transformed(forth, &maps);
        let pixels: Vec<Option<(f64, f64)>> = places
            .iter()
            .map(|&(x, y)| own.pixel(x, y).filter(|p| p.0.is_finite() && p.1.is_finite()))
            .map(|p| p.map(|(c, r)| (c - 0.5, r - 0.5)))
            .collect();
        let size = (self.raster.bands[0].width(), self.raster.bands[0].height());
        let Some(window) = bounding(&pixels, size) else { return Ok(vec![None; points.len()]) };
        let images: Vec<Image> = self.bands.iter_mut().map(|b| b.read(window)).collect::<Result<_>>()?;
        let value = |image: &Image, at: (f64, f64)| {
            let at = (at.0 - window.x as f64, at.1 - window.y as f64);
            match self.raster.content {
                Content::Flag => nearest(image, at),
                _ => bilinear(image, at),
            }
        };
        let found: Vec<Option<(f64, f64)>> = pixels
            .iter()
            .map(|p| {
                let first = value(&images[0], (*p)?)?;
                let second = images.get(1).map_or(Some(0.0), |i| value(i, (*p)?))?;
                Some((first, second))
            })
            .collect();
        Ok(match self.raster.content {
            Content::Flag => found,
            Content::Pixels => found.into_iter().map(|v| v.map(|(right, up)| (right, -up))).collect(),
            Content::Metres(scale) => self.pixel_shifts(&found, &maps, &places, scale, pre),
        })
    }
}

impl Reader<'_> {
    /// Ground displacements in this raster's map as pixel displacements of the pre image: both ends are transformed.
    fn pixel_shifts(
        &self,
        found: &[Option<(f64, f64)>],
        maps: &[(f64, f64)],
        places: &[(f64, f64)],
        scale: f64,
        pre: &GeoTransform,
    ) -> Vec<Option<(f64, f64)>> {
        let ends: Vec<(f64, f64)> = (0..found.len())
            .map(|i| {
                let (x, y) = places[i];
                found[i].map_or((f64::NAN, f64::NAN), |(e, n)| (x + scale * e, y + scale * n))
            })
            .collect();
        let ends = transformed(self.transforms.as_ref().map(|t| &t.1), &ends);
        let shift = |i: usize| {
            found[i]?;
            let ground = GroundShift { east: ends[i].0 - maps[i].0, north: ends[i].1 - maps[i].1 };
            let d = pre.pixel_shift(ground)?;
            (d.dx.is_finite() && d.dy.is_finite()).then_some((d.dx, d.dy))
        };
        (0..found.len()).map(shift).collect()
    }
}

/// Points that cannot be transformed come back as infinite.
fn transformed(transform: Option<&CoordTransform>, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let Some(transform) = transform else { return points.to_vec() };
    let (mut x, mut y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    // A failure marks its own points; the others are right.
    let _ = transform.transform_coords(&mut x, &mut y, &mut []);
    x.into_iter().zip(y).collect()
}

/// The raster's pixels around all points inside it.
fn bounding(points: &[Option<(f64, f64)>], size: (usize, usize)) -> Option<Window> {
    let (w, h) = (size.0 as f64, size.1 as f64);
    let inside = points.iter().flatten().filter(|p| p.0 > -0.5 && p.1 > -0.5 && p.0 < w - 0.5 && p.1 < h - 0.5);
    let (mut low, mut high) = ((f64::INFINITY, f64::INFINITY), (f64::NEG_INFINITY, f64::NEG_INFINITY));
    for p in inside {
        low = (low.0.min(p.0), low.1.min(p.1));
        high = (high.0.max(p.0), high.1.max(p.1));
    }
    if low.0 > high.0 {
        return None;
    }
    let (x, y) = (low.0.floor() as i64, low.1.floor() as i64);
    Some(Window::new(x, y, (high.0.floor() as i64 - x + 2) as usize, (high.1.floor() as i64 - y + 2) as usize))
}

fn nearest(image: &Image, at: (f64, f64)) -> Option<f64> {
    let (x, y) = (at.0.round(), at.1.round());
    let inside = x >= 0.0 && y >= 0.0 && x < image.width() as f64 && y < image.height() as f64;
    let (x, y) = (x as usize, y as usize);
    (inside && image.valid.get(x, y)).then(|| image.values.get(x, y) as f64)
}

/// Of the valid ones among the four pixels around, as long as the nearest is valid.
fn bilinear(image: &Image, at: (f64, f64)) -> Option<f64> {
    nearest(image, at)?;
    let (i, j) = (at.0.floor(), at.1.floor());
    let (mut sum, mut weight) = (0.0, 0.0);
    for (y, wy) in [(j, 1.0 - (at.1 - j)), (j + 1.0, at.1 - j)] {
        for (x, wx) in [(i, 1.0 - (at.0 - i)), (i + 1.0, at.0 - i)] {
            if wx * wy > 0.0
                && let Some(v) = nearest(image, (x, y))
            {
                sum += wx * wy * v;
                weight += wx * wy;
            }
        }
    }
    (weight > 0.0).then(|| sum / weight)
}
