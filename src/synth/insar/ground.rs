//! The user's own elevation model and lines of sight.

use rand::RngExt;

use super::frame::Frame;
use super::scene::Ground;
use super::spec::InsarSpec;
use super::terrain::Terrain;
use crate::grid::{Grid, ImageFile, Window};
use crate::raster::{GeoReference, OpenOptions, RasterBand, Resampled, Units, empty_band};
use crate::synth::random::{Purpose, stream};
use crate::{Error, Result};

/// Pixels at the edge of a raster that are not used.
const MARGIN: f64 = 6.0;

/// Rasters that events are made on; without any of them everything is procedural.
#[derive(Debug, Clone, Default)]
pub struct Rasters {
    dem: Option<RasterBand>,
    /// East, north, up of the unit vector, ascending and descending.
    units: [Option<[RasterBand; 3]>; 2],
}

impl Rasters {
    /// Opens an elevation model (metres; nodata is water) and rasters of unit vectors (three bands: east, north, up).
    ///
    /// # Errors
    /// [`Error::Open`], and a message with the remedy for rasters without a projected CRS.
    pub fn open(dem: Option<&str>, units: [Option<&str>; 2]) -> Result<Rasters> {
        let band = |path: &str, band: usize| RasterBand::open(path, OpenOptions { band, ..Default::default() });
        let unit = |path: Option<&str>| -> Result<Option<[RasterBand; 3]>> {
            path.map(|p| Ok([band(p, 1)?, band(p, 2)?, band(p, 3)?])).transpose()
        };
        let rasters = Rasters { dem: dem.map(|p| band(p, 1)).transpose()?, units: [unit(units[0])?, unit(units[1])?] };
        if let Some(first) = rasters.first() {
            first.georef().ground(Units::Metres, first.path(), (first.width(), first.height()))?;
        }
        Ok(rasters)
    }

    fn first(&self) -> Option<&RasterBand> {
        let unit = |k: usize| self.units[k].as_ref().map(|u: &[RasterBand; 3]| &u[0]);
        self.dem.as_ref().or(unit(0)).or(unit(1))
    }

    /// What the rasters say about the frame of that seed: a place drawn within the first of them.
    ///
    /// # Errors
    /// [`Error::Option`] when the frame does not fit, [`Error::Read`].
    pub fn ground(&self, spec: &InsarSpec, seed: u64) -> Result<Ground> {
        let frame = Frame { width: spec.size.0, height: spec.size.1, pixel: spec.pixel };
        let georef = match self.first() {
            Some(first) => placed(first, &frame, seed)?,
            None => frame.procedural()?,
        };
        let target = empty_band((frame.width, frame.height), &georef)?;
        let read = |band: &RasterBand| -> Result<Grid<f32>> {
            let image = Resampled::new(&target, band)?.open()?.read(Window::new(0, 0, frame.width, frame.height))?;
            let values = image.values.data.iter().zip(&image.valid.data).map(|(v, ok)| if *ok { *v } else { f32::NAN });
            Ok(Grid::from_vec(frame.width, frame.height, values.collect()))
        };
        let terrain = self.dem.as_ref().map(read).transpose()?.map(|heights| Terrain {
            water: heights.map(|v| v.is_nan()),
            height: heights.map(|v| if v.is_nan() { 0.0 } else { v }),
        });
        if terrain.as_ref().is_some_and(|t| t.water.data.iter().all(|w| *w)) {
            return Err(Error::Data(
                "the elevation model has no value in the frame: choose another --seed or --size".into(),
            ));
        }
        let unit = |k: usize| -> Result<Option<[Grid<f32>; 3]>> {
            let Some([e, n, u]) = &self.units[k] else { return Ok(None) };
            Ok(Some([read(e)?, read(n)?, read(u)?]))
        };
        Ok(Ground { georef, terrain, units: [unit(0)?, unit(1)?] })
    }
}

/// The frame at a random place within a raster.
fn placed(band: &RasterBand, frame: &Frame, seed: u64) -> Result<GeoReference> {
    let georef = band.georef();
    let metres = georef.crs.as_ref().map_or(1.0, |c| c.metres_per_unit);
    // The rectangle around the raster; that of a turned one has empty corners, which count as water.
    let corner = |x: usize, y: usize| georef.transform.map(x as f64, y as f64);
    let (w, h) = (band.width(), band.height());
    let corners = [corner(0, 0), corner(w, 0), corner(0, h), corner(w, h)];
    let range = |pick: fn(&(f64, f64)) -> f64| {
        let all = corners.iter().map(pick);
        (all.clone().fold(f64::INFINITY, f64::min), all.fold(f64::NEG_INFINITY, f64::max))
    };
    let rng = &mut stream(seed, Purpose::InsarPlace);
    // Resampling loses so much at the edges.
    let source = georef.pixel_metres().map_or(0.0, |p| p.0.max(p.1));
    let margin = MARGIN * source.max(frame.pixel);
    let extent = frame.extent().map(|n| n + 2.0 * margin);
    let mut middle = [0.0; 2];
    for (c, (low, high)) in [range(|p| p.0), range(|p| p.1)].into_iter().enumerate() {
        let room = high - low - extent[c] / metres;
        if room < 0.0 {
            let most = (((high - low) * metres - 2.0 * margin) / frame.pixel).max(0.0) as usize;
            let why = format!(
                "{} holds {most} pixels of {} m on this side: ask for fewer or smaller ones",
                band.path(),
                frame.pixel
            );
            return Err(Error::option("--size", format!("{}x{}", frame.width, frame.height), why));
        }
        middle[c] = low + 0.5 * extent[c] / metres + room * rng.random_range(0.0..1.0);
    }
    Ok(frame.georef((middle[0], middle[1]), 1.0 / metres, georef.crs.clone()))
}
