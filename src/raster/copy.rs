//! Formats that GDAL writes in one go, as a copy of the finished scratch file.

use super::check::{Probe, sparse, verify_blocks};
use super::open::open_dataset;
use super::output::Output;
use super::reason;
use super::template;
use super::writer::{RasterSpec, write_error};
use crate::{Error, Result};
use gdal::raster::RasterCreationOptions;
use gdal::{Dataset, DatasetOptions, Driver, DriverManager, GdalOpenFlags, Metadata};

/// The user's creation options, with what keeps equal results equal.
pub(super) fn creation_options(driver: &Driver, user: &[String]) -> Vec<String> {
    // netCDF's history holds the date and the temporary name.
    let history = "WRITE_GDAL_HISTORY";
    let known = driver.metadata_item("DMD_CREATIONOPTIONLIST", "").unwrap_or_default();
    let chosen = user.iter().any(|o| o.to_ascii_uppercase().starts_with(history));
    let extra = (known.contains(history) && !chosen).then(|| format!("{history}=NO"));
    user.iter().cloned().chain(extra).collect()
}

/// Copies a small empty raster of the same kind, to learn before the work whether the format can hold it.
///
/// # Errors
/// [`Error::Write`] with GDAL's reason.
pub(super) fn rehearse(output: &Output, driver: &Driver, spec: &RasterSpec, creation: &[String]) -> Result<()> {
    let Some(stage) = output.stage()? else { return Ok(()) };
    let small = RasterSpec { size: (spec.size.0.min(64), spec.size.1.min(64)), ..spec.clone() };
    let scratch = stage.path().join("scratch.tif").to_string_lossy().into_owned();
    let target = stage.path().join("rehearsal").join(output.name()).to_string_lossy().into_owned();
    let fail = |why: String| {
        let format = driver.short_name();
        Error::Write {
            path: output.target().into(),
            why: format!("{why}; choose another format than {format} with --of"),
        }
    };
    std::fs::create_dir(stage.path().join("rehearsal")).map_err(|e| fail(super::output::os_text(&e)))?;
    template::create(&scratch, &small, &[]).map_err(|e| fail(reason(e)))?;
    let creation: RasterCreationOptions = creation.iter().map(String::as_str).collect();
    let source = open_dataset(&scratch, &[])?;
    source.create_copy(driver, target, &creation).and_then(Dataset::close).map_err(|e| fail(reason(e)))
}

/// Copies the scratch file to the output, checks the copy and removes the scratch file.
pub(super) fn finish(
    scratch: &str,
    output: &Output,
    driver: &Driver,
    spec: &RasterSpec,
    creation: &[String],
    probe: &Probe,
) -> Result<()> {
    let fail = |why: String| write_error(output.target(), why);
    if driver.short_name() != "GTiff" {
        plain_metadata(scratch, spec).map_err(|e| fail(reason(e)))?;
    }
    let source = open_dataset(scratch, &[])?;
    let options: RasterCreationOptions = creation.iter().map(String::as_str).collect();
    probe.clear();
    source.create_copy(driver, output.path(), &options).and_then(Dataset::close).map_err(|e| fail(reason(e)))?;
    let hint = probe.message();
    drop(source);
    if driver.short_name() == "GTiff" {
        // Copying drops every domain but the default one.
        let mut dataset = update(&output.path()).map_err(|e| fail(reason(e)))?;
        for (domain, key, value) in &spec.metadata {
            dataset.set_metadata_item(key, value, domain).map_err(|e| fail(reason(e)))?;
        }
        dataset.close().map_err(|e| fail(reason(e)))?;
    }
    let tiff = ["GTiff", "COG"].contains(&driver.short_name().as_str());
    let checked = if tiff { verify_blocks(&output.path(), sparse(creation)) } else { verify(&output.path(), spec) };
    checked.map_err(|why| fail(if hint.is_empty() { why } else { hint }))?;
    if let Ok(driver) = DriverManager::get_driver_by_name("GTiff") {
        // A leftover would lie in a folder that is removed anyway.
        let _ = driver.delete(scratch);
    }
    Ok(())
}

/// Repeats items of named domains in the default one as `DOMAIN_KEY`, the only place that every format keeps.
fn plain_metadata(scratch: &str, spec: &RasterSpec) -> gdal::errors::Result<()> {
    let mut dataset = update(scratch)?;
    for (domain, key, value) in spec.metadata.iter().filter(|(domain, _, _)| !domain.is_empty()) {
        dataset.set_metadata_item(&format!("{domain}_{key}"), value, "")?;
    }
    dataset.close()
}

pub(super) fn update(path: &str) -> gdal::errors::Result<Dataset> {
    let open_flags =
        GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_UPDATE | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR;
    Dataset::open_ex(path, DatasetOptions { open_flags, ..Default::default() })
}

/// Reads the copy back.
fn verify(path: &str, spec: &RasterSpec) -> std::result::Result<(), String> {
    let dataset = open_dataset(path, &[]).map_err(|e| e.to_string())?;
    for i in 1..=dataset.raster_count() {
        let band = dataset.rasterband(i).map_err(reason)?;
        let (w, h) = band.size();
        for y in 0..h {
            band.read_as::<f32>((0, y as isize), (w, 1), (w, 1), None).map_err(reason)?;
        }
    }
    match dataset.raster_count() {
        // Formats of several variables open without bands of their own.
        0 => Ok(()),
        n if n == spec.bands.len() && dataset.raster_size() == spec.size => Ok(()),
        n => Err(format!("the format kept {n} of {} bands", spec.bands.len())),
    }
}
