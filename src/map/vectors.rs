//! Arrows of a displacement map as a line layer (`shiftmap vectors`).
//!
//! Memory: strips of rows, whatever the size of the map.

use serde::Serialize;

use crate::map::reader::DisplacementMap;
use crate::progress::Progress;
use crate::raster::{LayerSpec, LayerWriter, Placed, Shape, Value};
use crate::{Error, Result};

/// What `shiftmap vectors` is told.
#[derive(Debug, Clone)]
pub struct VectorJob {
    pub map: String,
    pub out: String,
    /// One arrow every so many cells along both axes.
    pub every: usize,
    /// Length of an arrow over the displacement; `None`: so that a displacement at the 95 % quantile spans the distance
    /// between arrows.
    pub scale: Option<f64>,
    /// Leave out arrows whose length is less than this many standard deviations.
    pub min_snr: f64,
    pub overwrite: bool,
}

impl VectorJob {
    /// With the command line's defaults.
    pub fn new(map: &str, out: &str) -> VectorJob {
        VectorJob { map: map.into(), out: out.into(), every: 4, scale: None, min_snr: 0.0, overwrite: false }
    }
}

/// What was written.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub output: String,
    pub arrows: usize,
    pub scale: f64,
    pub unit: &'static str,
}

const ROWS: usize = 128;

/// Writes the layer `vectors`: lines from where the ground was to where it went, lengths times the scale, with the
/// attributes east, north, length, azimuth (degrees clockwise from north), sigma_east, sigma_north and quality.
///
/// # Errors
/// Files that cannot be read or written; a map without values.
pub fn run(job: &VectorJob, progress: &mut dyn Progress) -> Result<Summary> {
    let map = DisplacementMap::open(&job.map)?;
    if job.every == 0 {
        return Err(Error::option("--every", 0, "give a number of cells, 1 or more"));
    }
    for (name, value) in [("--scale", job.scale.unwrap_or(1.0)), ("--min-snr", job.min_snr + 1.0)] {
        if !(value > 0.0 && value.is_finite()) {
            return Err(Error::option(name, value, "give a number above 0"));
        }
    }
    let fields = ["east", "north", "length", "azimuth", "sigma_east", "sigma_north", "quality"];
    let spec = LayerSpec {
        name: "vectors".into(),
        shape: Shape::Lines,
        fields: fields.iter().map(|f| (f.to_string(), Value::Real(0.0))).collect(),
    };
    let mut writer = LayerWriter::create(&job.out, vec![spec], map.georef.crs.as_ref(), job.overwrite)?;
    let scale = match job.scale {
        Some(scale) => scale,
        None => automatic(job, &map)?,
    };
    let back = map.plane().inverse();
    let mut arrows = 0;
    let height = map.size().1 as f64;
    scan(job, &map, &mut |row, list| {
        if !progress.report(0.99 * row as f64 / height, "writing arrows") {
            return Err(Error::Cancelled);
        }
        let feature = |a: &Arrow| {
            let tip = back.apply((scale * a.east, scale * a.north));
            let azimuth = a.east.atan2(a.north).to_degrees().rem_euclid(360.0);
            let numbers = [a.east, a.north, a.east.hypot(a.north), azimuth, a.sigma.0, a.sigma.1, a.quality];
            Placed { points: vec![a.at, (a.at.0 + tip.0, a.at.1 + tip.1)], values: numbers.map(Value::Real).to_vec() }
        };
        arrows += list.len();
        writer.write(0, &list.iter().map(feature).collect::<Vec<_>>())
    })?;
    if arrows == 0 {
        return Err(nothing(job));
    }
    writer.finish()?;
    progress.report(1.0, "done");
    Ok(Summary { output: job.out.clone(), arrows, scale, unit: map.unit.name() })
}

struct Arrow {
    at: (f64, f64),
    east: f64,
    north: f64,
    sigma: (f64, f64),
    quality: f64,
}

/// Hands out the arrows, strip by strip.
fn scan(job: &VectorJob, map: &DisplacementMap, take: &mut dyn FnMut(i64, &[Arrow]) -> Result<()>) -> Result<()> {
    let mut reader = map.reader()?;
    for strip in map.strips(ROWS) {
        let block = reader.read(strip)?;
        let mut list = Vec::new();
        for j in (0..strip.height).filter(|j| (strip.y as usize + j) % job.every == job.every / 2) {
            for i in (job.every / 2..strip.width).step_by(job.every) {
                let (east, north) = (f64::from(block.east.get(i, j)), f64::from(block.north.get(i, j)));
                if east.is_nan() {
                    continue;
                }
                let sigma = block.sigma.as_ref().map(|(e, n)| (f64::from(e.get(i, j)), f64::from(n.get(i, j))));
                let length = east.hypot(north);
                let along = sigma.map_or(0.0, |s| (east * s.0).hypot(north * s.1) / length.max(f64::MIN_POSITIVE));
                if job.min_snr > 0.0 && (length == 0.0 || length < job.min_snr * along) {
                    continue;
                }
                list.push(Arrow {
                    at: map.place(i, strip.y as usize + j),
                    east,
                    north,
                    sigma: sigma.unwrap_or((f64::NAN, f64::NAN)),
                    quality: block.quality.as_ref().map_or(f64::NAN, |q| f64::from(q.get(i, j))),
                });
            }
        }
        take(strip.y, &list)?;
    }
    Ok(())
}

/// The scale that draws the 95 % quantile of the lengths as long as arrows are apart. From a histogram of log2 in
/// sixteenths, to 4 %: memory must not grow with the map.
fn automatic(job: &VectorJob, map: &DisplacementMap) -> Result<f64> {
    const BINS: usize = 1280;
    let mut bins = [0u64; BINS];
    scan(job, map, &mut |_, list| {
        for a in list.iter().filter(|a| a.east.hypot(a.north) > 0.0) {
            let bin = (16.0 * a.east.hypot(a.north).log2() + 640.0).floor().clamp(0.0, BINS as f64 - 1.0);
            bins[bin as usize] += 1;
        }
        Ok(())
    })?;
    let total: u64 = bins.iter().sum();
    if total == 0 {
        return Err(nothing(job));
    }
    let mut seen = 0;
    let bin = bins.iter().position(|n| {
        seen += n;
        20 * seen >= 19 * total
    });
    let length = ((bin.unwrap_or(640) as f64 + 0.5 - 640.0) / 16.0).exp2();
    let cell = map.plane().transform(&map.georef.transform).pixel_size();
    let scale = cell.0.min(cell.1) * job.every as f64 / length;
    // One round digit is easier to quote.
    let power = 10f64.powf(scale.log10().floor());
    Ok((scale / power).round() * power)
}

fn nothing(job: &VectorJob) -> Error {
    Error::Data(format!(
        "{} has no displacement to draw at every {} cells; lower --every or --min-snr",
        job.map, job.every
    ))
}
