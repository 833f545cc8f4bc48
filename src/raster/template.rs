//! An empty GeoTIFF with everything but its pixels and metadata.
//!
//! The gdal crate has no setter for a band's unit, so the file is made as a copy of a virtual dataset that describes it
//! and has no pixels; the copy is sparse, i.e. it holds no blocks yet.

use super::georef::GeoReference;
use super::open::{OpenOptions, RasterBand};
use super::writer::{BandSpec, PixelType, RasterSpec};
use super::xml::Element;
use gdal::errors::Result;
use gdal::raster::RasterCreationOptions;
use gdal::{Dataset, DatasetOptions, DriverManager, GdalOpenFlags};

/// Creation options that a file being updated keeps; others (compression levels, ...) must be given to GDAL while it
/// writes the pixels.
const KEPT: [&str; 9] = [
    "TILED",
    "BLOCKXSIZE",
    "BLOCKYSIZE",
    "COMPRESS",
    "PREDICTOR",
    "INTERLEAVE",
    "BIGTIFF",
    "GEOTIFF_VERSION",
    "ENDIANNESS",
];

/// Largest block side; a tile of the run is cut into several blocks beyond it.
const LARGEST_BLOCK: usize = 256;

/// Whether a file made by [`create`] obeys all these options.
pub(super) fn understands(creation: &[String]) -> bool {
    creation.iter().all(|o| KEPT.iter().any(|k| key(o).eq_ignore_ascii_case(k)))
}

/// Creates `path` with the bands and georeference of `spec`, without pixels and without its metadata: a copy keeps
/// no domains of a virtual dataset.
pub(super) fn create(path: &str, spec: &RasterSpec, creation: &[String]) -> Result<()> {
    let options = DatasetOptions { open_flags: GdalOpenFlags::GDAL_OF_RASTER, ..Default::default() };
    let source = Dataset::open_ex(description(spec), options)?;
    let driver = DriverManager::get_driver_by_name("GTiff")?;
    let creation = creation_options(spec, creation);
    let creation: RasterCreationOptions = creation.iter().map(String::as_str).collect();
    source.create_copy(&driver, path, &creation)?.close()
}

/// A band without pixels: a grid to resample other rasters to.
///
/// # Errors
/// GDAL does not take the georeference.
pub fn empty_band(size: (usize, usize), georef: &GeoReference) -> crate::Result<RasterBand> {
    let spec = RasterSpec {
        size,
        pixel: PixelType::F32,
        bands: vec![BandSpec::default()],
        georef: georef.clone(),
        block: (256, 256),
        metadata: Vec::new(),
    };
    RasterBand::open(&description(&spec), OpenOptions::default())
}

fn key(option: &str) -> &str {
    option.split('=').next().unwrap_or(option)
}

/// The defaults, with the user's options in their place.
fn creation_options(spec: &RasterSpec, user: &[String]) -> Vec<String> {
    let of_user = |name: &str| {
        let found = user.iter().rev().find(|o| key(o).eq_ignore_ascii_case(name));
        found.and_then(|o| o.split_once('=')).map(|(_, v)| v.to_ascii_uppercase())
    };
    let side = |n: usize| match n {
        n if n % 16 == 0 && n > 0 && n <= LARGEST_BLOCK => n,
        _ => LARGEST_BLOCK,
    };
    let mut defaults =
        vec![("INTERLEAVE", "BAND".to_string()), ("BIGTIFF", "IF_SAFER".into()), ("COMPRESS", "DEFLATE".into())];
    let codec = of_user("COMPRESS").unwrap_or("DEFLATE".into());
    if ["DEFLATE", "LZW", "ZSTD"].contains(&codec.as_str()) {
        let predictor = if spec.pixel == PixelType::F32 { "3" } else { "2" };
        defaults.push(("PREDICTOR", predictor.into()));
    }
    if !matches!(of_user("TILED").as_deref(), Some("NO" | "FALSE" | "OFF" | "0")) {
        defaults.push(("TILED", "YES".into()));
        defaults.push(("BLOCKXSIZE", side(spec.block.0).to_string()));
        defaults.push(("BLOCKYSIZE", side(spec.block.1).to_string()));
    }
    let mut options: Vec<String> =
        defaults.into_iter().filter(|(k, _)| of_user(k).is_none()).map(|(k, v)| format!("{k}={v}")).collect();
    options.extend_from_slice(user);
    options.push("SPARSE_OK=TRUE".into());
    options
}

/// The virtual dataset: bands without sources.
fn description(spec: &RasterSpec) -> String {
    let GeoReference { transform, referenced, crs } = &spec.georef;
    let mut xml = String::new();
    if let Some(crs) = crs {
        xml += &Element::new("SRS").attribute("dataAxisToSRSAxisMapping", "1,2").text(&crs.wkt);
    }
    if *referenced || crs.is_none() {
        let numbers: Vec<String> = transform.0.iter().map(|c| format!("{c:.17e}")).collect();
        xml += &Element::new("GeoTransform").text(&numbers.join(","));
    }
    for (i, band) in spec.bands.iter().enumerate() {
        let mut inner = Element::new("Description").text(&band.description);
        if !band.unit.is_empty() {
            inner += &Element::new("UnitType").text(&band.unit);
        }
        if let Some(v) = band.nodata {
            inner += &Element::new("NoDataValue").text(&if v.is_nan() { "nan".into() } else { v.to_string() });
        }
        inner += &Element::new("ColorInterp").text(if spec.bands.len() == 1 { "Gray" } else { "Undefined" });
        inner += &metadata(&band.metadata);
        xml += &Element::new("VRTRasterBand")
            .attribute("dataType", spec.pixel.gdal_name())
            .attribute("band", &(i + 1).to_string())
            .xml(&inner);
    }
    Element::new("VRTDataset")
        .attribute("rasterXSize", &spec.size.0.to_string())
        .attribute("rasterYSize", &spec.size.1.to_string())
        .xml(&xml)
}

fn metadata(items: &[(String, String)]) -> String {
    let items: String = items.iter().map(|(k, v)| Element::new("MDI").attribute("key", k).text(v)).collect();
    if items.is_empty() { items } else { Element::new("Metadata").xml(&items) }
}
