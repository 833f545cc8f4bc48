//! The result as a picture: components above, their standard deviations below.

use crate::grid::{Grid, ImageFile, Window};
use crate::raster::{OpenOptions, RasterBand, write_png};
use crate::render::colour::round_up;
use crate::render::{Panel, Scale, figure};
use crate::{Error, Result};

use super::output::BANDS;

/// Width of a map in the picture.
const WIDTH: usize = 256;

/// Draws the finished map `map`.
///
/// # Errors
/// [`Error::Open`], [`Error::Read`], [`Error::Exists`], [`Error::Write`].
pub fn draw(path: &str, map: &str, overwrite: bool) -> Result<()> {
    let bands = (0..6).map(|k| thinned(map, k + 1)).collect::<Result<Vec<_>>>()?;
    // In millimetres, unless that makes long numbers.
    let largest = quantile(&bands[..3]);
    let (factor, unit) = if largest < 2.0 { (1e3f32, "mm") } else { (1.0, "m") };
    let limit = round_up(largest * f64::from(factor));
    let high = round_up(quantile(&bands[3..]) * f64::from(factor));
    let panel = |k: usize| {
        let scale = if k < 3 { Scale::Diverging { limit } } else { Scale::Grey { low: 0.0, high } };
        let title = BANDS[k].0;
        Panel { title, values: &bands[k].map(|v| factor * v), scale, unit: Some(unit), lines: &[] }.draw(WIDTH)
    };
    let canvas = figure("", &[(0..3).map(panel).collect(), (3..6).map(panel).collect()]);
    write_png(path, canvas.width, canvas.height, &canvas.rgb, overwrite)
}

/// A band, every so many pixels; NaN where it has no value.
fn thinned(map: &str, band: usize) -> Result<Grid<f32>> {
    let band = RasterBand::open(map, OpenOptions { band, ..Default::default() })?;
    let mut reader = band.open()?;
    let step = band.width().max(band.height()).div_ceil(4 * WIDTH).max(1);
    let (w, h) = (band.width().div_ceil(step), band.height().div_ceil(step));
    let mut out = Grid::filled(w, h, f32::NAN);
    for y in 0..h {
        let row = reader.read(Window::new(0, (y * step) as i64, band.width(), 1))?;
        for x in 0..w {
            if row.valid.data[x * step] {
                out.set(x, y, row.values.data[x * step]);
            }
        }
    }
    Ok(out)
}

/// What nearly all absolute values stay below; 1 mm without any.
fn quantile(bands: &[Grid<f32>]) -> f64 {
    let values = bands.iter().flat_map(|b| &b.data).filter(|v| v.is_finite());
    let mut values: Vec<f32> = values.map(|v| v.abs()).collect();
    if values.is_empty() {
        return 1e-3;
    }
    let k = (0.998 * (values.len() - 1) as f64).round() as usize;
    let (_, q, _) = values.select_nth_unstable_by(k, f32::total_cmp);
    f64::from(*q).max(1e-3)
}

/// Whether a report of this name is a picture.
pub fn is_picture(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with(".png")
}

/// # Errors
/// [`Error::Exists`] before any work is done.
pub fn check(path: &str, overwrite: bool) -> Result<()> {
    match !overwrite && std::path::Path::new(path).exists() {
        true => Err(Error::Exists(path.into())),
        false => Ok(()),
    }
}
