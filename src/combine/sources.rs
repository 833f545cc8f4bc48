//! Maps on disk, read as strips of one grid.

use super::scene::{Direction, Frame, Kind, Observation, Ramp, Scene, Sigma, Station, along_track, unit_vector};
use super::spec::{Look, MapKind, MapSpec, NumberOrRaster};
use crate::field::GeoTransform;
use crate::grid::{Grid, Image, ImageFile, ImageReader, PointFile, PointReader, Window};
use crate::map::{DisplacementMap, MapUnit};
use crate::raster::{NoData, OpenOptions, Places, RasterBand, TargetGrid, band_names};
use crate::{Error, Result};

/// A band on the grid.
type Placed = Box<dyn ImageFile + Send>;

/// Opens a band; a corner of zeros counts as nodata only where zero is not an ordinary value.
pub fn open_band(path: &str, band: usize, zero: Zero) -> Result<RasterBand> {
    let options = |nodata| OpenOptions { band, nodata, ..Default::default() };
    let found = RasterBand::open(path, options(NoData::Auto))?;
    match found.undeclared_zero_border() && zero == Zero::Value {
        true => RasterBand::open(path, options(NoData::None)),
        false => Ok(found),
    }
}

/// What an undeclared border of zeros means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zero {
    Border,
    Value,
}

/// A number for all pixels, or a band.
enum Number {
    Constant(f64),
    Band(Placed),
}

enum Directions {
    Constant([f64; 3]),
    Unit([Placed; 3]),
    Angles(Number, Number, super::Side),
}

/// One observation.
struct Source {
    name: String,
    kind: MapKind,
    values: Placed,
    /// Metres of a unit.
    scale: f64,
    directions: Directions,
    sigma: Option<Number>,
    ramp: Ramp,
    topography: bool,
}

/// All maps of a run on their grid.
pub struct Sources {
    pub grid: TargetGrid,
    pub frame: Frame,
    /// Turns east and north of directions into the grid's, degrees; 0 for directions that are the grid's.
    turn: f64,
    maps: Vec<Source>,
    dem: Option<Placed>,
    mask: Option<Places>,
    pub stations: Vec<Station>,
}

/// What [`Sources::open`] is told.
pub struct Wanted<'a> {
    pub maps: &'a [MapSpec],
    pub dem: Option<&'a str>,
    pub mask: Option<&'a str>,
    pub grid: TargetGrid,
    pub turn: f64,
}

impl Sources {
    /// Opens everything; reads no pixels.
    ///
    /// # Errors
    /// Files that cannot be opened or do not overlap the grid, units that are not lengths, offsets in other coordinate systems.
    pub fn open(wanted: &Wanted) -> Result<Sources> {
        let grid = wanted.grid.clone();
        let metres = grid.georef.crs.as_ref().map_or(1.0, |c| c.metres_per_unit);
        let transform = GeoTransform(grid.georef.transform.0.map(|c| c * metres));
        let frame = Frame { transform, width: grid.size.0, height: grid.size.1 };
        let mut maps = Vec::new();
        for spec in wanted.maps {
            match spec.kind {
                MapKind::Offsets => maps.extend(offsets(spec, &grid)?),
                _ => maps.push(source(spec, &grid, wanted.dem.is_some())?),
            }
        }
        let dem = wanted.dem.map(|path| grid.place(&open_band(path, 1, Zero::Value)?)).transpose()?;
        let mask = wanted.mask.map(|path| Places::open(path, "--mask", &grid.georef)).transpose()?;
        Ok(Sources { grid, frame, turn: wanted.turn, maps, dem, mask, stations: Vec::new() })
    }

    /// Names of the observations, in order.
    pub fn names(&self) -> Vec<String> {
        self.maps.iter().map(|m| m.name.clone()).collect()
    }

    /// Bands that a strip reads.
    pub fn bands(&self) -> usize {
        let number = |n: &Number| usize::from(matches!(n, Number::Band(_)));
        let one = |m: &Source| {
            let directions = match &m.directions {
                Directions::Constant(_) => 0,
                Directions::Unit(_) => 3,
                Directions::Angles(..) => 3,
            };
            1 + directions + m.sigma.as_ref().map_or(0, number)
        };
        self.maps.iter().map(one).sum::<usize>() + usize::from(self.dem.is_some())
    }

    /// Handles for one thread.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn reader(&self) -> Result<Reader<'_>> {
        let mut maps = Vec::new();
        for m in &self.maps {
            let directions = match &m.directions {
                Directions::Constant(_) => vec![],
                Directions::Unit(bands) => bands.iter().map(|b| b.open().map(Some)).collect::<Result<_>>()?,
                Directions::Angles(heading, incidence, _) => vec![open(heading)?, open(incidence)?],
            };
            maps.push(MapReader {
                values: m.values.open()?,
                directions,
                sigma: m.sigma.as_ref().map_or(Ok(None), open)?,
            });
        }
        Ok(Reader {
            sources: self,
            maps,
            dem: self.dem.as_ref().map(|d| d.open()).transpose()?,
            mask: self.mask.as_ref().map(PointFile::open).transpose()?,
        })
    }

    /// A scene without pixels: observations in name and kind, all stations.
    pub fn outline(&self) -> Scene {
        let mut scene = Scene { stations: self.stations.clone(), ..Scene::new(self.frame) };
        scene.rows = 0;
        scene.dem = self.dem.as_ref().map(|_| Vec::new());
        scene.observations =
            self.maps.iter().map(|m| m.observation(Vec::new(), Direction::Constant([0.0; 3]), None)).collect();
        scene
    }
}

fn open(n: &Number) -> Result<Option<Box<dyn ImageReader + '_>>> {
    match n {
        Number::Constant(_) => Ok(None),
        Number::Band(b) => b.open().map(Some),
    }
}

impl Source {
    fn observation(&self, values: Vec<f32>, direction: Direction, sigma: Option<Vec<f32>>) -> Observation {
        let sigma = match (&self.sigma, sigma) {
            (_, Some(s)) => Sigma::PerPixel(s),
            (Some(Number::Constant(s)), _) => Sigma::Constant(*s),
            (Some(Number::Band(_)), _) => Sigma::PerPixel(Vec::new()),
            (None, _) => Sigma::Estimated,
        };
        let kind = if self.kind == MapKind::LineOfSight { Kind::LineOfSight } else { Kind::Offset };
        let (name, ramp, topography) = (self.name.clone(), self.ramp, self.topography);
        Observation { name, kind, values, direction, sigma, ramp, topography }
    }
}

/// One thread's handles.
pub struct Reader<'a> {
    sources: &'a Sources,
    maps: Vec<MapReader<'a>>,
    dem: Option<Box<dyn ImageReader + 'a>>,
    mask: Option<Box<dyn PointReader + 'a>>,
}

struct MapReader<'a> {
    values: Box<dyn ImageReader + 'a>,
    directions: Vec<Option<Box<dyn ImageReader + 'a>>>,
    sigma: Option<Box<dyn ImageReader + 'a>>,
}

impl Reader<'_> {
    /// The rows `first .. first + rows`.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Data`] for a direction that is not of length 1.
    pub fn read(&mut self, first: usize, rows: usize) -> Result<Scene> {
        let frame = self.sources.frame;
        let window = Window::new(0, first as i64, frame.width, rows);
        let masked = match &mut self.mask {
            None => None,
            Some(mask) => {
                let centres = Grid::from_fn(window.width, window.height, |x, y| (x as f64, (first + y) as f64));
                let flags = mask.sample(&centres.data)?;
                Some(flags.into_iter().map(|f| f.is_some_and(|f| f.0 != 0.0)).collect::<Vec<bool>>())
            }
        };
        let mut scene = Scene { first_row: first, rows, ..self.sources.outline() };
        scene.dem = self.dem.as_mut().map(|d| d.read(window).map(values)).transpose()?;
        for ((reader, source), o) in self.maps.iter_mut().zip(&self.sources.maps).zip(&mut scene.observations) {
            let mut read = values(reader.values.read(window)?);
            for (i, v) in read.iter_mut().enumerate() {
                let out = masked.as_ref().is_some_and(|m| m[i]);
                *v = if out { f32::NAN } else { (f64::from(*v) * source.scale) as f32 };
            }
            let mut bands = Vec::new();
            for band in &mut reader.directions {
                bands.push(band.as_mut().map(|b| b.read(window).map(values)).transpose()?);
            }
            let direction = source.direction(bands, self.sources.turn);
            let sigma = reader.sigma.as_mut().map(|s| s.read(window).map(values)).transpose()?;
            *o = source.observation(read, direction, sigma);
        }
        scene.check()?;
        Ok(scene)
    }
}

fn values(image: Image) -> Vec<f32> {
    let Image { values, valid } = image;
    values.data.into_iter().zip(valid.data).map(|(v, good)| if good { v } else { f32::NAN }).collect()
}

impl Source {
    /// Directions of a strip, from the bands that were read for them.
    fn direction(&self, bands: Vec<Option<Vec<f32>>>, turn: f64) -> Direction {
        let sign = if self.kind == MapKind::Range { -1.0 } else { 1.0 };
        // East and north of an offset map are the grid's already.
        let turn = if self.kind == MapKind::Offsets { 0.0 } else { turn };
        match &self.directions {
            Directions::Constant(s) => Direction::Constant(turned(*s, turn)),
            Directions::Unit(_) => {
                let mut bands = bands.into_iter().flatten();
                let mut next = || bands.next().unwrap_or_default();
                let mut s = [next(), next(), next()];
                for i in 0..s[0].len() {
                    let v = s.each_ref().map(|b| f64::from(b[i]));
                    // Zeros stand for nothing in products that have no nodata value.
                    let none = v == [0.0; 3];
                    let v = turned(v.map(|c| sign * c), turn);
                    (0..3).for_each(|c| s[c][i] = if none { f32::NAN } else { v[c] as f32 });
                }
                Direction::PerPixel(s)
            }
            Directions::Angles(heading, incidence, side) => {
                let mut bands = bands.into_iter();
                let (h, i) = (bands.next().flatten(), bands.next().flatten());
                let n = h.as_ref().or(i.as_ref()).map_or(0, Vec::len);
                let at = |n: &Number, band: &Option<Vec<f32>>, k: usize| match (n, band) {
                    (Number::Constant(v), _) => *v,
                    (_, Some(band)) => f64::from(band[k]),
                    _ => f64::NAN,
                };
                let mut s: [Vec<f32>; 3] = std::array::from_fn(|_| Vec::with_capacity(n));
                for k in 0..n {
                    let v = self.looking(at(heading, &h, k), at(incidence, &i, k), *side);
                    let v = turned(v.map(|c| sign * c), turn);
                    (0..3).for_each(|c| s[c].push(v[c] as f32));
                }
                Direction::PerPixel(s)
            }
        }
    }

    fn looking(&self, heading: f64, incidence: f64, side: super::Side) -> [f64; 3] {
        match self.kind {
            MapKind::Azimuth => along_track(heading),
            _ => unit_vector(heading, incidence, side),
        }
    }
}

/// A vector in axes whose north is `degrees` clockwise of the vector's.
pub fn turned(v: [f64; 3], degrees: f64) -> [f64; 3] {
    if degrees == 0.0 {
        return v;
    }
    let (sin, cos) = degrees.to_radians().sin_cos();
    [cos * v[0] - sin * v[1], sin * v[0] + cos * v[1], v[2]]
}

/// A line of sight, an azimuth or a range offset.
fn source(spec: &MapSpec, grid: &TargetGrid, dem: bool) -> Result<Source> {
    let option = spec.kind.option();
    let place = |path: &str, band: usize, zero: Zero| grid.place(&open_band(path, band, zero)?);
    let number = |n: &NumberOrRaster| match n {
        NumberOrRaster::Number(v) => Ok(Number::Constant(*v)),
        NumberOrRaster::Raster(path) => Ok(Number::Band(place(path, 1, Zero::Border)?)),
    };
    let directions = match &spec.look {
        Look::Unit(paths) if paths.len() == 3 => Directions::Unit([
            place(&paths[0], 1, Zero::Value)?,
            place(&paths[1], 1, Zero::Value)?,
            place(&paths[2], 1, Zero::Value)?,
        ]),
        Look::Unit(paths) => {
            let bands = band_names(&paths[0])?.len();
            if bands < 3 {
                let why = format!("{} has {bands} bands; a unit vector has three: east, north, up", paths[0]);
                return Err(Error::option(option, &spec.path, why));
            }
            Directions::Unit([
                place(&paths[0], 1, Zero::Value)?,
                place(&paths[0], 2, Zero::Value)?,
                place(&paths[0], 3, Zero::Value)?,
            ])
        }
        Look::Angles { heading: NumberOrRaster::Number(h), incidence: NumberOrRaster::Number(i), side } => {
            Directions::Constant(match spec.kind {
                MapKind::Azimuth => along_track(*h),
                MapKind::Range => unit_vector(*h, *i, *side).map(|v| -v),
                _ => unit_vector(*h, *i, *side),
            })
        }
        Look::Angles { heading, incidence, side } => Directions::Angles(number(heading)?, number(incidence)?, *side),
        Look::Map => return Err(Error::Internal("a map without direction".into())),
    };
    let unit = band_names(&spec.path)?.get(spec.band - 1).map(|(_, u)| u.trim().to_lowercase()).unwrap_or_default();
    let scale = match (spec.scale, unit.as_str()) {
        (Some(s), _) => s,
        (None, "" | "m" | "metre" | "meter" | "metres" | "meters") => 1.0,
        (None, "cm") => 0.01,
        (None, "mm") => 0.001,
        (None, other) => {
            let why = format!(
                "its unit is `{other}`, not a length: say scale=METRES of a unit (an unwrapped phase in radians with a \
                 wavelength w: scale=-w/(4 pi), e.g. -0.0044125 for Sentinel-1)"
            );
            return Err(Error::option(option, &spec.path, why));
        }
    };
    let los = spec.kind == MapKind::LineOfSight;
    let zero = if los { Zero::Border } else { Zero::Value };
    Ok(Source {
        name: spec.name.clone(),
        kind: spec.kind,
        values: place(&spec.path, spec.band, zero)?,
        scale,
        directions,
        sigma: spec.sigma.as_ref().map(number).transpose()?,
        ramp: spec.ramp.unwrap_or(if los { Ramp::Plane } else { Ramp::None }),
        topography: spec.topography.unwrap_or(los && dem),
    })
}

/// East and north of a displacement map.
fn offsets(spec: &MapSpec, grid: &TargetGrid) -> Result<[Source; 2]> {
    let map = DisplacementMap::open(&spec.path)?;
    let fail = |why: String| Error::option("--offsets", &spec.path, why);
    if map.unit != MapUnit::Metres {
        return Err(fail("its displacements are in pixels; measure it with --units m".into()));
    }
    let same = match (&map.georef.crs, &grid.georef.crs) {
        (Some(a), Some(b)) => a.same(b),
        (a, b) => a.is_none() && b.is_none(),
    };
    if !same {
        let label = |c: &Option<crate::raster::Crs>| c.as_ref().map_or("none".to_string(), |c| c.label.clone());
        return Err(fail(format!(
            "its CRS is {}, that of the result {}: east and north are vectors, which warping does not turn; take the map's grid for the \
             result (--like {})",
            label(&map.georef.crs),
            label(&grid.georef.crs),
            spec.path
        )));
    }
    let names = band_names(&spec.path)?;
    let find = |name: &str| names.iter().position(|(d, _)| d.eq_ignore_ascii_case(name)).map(|p| p + 1);
    let component = |k: usize| -> Result<Source> {
        let (title, band_name, sigma_name) =
            [("east", "East displacement", "East sigma"), ("north", "North displacement", "North sigma")][k];
        let band = open_band(&spec.path, find(band_name).unwrap_or(k + 1), Zero::Value)?;
        let sigma = match (&spec.sigma, find(sigma_name)) {
            (Some(NumberOrRaster::Number(v)), _) => Some(Number::Constant(*v)),
            (Some(NumberOrRaster::Raster(path)), _) => {
                Some(Number::Band(grid.place(&open_band(path, 1, Zero::Value)?)?))
            }
            (None, Some(b)) => Some(Number::Band(grid.place(&open_band(&spec.path, b, Zero::Value)?)?)),
            (None, None) => None,
        };
        Ok(Source {
            name: format!("{} ({title})", spec.name),
            kind: MapKind::Offsets,
            values: grid.place(&band)?,
            scale: spec.scale.unwrap_or(1.0),
            directions: Directions::Constant([1.0 - k as f64, k as f64, 0.0]),
            sigma,
            ramp: spec.ramp.unwrap_or(Ramp::None),
            topography: spec.topography.unwrap_or(false),
        })
    };
    Ok([component(0)?, component(1)?])
}
