//! A displacement map on disk, read in pieces.

use crate::field::GeoTransform;
use crate::grid::{Grid, ImageFile, ImageReader, Window};
use crate::raster::{BANDS, CrsKind, DOMAIN, GeoReference, NoData, OpenOptions, RasterBand, band_names, read_metadata};
use crate::{Error, Result};

/// Unit of the displacements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapUnit {
    Metres,
    /// Pixels of the pre image, right and up.
    Pixels,
}

impl MapUnit {
    /// `m` or `px`
    pub fn name(self) -> &'static str {
        match self {
            MapUnit::Metres => "m",
            MapUnit::Pixels => "px",
        }
    }
}

/// A displacement map: bands found by their description ([`BANDS`]), otherwise bands 1 and 2 are east and north.
#[derive(Debug, Clone)]
pub struct DisplacementMap {
    path: String,
    /// In the order of [`BANDS`]; east and north are always there.
    bands: [Option<RasterBand>; 6],
    pub georef: GeoReference,
    pub unit: MapUnit,
    /// Side lengths of the (largest) matching window in pixels of the pre image, where the map says so.
    pub window: Option<(f64, f64)>,
    /// Cell size in pixels of the pre image, where the map says so.
    pub step: Option<(f64, f64)>,
    /// Everything in the metadata domain [`DOMAIN`].
    pub metadata: Vec<(String, String)>,
}

impl DisplacementMap {
    /// Opens a map; reads no pixels.
    ///
    /// # Errors
    /// [`Error::Open`]: not a raster, fewer than two bands, a unit that is neither m nor px.
    pub fn open(path: &str) -> Result<DisplacementMap> {
        let fail = |why: String| Error::Open { path: path.into(), why };
        let names = band_names(path)?;
        let metadata = read_metadata(path, DOMAIN)?;
        let named = |name: &str| names.iter().position(|(d, _)| d.eq_ignore_ascii_case(name));
        let mut places: [Option<usize>; 6] = BANDS.map(named);
        if places[0].is_none() || places[1].is_none() {
            if names.len() < 2 {
                return Err(fail(
                    "it has one band; a displacement map has two or more, east and north displacement".into(),
                ));
            }
            places = [Some(0), Some(1), None, None, None, None];
        }
        let open_band = |place: Option<usize>| place.map(|p| open_band(path, p + 1)).transpose();
        let mut bands: [Option<RasterBand>; 6] = Default::default();
        for (band, place) in bands.iter_mut().zip(places) {
            *band = open_band(place)?;
        }
        let Some(first) = &bands[0] else { return Err(Error::Internal("no east band".into())) };
        let georef = first.georef().clone();
        let find = |key: &str| metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        let text = places[0].map(|p| names[p].1.as_str()).filter(|u| !u.is_empty()).or(find("UNITS"));
        let unit = match text.map(str::to_ascii_lowercase).as_deref() {
            Some("m" | "metre" | "meter" | "metres" | "meters") => MapUnit::Metres,
            Some("px" | "pixel" | "pixels") => MapUnit::Pixels,
            Some(other) => {
                let why =
                    format!("its displacements are in `{other}`; m and px are understood (`gdal_edit.py -units`)");
                return Err(fail(why));
            }
            None if georef.crs.as_ref().is_some_and(|c| c.kind == CrsKind::Projected) => MapUnit::Metres,
            None => MapUnit::Pixels,
        };
        let (window, step) = (find("WINDOW").and_then(largest), find("STEP").and_then(two));
        Ok(DisplacementMap { path: path.into(), bands, georef, unit, window, step, metadata })
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        self.bands[0].as_ref().map_or((0, 0), ImageFile::size)
    }

    /// A value of the metadata domain [`DOMAIN`].
    pub fn find(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// Whether the map has standard deviations.
    pub fn has_sigma(&self) -> bool {
        self.bands[3].is_some() && self.bands[4].is_some()
    }

    /// Whether the map has a quality band.
    pub fn has_quality(&self) -> bool {
        self.bands[2].is_some()
    }

    /// Metres of a map unit; 1 without a projected CRS.
    pub fn metres_per_unit(&self) -> f64 {
        let crs = self.georef.crs.as_ref().filter(|c| c.kind == CrsKind::Projected);
        crs.map_or(1.0, |c| c.metres_per_unit)
    }

    /// Pixel of the pre image in map units: the cell divided by the step, or the cell where no step is known.
    pub fn pixel_size(&self) -> (f64, f64) {
        let (cell, step) = (self.georef.transform.pixel_size(), self.step.unwrap_or((1.0, 1.0)));
        (cell.0 / step.0, cell.1 / step.1)
    }

    /// Half a matching window in cells (columns, rows): a cell nearer than that to a fault has both sides in its
    /// window. Zero for maps whose windows were cut at the fault, of unknown making, and at most 8 pixels for the
    /// method `dense`, whose small windows act beside jumps.
    pub fn half_window_cells(&self) -> (f64, f64) {
        let (Some(window), Some(step)) = (self.window, self.step) else { return (0.0, 0.0) };
        let half = |window: f64, step: f64| match self.find("METHOD") {
            Some("dense") => (window / 2.0).min(8.0) / step,
            _ => window / 2.0 / step,
        };
        match self.find("CUT") {
            Some(_) => (0.0, 0.0),
            None => (half(window.0, step.0), half(window.1, step.1)),
        }
    }

    /// Place of a cell's centre on the map.
    pub fn place(&self, column: usize, row: usize) -> (f64, f64) {
        self.georef.transform.map(column as f64 + 0.5, row as f64 + 0.5)
    }

    /// From map coordinates to lengths in the unit of the displacements: metres, or pixels of the pre image (x right,
    /// y up; the grid's own axes, also for rotated grids). Only its linear part has a meaning.
    pub fn plane(&self) -> Plane {
        match self.unit {
            MapUnit::Metres => {
                let k = self.metres_per_unit();
                Plane([k, 0.0, 0.0, k])
            }
            MapUnit::Pixels => {
                // Inverse of the linear part of the pre image's geotransform, rows counted upwards.
                let (c, step) = (self.georef.transform.0, self.step.unwrap_or((1.0, 1.0)));
                let (a, b, d, e) = (c[1] / step.0, c[2] / step.1, c[4] / step.0, c[5] / step.1);
                let det = a * e - b * d;
                Plane([e / det, -b / det, d / det, -a / det])
            }
        }
    }

    /// A reader with handles of its own, for one thread.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn reader(&self) -> Result<MapReader<'_>> {
        let mut bands: [Option<Box<dyn ImageReader + '_>>; 6] = Default::default();
        for (reader, band) in bands.iter_mut().zip(&self.bands) {
            *reader = band.as_ref().map(ImageFile::open).transpose()?;
        }
        Ok(MapReader { bands })
    }

    /// Windows of at most `rows` whole rows that cover the map from the top.
    pub fn strips(&self, rows: usize) -> impl Iterator<Item = Window> + use<> {
        let (width, height) = self.size();
        (0..height).step_by(rows.max(1)).map(move |y| Window::new(0, y as i64, width, rows.max(1).min(height - y)))
    }
}

/// A linear change of plane coordinates: x' = m0 x + m1 y, y' = m2 x + m3 y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plane(pub [f64; 4]);

impl Plane {
    pub fn apply(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let m = &self.0;
        (m[0] * x + m[1] * y, m[2] * x + m[3] * y)
    }

    pub fn inverse(&self) -> Plane {
        let m = &self.0;
        let det = m[0] * m[3] - m[1] * m[2];
        Plane([m[3] / det, -m[1] / det, -m[2] / det, m[0] / det])
    }

    /// The geotransform of a grid in the new coordinates.
    pub fn transform(&self, g: &GeoTransform) -> GeoTransform {
        let c = &g.0;
        let (origin, column, row) = (self.apply((c[0], c[3])), self.apply((c[1], c[4])), self.apply((c[2], c[5])));
        GeoTransform([origin.0, column.0, row.0, origin.1, column.1, row.1])
    }
}

/// One thread's handles on a map.
pub struct MapReader<'a> {
    bands: [Option<Box<dyn ImageReader + 'a>>; 6],
}

/// A piece of a map. Missing values are NaN; a cell has east and north, or neither.
#[derive(Debug, Clone)]
pub struct MapBlock {
    pub window: Window,
    pub east: Grid<f32>,
    pub north: Grid<f32>,
    pub quality: Option<Grid<f32>>,
    /// Standard deviations of east and north.
    pub sigma: Option<(Grid<f32>, Grid<f32>)>,
    /// Status codes ([`crate::field::Status`]).
    pub status: Option<Grid<f32>>,
}

impl MapReader<'_> {
    /// The cells of `window`; what lies outside the map is NaN.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn read(&mut self, window: Window) -> Result<MapBlock> {
        let mut grids: [Option<Grid<f32>>; 6] = Default::default();
        for (grid, reader) in grids.iter_mut().zip(&mut self.bands) {
            if let Some(reader) = reader {
                let image = reader.read(window)?;
                let mut values = image.values;
                values.data.iter_mut().zip(&image.valid.data).filter(|(_, ok)| !**ok).for_each(|(v, _)| *v = f32::NAN);
                *grid = Some(values);
            }
        }
        let [Some(mut east), Some(mut north), quality, east_sigma, north_sigma, status] = grids else {
            return Err(Error::Internal("a map without east and north".into()));
        };
        for (e, n) in east.data.iter_mut().zip(&mut north.data) {
            if !(e.is_finite() && n.is_finite()) {
                (*e, *n) = (f32::NAN, f32::NAN);
            }
        }
        Ok(MapBlock { window, east, north, quality, sigma: east_sigma.zip(north_sigma), status })
    }
}

fn open_band(path: &str, band: usize) -> Result<RasterBand> {
    let options = |nodata| OpenOptions { band, nodata, ..OpenOptions::default() };
    let found = RasterBand::open(path, options(NoData::Auto))?;
    // A border of zeros is no gap here: zero is an ordinary displacement.
    if found.undeclared_zero_border() { RasterBand::open(path, options(NoData::None)) } else { Ok(found) }
}

/// `8x8`
fn two(text: &str) -> Option<(f64, f64)> {
    let (a, b) = text.split_once('x')?;
    Some((a.trim().parse().ok()?, b.trim().parse().ok()?)).filter(|(a, b)| *a > 0.0 && *b > 0.0)
}

/// The largest of `16x16,32x32`.
fn largest(text: &str) -> Option<(f64, f64)> {
    let all: Option<Vec<(f64, f64)>> = text.split(',').map(two).collect();
    all?.into_iter().max_by(|a, b| (a.0 * a.1).total_cmp(&(b.0 * b.1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::{Band, Crs, write_bands};

    fn written(metadata: &[(&str, &str, &str)], names: [&str; 3], unit: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.tif").to_string_lossy().into_owned();
        let grid =
            |k: f32| Grid::from_fn(6, 5, |x, y| if (x, y) == (2, 1) { f32::NAN } else { k * (x + 10 * y) as f32 });
        let grids = [grid(1.0), grid(-1.0), grid(0.5)];
        let bands: Vec<Band> =
            names.iter().zip(&grids).map(|(description, values)| Band { description, unit, values }).collect();
        let crs = Crs::from_definition("EPSG:32612").unwrap();
        let georef = GeoReference::new(GeoTransform([0.0, 80.0, 0.0, 400.0, 0.0, -80.0]), Some(crs));
        write_bands(&path, &bands, Some(&georef), metadata, false).unwrap();
        (folder, path)
    }

    #[test]
    fn bands_are_found_by_name_and_pieces_reach_outside() {
        let metadata = [(DOMAIN, "STEP", "8x8"), (DOMAIN, "WINDOW", "16x16,32x24"), (DOMAIN, "METHOD", "lsm")];
        let (_folder, path) = written(&metadata, ["Quality", "East displacement", "North displacement"], "m");
        let map = DisplacementMap::open(&path).unwrap();
        assert_eq!(
            (map.size(), map.unit, map.window, map.step),
            ((6, 5), MapUnit::Metres, Some((32.0, 24.0)), Some((8.0, 8.0)))
        );
        assert_eq!((map.half_window_cells(), map.pixel_size(), map.has_sigma()), ((2.0, 1.5), (10.0, 10.0), false));
        let block = map.reader().unwrap().read(Window::new(-1, 0, 4, 2)).unwrap();
        assert!(block.east.get(0, 0).is_nan() && block.east.get(3, 1).is_nan() && block.north.get(3, 1).is_nan());
        assert_eq!((block.east.get(2, 1), block.north.get(2, 1)), (-11.0, 5.5));
        assert_eq!(map.strips(2).map(|w| (w.y, w.height)).collect::<Vec<_>>(), [(0, 2), (2, 2), (4, 1)]);
        assert_eq!(map.place(0, 0), (40.0, 360.0));
    }

    #[test]
    fn pixels_count_right_and_up_and_unknown_units_are_refused() {
        let (_folder, path) = written(&[(DOMAIN, "STEP", "8x8")], ["a", "b", "c"], "px");
        let map = DisplacementMap::open(&path).unwrap();
        // 10 m pixels: 100 m east and 50 m north are 10 px right and 5 px up.
        let px = map.plane().apply((100.0, 50.0));
        assert!(map.unit == MapUnit::Pixels && (px.0 - 10.0).abs() < 1e-9 && (px.1 - 5.0).abs() < 1e-9, "{px:?}");
        let back = map.plane().inverse().apply(px);
        assert!((back.0 - 100.0).abs() < 1e-9 && (back.1 - 50.0).abs() < 1e-9, "{back:?}");
        let (_folder, path) = written(&[], ["a", "b", "c"], "ft");
        assert!(DisplacementMap::open(&path).unwrap_err().to_string().contains("`ft`"));
    }
}
