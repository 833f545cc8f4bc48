//! Pictures, and plain text.

use super::check::Probe;
use super::output::Output;
use super::reason;
use crate::{Error, Result};
use gdal::DriverManager;
use gdal::raster::{Buffer, RasterCreationOptions};

/// Writes an RGB picture; `rgb` holds `width × height` pixels of three bytes, row by row.
///
/// # Errors
/// [`Error::Exists`], [`Error::Write`].
pub fn write_png(path: &str, width: usize, height: usize, rgb: &[u8], overwrite: bool) -> Result<()> {
    if rgb.len() != 3 * width * height {
        return Err(Error::Internal(format!("picture {path}: {} bytes for {width} x {height} pixels", rgb.len())));
    }
    let output = Output::new(path, overwrite)?;
    let fail = |why: String| Error::Write { path: path.into(), why };
    let write = || -> gdal::errors::Result<String> {
        let memory = DriverManager::get_driver_by_name("MEM")?.create("", width, height, 3)?;
        for channel in 0..3 {
            let data: Vec<u8> = rgb.iter().skip(channel).step_by(3).copied().collect();
            let mut buffer = Buffer::new((width, height), data);
            memory.rasterband(channel + 1)?.write((0, 0), (width, height), &mut buffer)?;
        }
        let probe = Probe::new()?;
        probe.clear();
        let driver = DriverManager::get_driver_by_name("PNG")?;
        memory.create_copy(&driver, output.path(), &RasterCreationOptions::new())?.close()?;
        Ok(probe.message())
    };
    let message = write().map_err(|e| fail(reason(e)))?;
    if !message.is_empty() {
        return Err(fail(format!("{message}; is the disk full?")));
    }
    output.commit()
}

/// Writes a text file under a temporary name first, like every other result.
///
/// # Errors
/// [`Error::Exists`], [`Error::Write`].
pub fn write_text(path: &str, content: &str, overwrite: bool) -> Result<()> {
    let output = Output::new(path, overwrite)?;
    std::fs::write(output.path(), content)
        .map_err(|e| Error::Write { path: path.into(), why: super::output::os_text(&e) })?;
    output.commit()
}
