//! Faults from a user's file: a line layer with attributes, or a table of triangles.

use serde::Serialize;

use super::elastic::PixelGrid;
use super::fault_line::FaultLine;
use super::tde::Triangle;
use super::triangle_file::{COLUMNS, surface_traces, triangles};
use crate::field::GeoTransform;
use crate::raster::{Crs, GeoReference, Line, Units, Value, read_line_features, read_table};
use crate::{Error, Result};

/// Values for lines that lack an attribute; `None`: every line must have it (dip, opening and top have defaults).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Defaults {
    pub slip: Option<f64>,
    pub rake: Option<f64>,
    pub opening: Option<f64>,
    pub dip: Option<f64>,
    pub top: Option<f64>,
    pub bottom: Option<f64>,
    pub width: Option<f64>,
    pub taper: Option<f64>,
    /// Before the names of the options that give them, for messages: `--{prefix}slip`.
    #[serde(skip)]
    pub prefix: &'static str,
}

/// The plane in which faults are laid out: metres east and north of `origin`.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// Map coordinates of files without a CRS, and of the image.
    pub crs: Option<&'a Crs>,
    pub metres_per_unit: f64,
    /// Map coordinates that become zero: small numbers keep more digits.
    pub origin: (f64, f64),
}

/// Faults ready for the computation of their displacement.
#[derive(Debug, Clone)]
pub struct GivenFaults {
    /// In metres east and north of the plane's origin, and up.
    pub triangles: Vec<Triangle>,
    /// Top edges (of lines) or surface breaks (of tables) in map coordinates, with what is known of them.
    pub traces: Vec<Line>,
    /// The lines as understood; empty for a table.
    pub lines: Vec<FaultLine>,
}

/// Shear modulus of the seismic moment, Pa.
pub const SHEAR_MODULUS: f64 = 33e9;

/// Reads the faults of `path` in a plane about the middle of an image, and gives that plane too. `georef`, `size` and
/// `image` are the image's georeference, width and height, and name for messages.
///
/// # Errors
/// An image without a place in metres; those of [`GivenFaults::read`].
pub fn read_on_image<'a>(
    path: &str,
    (georef, size, image): (&'a GeoReference, (usize, usize), &str),
    defaults: &Defaults,
) -> Result<(GivenFaults, Plane<'a>)> {
    let ground = georef.ground(Units::Metres, image, size)?;
    let Some(crs) = georef.crs.as_ref() else {
        return Err(Error::Internal("an image in metres without a CRS".into()));
    };
    let origin = georef.transform.map(size.0 as f64 / 2.0, size.1 as f64 / 2.0);
    let plane = Plane { crs: Some(crs), metres_per_unit: crs.metres_per_unit, origin };
    let pixel = ground.transform.pixel_size();
    Ok((GivenFaults::read(path, plane, defaults, 2.0 * pixel.0.min(pixel.1))?, plane))
}

impl GivenFaults {
    /// Reads `path`: a table with the columns of [`triangles`], or any vector layer of lines with the attributes
    /// (upper or lower case) `slip`, `rake`, `opening`, `dip`, `top`, `bottom` or `width`, `taper` of [`FaultLine`].
    /// Lines are cut into cells of `spacing` metres where their slip tapers.
    ///
    /// # Errors
    /// A file that cannot be read, an attribute that is missing or out of range.
    pub fn read(path: &str, plane: Plane, defaults: &Defaults, spacing: f64) -> Result<GivenFaults> {
        if let Some(table) = read_table(path, &COLUMNS[..9])? {
            return Ok(plane.of_table(triangles(&table, path)?));
        }
        let mut faults = GivenFaults { triangles: Vec::new(), traces: Vec::new(), lines: Vec::new() };
        for (i, feature) in read_line_features(path, plane.crs)?.into_iter().enumerate() {
            let name = format!("{path}, line {}", i + 1);
            let mut fault = fault_line(&feature, defaults, &name)?;
            fault.points = feature.points.iter().map(|p| plane.metres(*p)).collect();
            fault.check(&name)?;
            faults.triangles.extend(fault.triangles(spacing));
            faults.traces.push(Line { points: feature.points, attributes: attributes(i, &fault) });
            faults.lines.push(fault);
        }
        Ok(faults)
    }

    /// Seismic moment in N m: rigidity × area × slip (opening has none).
    pub fn moment(&self) -> f64 {
        let potency = self.triangles.iter().map(|t| area(t) * t.slip[0].hypot(t.slip[1])).sum::<f64>();
        SHEAR_MODULUS * potency
    }

    /// Moment magnitude (Hanks and Kanamori 1979); `None` without moment.
    pub fn magnitude(&self) -> Option<f64> {
        let moment = self.moment();
        (moment > 0.0).then(|| (moment.log10() - 9.1) / 1.5)
    }
}

impl Plane<'_> {
    /// The pixels of an image in this plane.
    pub fn pixels(&self, transform: &GeoTransform, (width, height): (usize, usize)) -> PixelGrid {
        let metres = GeoTransform(transform.0.map(|c| c * self.metres_per_unit));
        let origin = (self.origin.0 * self.metres_per_unit, self.origin.1 * self.metres_per_unit);
        PixelGrid::new(&metres, width, height, origin)
    }

    fn metres(&self, (x, y): (f64, f64)) -> (f64, f64) {
        ((x - self.origin.0) * self.metres_per_unit, (y - self.origin.1) * self.metres_per_unit)
    }

    fn of_table(&self, mut triangles: Vec<Triangle>) -> GivenFaults {
        let traces = surface_traces(&triangles)
            .into_iter()
            .enumerate()
            .map(|(i, points)| Line { points, attributes: vec![("id".into(), Value::Integer(i as i64 + 1))] });
        let traces = traces.collect();
        for v in triangles.iter_mut().flat_map(|t| &mut t.vertices) {
            (v[0], v[1]) = self.metres((v[0], v[1]));
        }
        GivenFaults { triangles, traces, lines: Vec::new() }
    }
}

fn area(t: &Triangle) -> f64 {
    let [p, q, r] = t.vertices;
    let (u, v) = ([0, 1, 2].map(|i| q[i] - p[i]), [0, 1, 2].map(|i| r[i] - p[i]));
    let n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    0.5 * (n[0] * n[0] + n[1] * n[1] + n[2] * n[2]).sqrt()
}

/// The numbers of a line from its attributes and the defaults; its points come later.
fn fault_line(feature: &Line, defaults: &Defaults, name: &str) -> Result<FaultLine> {
    let attribute = |key: &str| -> Result<Option<f64>> {
        let found = feature.attributes.iter().find(|(k, _)| k.eq_ignore_ascii_case(key));
        match found.map(|(_, v)| v) {
            None => Ok(None),
            Some(Value::Real(v)) => Ok(Some(*v)),
            Some(Value::Integer(v)) => Ok(Some(*v as f64)),
            Some(Value::Text(t)) if t.trim().is_empty() => Ok(None),
            Some(Value::Text(t)) => match t.trim().parse() {
                Ok(v) => Ok(Some(v)),
                Err(_) => Err(Error::Data(format!("{name}: attribute {key} = `{t}` is not a number"))),
            },
        }
    };
    let or = |key: &str, default: Option<f64>| Ok::<_, Error>(attribute(key)?.or(default));
    let needed = |key: &str, default: Option<f64>| {
        or(key, default)?.ok_or_else(|| {
            Error::Data(format!(
                "{name} has no attribute {key}: add it to the layer, or give --{}{key} for all lines",
                defaults.prefix
            ))
        })
    };
    let dip = or("dip", defaults.dip)?.unwrap_or(90.0);
    let top = or("top", defaults.top)?.unwrap_or(0.0);
    let opening = or("opening", defaults.opening)?.unwrap_or(0.0);
    // A fault that only opens needs neither slip nor rake.
    let slip = match or("slip", defaults.slip)? {
        None if opening != 0.0 => 0.0,
        Some(v) => v,
        None => needed("slip", None)?,
    };
    let rake = if slip == 0.0 { 0.0 } else { needed("rake", defaults.rake)? };
    // An attribute of the line comes before a default of either kind.
    let width = match (attribute("width")?, attribute("bottom")?) {
        (Some(w), _) => w,
        (None, Some(bottom)) => (bottom - top) / dip.to_radians().sin(),
        (None, None) => match (defaults.width, defaults.bottom) {
            (Some(w), _) => w,
            (None, Some(bottom)) => (bottom - top) / dip.to_radians().sin(),
            (None, None) => needed("bottom", None)?,
        },
    };
    let taper = or("taper", defaults.taper)?.unwrap_or(0.0);
    Ok(FaultLine { points: Vec::new(), dip, top, width, slip, rake, opening, taper })
}

fn attributes(index: usize, f: &FaultLine) -> Vec<(String, Value)> {
    let numbers = [
        ("dip", f.dip),
        ("top", f.top),
        ("width", f.width),
        ("slip", f.slip),
        ("rake", f.rake),
        ("opening", f.opening),
        ("taper", f.taper),
    ];
    let mut all = vec![("id".to_string(), Value::Integer(index as i64 + 1))];
    all.extend(numbers.map(|(k, v)| (k.to_string(), Value::Real(v))));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(attributes: &[(&str, Value)]) -> Line {
        let attributes = attributes.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
        Line { points: vec![(0.0, 0.0), (0.0, 1e3)], attributes }
    }

    #[test]
    fn attributes_come_before_defaults_and_what_is_missing_is_named() {
        let all = Defaults { slip: Some(1.0), rake: Some(90.0), bottom: Some(10e3), ..Defaults::default() };
        let real = Value::Real;
        let f = feature(&[("SLIP", real(2.5)), ("Dip", Value::Integer(30)), ("top", Value::Text("500".into()))]);
        let got = fault_line(&f, &all, "line 1").unwrap();
        assert_eq!((got.slip, got.dip, got.top, got.rake), (2.5, 30.0, 500.0, 90.0));
        assert!((got.width - 19e3).abs() < 1e-9);
        let got = fault_line(&feature(&[("width", real(4e3))]), &all, "line 1").unwrap();
        assert_eq!((got.width, got.dip, got.top), (4e3, 90.0, 0.0));
        let message = |f: &Line, d: &Defaults| fault_line(f, d, "x.gpkg, line 3").unwrap_err().to_string();
        let none = Defaults::default();
        assert!(message(&feature(&[]), &none).contains("line 3 has no attribute slip"));
        assert!(message(&feature(&[("slip", real(1.0))]), &none).contains("--rake"));
        assert!(message(&feature(&[("slip", real(1.0)), ("rake", real(0.0))]), &none).contains("--bottom"));
        assert!(message(&feature(&[("slip", Value::Text("big".into()))]), &none).contains("`big`"));
        let dike = feature(&[("opening", real(1.0)), ("bottom", real(3e3))]);
        assert_eq!(fault_line(&dike, &none, "line 1").unwrap().slip, 0.0);
    }
}
