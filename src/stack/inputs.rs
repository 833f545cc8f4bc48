//! The maps that are stacked, on one grid.

use crate::field::GeoTransform;
use crate::grid::Window;
use crate::map::{DisplacementMap, MapReader, MapUnit};
use crate::raster::GeoReference;
use crate::{Error, Result};

/// What the result covers (`--extent`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    /// All maps.
    #[default]
    Union,
    /// The first map.
    First,
    /// What all maps have in common.
    Intersection,
}

/// The grid of the result: that of the first map, extended or cut by whole cells.
#[derive(Debug, Clone)]
pub struct Target {
    pub georef: GeoReference,
    pub size: (usize, usize),
}

/// Values of one map at the cells of a strip of the target; NaN where there are none.
#[derive(Debug, Clone, Default)]
pub struct Strip {
    pub east: Vec<f32>,
    pub north: Vec<f32>,
    pub sigma: [Vec<f32>; 2],
    pub quality: Vec<f32>,
    pub status: Vec<f32>,
}

/// Opens the maps and refuses those that do not belong together.
///
/// # Errors
/// [`Error::Open`]; [`Error::GridMismatch`] for other coordinate systems or units.
pub fn open(paths: &[String]) -> Result<Vec<DisplacementMap>> {
    let maps = paths.iter().map(|p| DisplacementMap::open(p)).collect::<Result<Vec<_>>>()?;
    let Some(first) = maps.first() else { return Err(Error::Internal("no maps".into())) };
    for map in &maps[1..] {
        same_plane(first, map)?;
    }
    let with = maps.iter().filter(|m| m.has_sigma()).count();
    if let (true, Some(map)) = (with > 0, maps.iter().find(|m| !m.has_sigma())) {
        return Err(Error::Data(format!(
            "{} has no sigma bands and others have: their weights cannot be compared; leave it away, or stack only maps \
             without sigma",
            map.path()
        )));
    }
    Ok(maps)
}

fn same_plane(a: &DisplacementMap, b: &DisplacementMap) -> Result<()> {
    let (p, q) = (a.path(), b.path());
    let label = |m: &DisplacementMap| m.georef.crs.as_ref().map_or("none".to_string(), |c| c.label.clone());
    let same = match (&a.georef.crs, &b.georef.crs) {
        (Some(x), Some(y)) => x.same(y),
        (None, None) => true,
        _ => false,
    };
    if !same {
        return Err(Error::GridMismatch(format!(
            "the coordinate reference systems differ: {p} has {}, {q} has {}; displacements are vectors, which warping the raster \
             does not turn: measure both on one CRS (`shiftmap displacement --resample`, or gdalwarp the images first)",
            label(a),
            label(b)
        )));
    }
    if a.unit != b.unit {
        return Err(Error::GridMismatch(format!(
            "{p} is in {} and {q} in {}; make both with the same --units",
            a.unit.name(),
            b.unit.name()
        )));
    }
    if a.georef.referenced != b.georef.referenced || (!a.georef.referenced && a.size() != b.size()) {
        return Err(Error::GridMismatch(format!(
            "{p} and {q} have no common place: without georeference maps need equal sizes ({:?} and {:?})",
            a.size(),
            b.size()
        )));
    }
    if a.unit == MapUnit::Pixels && a.georef.referenced {
        let (x, y) = (a.pixel_size(), b.pixel_size());
        if (x.0 / y.0 - 1.0).abs() > 1e-6 || (x.1 / y.1 - 1.0).abs() > 1e-6 {
            return Err(Error::GridMismatch(format!(
                "{p} and {q} are in pixels of different size ({} x {} and {} x {}); make both in metres",
                x.0, x.1, y.0, y.1
            )));
        }
    }
    Ok(())
}

impl Target {
    /// The grid for these maps.
    ///
    /// # Errors
    /// [`Error::GridMismatch`] when nothing is left.
    pub fn new(maps: &[DisplacementMap], extent: Extent) -> Result<Target> {
        let Some(first) = maps.first() else { return Err(Error::Internal("no maps".into())) };
        let size = first.size();
        let own = Window::new(0, 0, size.0, size.1);
        let mut bounds = [0.0, 0.0, size.0 as f64, size.1 as f64];
        for map in &maps[1..] {
            let b = covered(map, &first.georef.transform)?;
            let (low, high): (Choice, Choice) = match extent {
                Extent::Union => (f64::min, f64::max),
                Extent::Intersection => (f64::max, f64::min),
                Extent::First => continue,
            };
            bounds = [low(bounds[0], b[0]), low(bounds[1], b[1]), high(bounds[2], b[2]), high(bounds[3], b[3])];
        }
        // A cell that is met by half counts.
        let edge = |v: f64| v.round() as i64;
        let (x0, y0, x1, y1) = (edge(bounds[0]), edge(bounds[1]), edge(bounds[2]), edge(bounds[3]));
        if x1 <= x0 || y1 <= y0 {
            let text = "the maps have no cell in common; use --extent union, or leave those away that lie elsewhere";
            return Err(Error::GridMismatch(text.into()));
        }
        let window = Window::new(x0, y0, (x1 - x0) as usize, (y1 - y0) as usize);
        if window.width.saturating_mul(window.height) > 1 << 40 {
            let text = "the maps lie so far apart that their union is too large; use --extent first";
            return Err(Error::GridMismatch(text.into()));
        }
        if window == own {
            return Ok(Target { georef: first.georef.clone(), size });
        }
        let transform = first.georef.transform.cells(x0 as f64, y0 as f64, 1.0, 1.0);
        Ok(Target { georef: first.georef.with_transform(transform), size: (window.width, window.height) })
    }
}

/// The smaller or the larger of two.
type Choice = fn(f64, f64) -> f64;

/// Left, top, right and bottom of a map in cells of another grid.
fn covered(map: &DisplacementMap, grid: &GeoTransform) -> Result<[f64; 4]> {
    let (w, h) = (map.size().0 as f64, map.size().1 as f64);
    let mut b = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    for (c, r) in [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)] {
        let (x, y) = map.georef.transform.map(c, r);
        let (c, r) = grid
            .pixel(x, y)
            .ok_or_else(|| Error::GridMismatch(format!("{} has a singular geotransform", map.path())))?;
        b = [b[0].min(c), b[1].min(r), b[2].max(c), b[3].max(r)];
    }
    Ok(b)
}

/// One map as seen from the target grid, for one thread.
///
/// A map on the same grid is read as it is. On another one values are interpolated with a tent as wide as a cell, or as a
/// cell of the target where that is larger (so that nothing is left out); at least half of its weight must be on valid cells.
/// Sigma is averaged, not reduced: neighbouring cells share their errors.
pub struct Sampler<'a> {
    reader: MapReader<'a>,
    /// Place of a target cell's centre in cells of the map: column and row (centre of the first cell at 0) at target (0, 0),
    /// and their steps along target columns and rows.
    at: (f64, f64),
    column: (f64, f64),
    row: (f64, f64),
    /// Whole-cell offset when the grids are the same.
    same: Option<(i64, i64)>,
    /// Half width of the tent along the map's columns and rows.
    reach: (f64, f64),
}

impl<'a> Sampler<'a> {
    /// # Errors
    /// [`Error::Open`], a singular geotransform.
    pub fn new(map: &'a DisplacementMap, target: &Target) -> Result<Sampler<'a>> {
        let place = |c: f64, r: f64| -> Result<(f64, f64)> {
            let (x, y) = target.georef.transform.map(c + 0.5, r + 0.5);
            let (c, r) = (map.georef.transform.pixel(x, y))
                .ok_or_else(|| Error::GridMismatch(format!("{} has a singular geotransform", map.path())))?;
            Ok((c - 0.5, r - 0.5))
        };
        let (at, right, down) = (place(0.0, 0.0)?, place(1.0, 0.0)?, place(0.0, 1.0)?);
        let (column, row) = ((right.0 - at.0, right.1 - at.1), (down.0 - at.0, down.1 - at.1));
        // Exact to a thousandth of a cell over the whole grid.
        let (w, h) = (target.size.0 as f64, target.size.1 as f64);
        let corner = place(w - 1.0, h - 1.0)?;
        let (x, y) = (at.0.round(), at.1.round());
        let near = |p: (f64, f64), q: (f64, f64)| (p.0 - q.0).abs() < 1e-3 && (p.1 - q.1).abs() < 1e-3;
        let same = near(at, (x, y)) && near(corner, (x + w - 1.0, y + h - 1.0)) && near(column, (1.0, 0.0));
        let reach = (column.0.abs().max(row.0.abs()).max(1.0), column.1.abs().max(row.1.abs()).max(1.0));
        Ok(Sampler { reader: map.reader()?, at, column, row, same: same.then_some((x as i64, y as i64)), reach })
    }

    /// The cells of rows `y` to `y + height` of a target `width` cells wide.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn read(&mut self, y: usize, width: usize, height: usize) -> Result<Strip> {
        if let Some((dx, dy)) = self.same {
            let block = self.reader.read(Window::new(dx, dy + y as i64, width, height))?;
            let none = || vec![f32::NAN; width * height];
            let (east, north) = (block.east.data, block.north.data);
            let sigma = block.sigma.map_or_else(|| [none(), none()], |(e, n)| [e.data, n.data]);
            let quality = block.quality.map_or_else(none, |g| g.data);
            return Ok(Strip { east, north, sigma, quality, status: block.status.map_or_else(none, |g| g.data) });
        }
        let place = |i: usize, j: usize| {
            let (i, j) = (i as f64, (y + j) as f64);
            (self.at.0 + i * self.column.0 + j * self.row.0, self.at.1 + i * self.column.1 + j * self.row.1)
        };
        let corners = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)].map(|(i, j)| place(i, j));
        let low = corners.iter().fold((f64::INFINITY, f64::INFINITY), |a, p| (a.0.min(p.0), a.1.min(p.1)));
        let high = corners.iter().fold((f64::NEG_INFINITY, f64::NEG_INFINITY), |a, p| (a.0.max(p.0), a.1.max(p.1)));
        let from = ((low.0 - self.reach.0).floor() as i64, (low.1 - self.reach.1).floor() as i64);
        let to = ((high.0 + self.reach.0).ceil() as i64, (high.1 + self.reach.1).ceil() as i64);
        let window = Window::new(from.0, from.1, (to.0 - from.0 + 1) as usize, (to.1 - from.1 + 1) as usize);
        let block = self.reader.read(window)?;
        let mut strip = Strip::default();
        for j in 0..height {
            for i in 0..width {
                let (c, r) = place(i, j);
                let (c, r) = (c - from.0 as f64, r - from.1 as f64);
                let mut sums = [0.0; 5];
                let (mut weight, mut all) = (0.0, 0.0);
                for v in (r - self.reach.1).ceil() as i64..=(r + self.reach.1).floor() as i64 {
                    for u in (c - self.reach.0).ceil() as i64..=(c + self.reach.0).floor() as i64 {
                        let w =
                            (1.0 - (u as f64 - c).abs() / self.reach.0) * (1.0 - (v as f64 - r).abs() / self.reach.1);
                        if w <= 0.0 {
                            continue;
                        }
                        all += w;
                        let (u, v) = (u as usize, v as usize);
                        if !block.east.get(u, v).is_finite() {
                            continue;
                        }
                        weight += w;
                        let sigma =
                            block.sigma.as_ref().map_or((f32::NAN, f32::NAN), |(e, n)| (e.get(u, v), n.get(u, v)));
                        let quality = block.quality.as_ref().map_or(f32::NAN, |g| g.get(u, v));
                        let terms = [block.east.get(u, v), block.north.get(u, v), sigma.0, sigma.1, quality];
                        sums.iter_mut().zip(terms).for_each(|(s, t)| *s += w * f64::from(t));
                    }
                }
                let good = weight > 0.0 && weight >= 0.5 * all;
                let value = |k: usize| if good { (sums[k] / weight) as f32 } else { f32::NAN };
                strip.east.push(value(0));
                strip.north.push(value(1));
                strip.sigma[0].push(value(2));
                strip.sigma[1].push(value(3));
                strip.quality.push(value(4));
                let nearest = (c.round().max(0.0) as usize, r.round().max(0.0) as usize);
                let status = block.status.as_ref().filter(|g| nearest.0 < g.width && nearest.1 < g.height);
                strip.status.push(if good { 0.0 } else { status.map_or(f32::NAN, |g| g.get(nearest.0, nearest.1)) });
            }
        }
        Ok(strip)
    }
}
