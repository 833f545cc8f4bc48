//! Lines of a vector layer in the pixels of an image (`--cut`).

use super::georef::GeoReference;
use super::reason;
use super::vector::collect;
use crate::field::GeoTransform;
use crate::{Error, Result};
use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform};
use gdal::vector::{Layer, LayerAccess};
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};

/// Pieces of a segment that is brought to another coordinate system, where it bends.
const PIECES: usize = 16;

/// What a layer holds for an image.
#[derive(Debug, Clone, PartialEq)]
pub struct CutLines {
    /// (column, row) in pixel-centre coordinates of the image; only lines that meet it.
    pub lines: Vec<Vec<(f64, f64)>>,
    /// Lines of the layer in all.
    pub total: usize,
}

/// Reads the lines, and the outlines of polygons, of `source`: a vector file with one layer, or `FILE:LAYER`. Another
/// coordinate system is brought to the image's; a layer without one is taken to be in the image's.
///
/// # Errors
/// [`Error::Open`]: no vector file, several layers and none chosen, nothing but points, coordinates that cannot be
/// brought to the image's system.
pub fn read_cuts(source: &str, image: &GeoReference, size: (usize, usize)) -> Result<CutLines> {
    let opened = open_layer(source)?;
    let mut layer = opened.layer()?;
    let transform = to_image(&layer, source, image)?;
    let mut lines = read(&mut layer, source)?;
    let total = lines.len();
    lines = lines.into_iter().map(|line| transform.line(line)).collect::<Result<_>>()?;
    // A line matters as far as windows reach beyond the image.
    let (w, h) = (size.0 as f64, size.1 as f64);
    lines.retain(|line| {
        let low = line.iter().fold((f64::INFINITY, f64::INFINITY), |m, p| (m.0.min(p.0), m.1.min(p.1)));
        let high = line.iter().fold((f64::NEG_INFINITY, f64::NEG_INFINITY), |m, p| (m.0.max(p.0), m.1.max(p.1)));
        high.0 > -1.0 && high.1 > -1.0 && low.0 < w && low.1 < h
    });
    Ok(CutLines { lines, total })
}

/// A vector file with the layer that is meant.
pub(super) struct OpenedLayer {
    dataset: Dataset,
    source: String,
    chosen: Option<String>,
}

/// Opens `source`: a vector file with one layer, or `FILE:LAYER`.
pub(super) fn open_layer(source: &str) -> Result<OpenedLayer> {
    let (dataset, chosen) = open(source)?;
    Ok(OpenedLayer { dataset, source: source.into(), chosen })
}

impl OpenedLayer {
    pub(super) fn layer(&self) -> Result<Layer<'_>> {
        let source = &self.source;
        let fail = |why: String| Error::Open { path: source.clone(), why };
        let names: Vec<String> = self.dataset.layers().map(|l| l.name()).collect();
        match (&self.chosen, names.as_slice()) {
            (Some(name), _) => self
                .dataset
                .layer_by_name(name)
                .map_err(|_| fail(format!("it has no layer `{name}`; its layers are: {}", names.join(", ")))),
            (None, [_]) => self.dataset.layer(0).map_err(|e| fail(reason(e))),
            (None, []) => Err(fail("it has no layer; give a layer of lines or polygons".into())),
            (None, names) => {
                Err(fail(format!("it has several layers, choose one as {source}:LAYER ({})", names.join(", "))))
            }
        }
    }
}

/// Whether GDAL reads the file as a raster.
pub(super) fn has_raster(path: &str) -> bool {
    let open_flags = GdalOpenFlags::GDAL_OF_RASTER;
    Dataset::open_ex(path, DatasetOptions { open_flags, ..Default::default() }).is_ok_and(|d| d.raster_count() > 0)
}

/// Opens the file, with the layer's name when `source` is `FILE:LAYER`.
fn open(source: &str) -> Result<(Dataset, Option<String>)> {
    let open = |path: &str| {
        let open_flags = GdalOpenFlags::GDAL_OF_VECTOR | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR;
        Dataset::open_ex(path, DatasetOptions { open_flags, ..Default::default() })
    };
    match open(source) {
        Ok(dataset) => Ok((dataset, None)),
        Err(e) => {
            if let Some((file, layer)) = source.rsplit_once(':')
                && let Ok(dataset) = open(file)
            {
                return Ok((dataset, Some(layer.into())));
            }
            Err(Error::Open { path: source.into(), why: format!("{}; a vector layer is needed", reason(e)) })
        }
    }
}

/// The way from a layer's coordinates to the pixels of an image.
pub(super) struct ToImage {
    transform: Option<CoordTransform>,
    pixels: GeoTransform,
    source: String,
}

/// The way from `layer` to the pixels of `image`; a layer without a coordinate system is taken to be in the image's.
pub(super) fn to_image(layer: &Layer, source: &str, image: &GeoReference) -> Result<ToImage> {
    let transform = match (layer.spatial_ref(), &image.crs) {
        (Some(mut from), Some(to)) => {
            from.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
            let to = to.srs()?;
            match from == to {
                true => None,
                false => Some(CoordTransform::new(&from, &to).map_err(|e| Error::Open {
                    path: source.into(),
                    why: format!("its coordinate system cannot be brought to the image's: {}", reason(e)),
                })?),
            }
        }
        _ => None,
    };
    Ok(ToImage { transform, pixels: image.transform, source: source.into() })
}

impl ToImage {
    /// A line in pixel-centre coordinates (column, row), with more points where it may bend on the way.
    pub(super) fn line(&self, mut line: Vec<(f64, f64)>) -> Result<Vec<(f64, f64)>> {
        let fail = |why: String| Error::Open { path: self.source.clone(), why };
        if let Some(transform) = &self.transform {
            let (mut x, mut y): (Vec<f64>, Vec<f64>) = denser(&line).into_iter().unzip();
            transform
                .transform_coords(&mut x, &mut y, &mut [])
                .map_err(|e| fail(format!("its coordinates cannot be brought to the image's: {}", reason(e))))?;
            line = x.into_iter().zip(y).collect();
        }
        for p in &mut line {
            let place = self.pixels.pixel(p.0, p.1).filter(|(c, r)| c.is_finite() && r.is_finite());
            let (column, row) = place.ok_or_else(|| fail("its coordinates have no place on the image".into()))?;
            *p = (column - 0.5, row - 0.5);
        }
        Ok(line)
    }
}

/// All lines of the layer.
fn read(layer: &mut Layer, source: &str) -> Result<Vec<Vec<(f64, f64)>>> {
    let mut lines = Vec::new();
    let mut features = 0;
    for feature in layer.features() {
        features += 1;
        if let Some(geometry) = feature.geometry() {
            collect(geometry, &mut lines);
        }
    }
    if lines.is_empty() {
        let why = match features {
            0 => "the layer is empty; give a layer of lines or polygons".into(),
            n => format!("none of its {n} features is a line or a polygon; give a layer of lines or polygons"),
        };
        return Err(Error::Open { path: source.into(), why });
    }
    Ok(lines)
}

/// The line with more points on its segments.
fn denser(line: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut dense = Vec::with_capacity(line.len() * PIECES);
    for p in line.windows(2) {
        let at = |t: f64| (p[0].0 + t * (p[1].0 - p[0].0), p[0].1 + t * (p[1].1 - p[0].1));
        dense.extend((0..PIECES).map(|i| at(i as f64 / PIECES as f64)));
    }
    dense.extend(line.last());
    dense
}
