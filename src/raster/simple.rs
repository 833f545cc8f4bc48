//! Whole rasters in one call: truth fields, synthetic images, small results.

use super::georef::GeoReference;
use super::open::{OpenOptions, RasterBand, open_dataset};
use super::reason;
use super::writer::{BandSpec, PixelType, RasterSpec, RasterWriter, WriteOptions};
use crate::grid::{Grid, Image, ImageFile, Window};
use crate::{Error, Result};
use gdal::Metadata;

/// A band to write with [`write_bands`]: NaN is nodata.
pub struct Band<'a> {
    pub description: &'a str,
    /// Unit type, e.g. `m` or `px`; empty for none.
    pub unit: &'a str,
    pub values: &'a Grid<f32>,
}

/// A raster read as a whole.
#[derive(Debug, Clone)]
pub struct RasterFile {
    pub bands: Vec<Image>,
    /// Description of each band, possibly empty.
    pub descriptions: Vec<String>,
    /// Unit type of each band, possibly empty.
    pub units: Vec<String>,
    pub georef: GeoReference,
}

/// Writes Float32 bands of one size with NaN as nodata. `georef: None` for arrays without a place on the ground;
/// `metadata` is a list of (domain, key, value).
///
/// # Errors
/// [`Error::Exists`], [`Error::Write`].
pub fn write_bands(
    path: &str,
    bands: &[Band],
    georef: Option<&GeoReference>,
    metadata: &[(&str, &str, &str)],
    overwrite: bool,
) -> Result<()> {
    let specs = bands.iter().map(|b| BandSpec {
        description: b.description.into(),
        unit: b.unit.into(),
        nodata: Some(f64::NAN),
        metadata: Vec::new(),
    });
    let values: Vec<&Grid<f32>> = bands.iter().map(|b| b.values).collect();
    write_grids(path, &values, specs.collect(), PixelType::F32, georef, metadata, overwrite)
}

/// Writes one band of an image as the given pixel type (values rounded and clamped to it). `nodata` is declared and
/// stored where `values` is NaN.
///
/// # Errors
/// [`Error::Exists`], [`Error::Write`].
pub fn write_image(
    path: &str,
    values: &Grid<f32>,
    pixel: PixelType,
    nodata: Option<f64>,
    georef: Option<&GeoReference>,
    overwrite: bool,
) -> Result<()> {
    let spec = BandSpec { nodata, ..Default::default() };
    write_grids(path, &[values], vec![spec], pixel, georef, &[], overwrite)
}

fn write_grids(
    path: &str,
    values: &[&Grid<f32>],
    bands: Vec<BandSpec>,
    pixel: PixelType,
    georef: Option<&GeoReference>,
    metadata: &[(&str, &str, &str)],
    overwrite: bool,
) -> Result<()> {
    let Some(first) = values.first() else {
        return Err(Error::Internal(format!("no bands to write to {path}")));
    };
    let (width, height) = (first.width, first.height);
    let spec = RasterSpec {
        size: (width, height),
        pixel,
        bands,
        georef: georef.cloned().unwrap_or_else(GeoReference::none),
        block: (256, 256),
        metadata: metadata.iter().map(|(d, k, v)| (d.to_string(), k.to_string(), v.to_string())).collect(),
    };
    let mut writer = RasterWriter::create(path, spec, &WriteOptions { overwrite, ..Default::default() })?;
    let data: Vec<&[f32]> = values.iter().map(|g| g.data.as_slice()).collect();
    writer.write(0, 0, width, height, &data)?;
    writer.finish()
}

/// Reads every band of a raster into memory, with nodata as invalid pixels (value 0).
///
/// # Errors
/// [`Error::Open`], [`Error::Read`].
pub fn read_all_bands(path: &str) -> Result<RasterFile> {
    let dataset = open_dataset(path, &[])?;
    let mut file =
        RasterFile { bands: vec![], descriptions: vec![], units: vec![], georef: GeoReference::of(&dataset) };
    for band in 1..=dataset.raster_count().max(1) {
        let raster = RasterBand::open(path, OpenOptions { band, ..Default::default() })?;
        file.bands.push(raster.open()?.read(Window::new(0, 0, raster.width(), raster.height()))?);
        let band = dataset.rasterband(band).map_err(|e| Error::Open { path: path.into(), why: reason(e) })?;
        file.descriptions.push(band.description().unwrap_or_default());
        file.units.push(band.unit());
    }
    Ok(file)
}

/// Description and unit of every band of a raster, possibly empty.
///
/// # Errors
/// [`Error::Open`].
pub fn band_names(path: &str) -> Result<Vec<(String, String)>> {
    let dataset = open_dataset(path, &[])?;
    let name = |band| {
        let band = dataset.rasterband(band).map_err(|e| Error::Open { path: path.into(), why: reason(e) })?;
        Ok((band.description().unwrap_or_default(), band.unit()))
    };
    (1..=dataset.raster_count()).map(name).collect()
}

/// Keys and values of a metadata domain of a raster; empty when there are none.
///
/// # Errors
/// [`Error::Open`].
pub fn read_metadata(path: &str, domain: &str) -> Result<Vec<(String, String)>> {
    let dataset = open_dataset(path, &[])?;
    let items = dataset.metadata_domain(domain).unwrap_or_default();
    Ok(items.iter().filter_map(|i| i.split_once('=')).map(|(k, v)| (k.to_string(), v.to_string())).collect())
}
