//! The precision map of a pair (`shiftmap precision`): the standard deviation that matching could reach in each cell,
//! before anything is matched there.

use crate::field::{Measurement, Status};
use crate::grid::{Grid, Window};
use crate::job::Job;
use crate::pipeline::{self, FieldSink, MethodName, Params, Report, SigmaScale};
use crate::progress::Progress;
use crate::raster::{BandSpec, DOMAIN, Ground, PixelType, RasterSpec, RasterWriter, status_metadata};
use crate::{Error, Result};

/// Band descriptions of a precision map, in order; Float32 with NaN as nodata.
pub const BANDS: [&str; 3] = ["East sigma", "North sigma", "Status"];

/// What was written.
#[derive(Debug, Clone)]
pub struct Summary {
    pub output: String,
    /// Columns and rows.
    pub size: (usize, usize),
    pub unit: &'static str,
    /// Median of the finite East and North sigma.
    pub median: Option<(f64, f64)>,
    pub report: Report,
}

/// Writes the map. Of `job` everything counts that describes images, windows and output; how it would match does not.
///
/// # Errors
/// Everything in [`Error`]; nothing is left behind then.
pub fn run(job: &Job, note: &mut dyn FnMut(&str), progress: &mut dyn Progress) -> Result<Summary> {
    let mut job = job.clone();
    job.params = Params {
        method: MethodName::Precision,
        reject_outliers: false,
        backward: None,
        larger_windows: Vec::new(),
        sigma_scale: SigmaScale::One,
        ..job.params
    };
    let prepared = job.prepare(note)?;
    job.check_output()?;
    let layout = &prepared.layout;
    let spec = RasterSpec {
        size: (layout.region.width, layout.region.height),
        pixel: PixelType::F32,
        bands: (0..BANDS.len()).map(|i| band(i, prepared.ground.unit)).collect(),
        georef: prepared.georef.with_transform(layout.geotransform(&prepared.georef.transform)),
        block: layout.tile_cells(),
        metadata: prepared.metadata.iter().map(|(k, v)| (DOMAIN.into(), k.clone(), v.clone())).collect(),
    };
    let writer = RasterWriter::create(&job.out, spec, &job.write)?;
    let mut sink = Sink { writer, ground: prepared.ground, region: layout.region, sigmas: [Vec::new(), Vec::new()] };
    let mut measuring = |fraction: f64, message: &str| progress.report(0.99 * fraction, message);
    let report = pipeline::run(&prepared.pair(), layout, &prepared.params, job.threads, &mut sink, &mut measuring)?;
    for (key, value) in &report.facts {
        sink.writer.set_metadata(DOMAIN, key, value)?;
    }
    if !progress.report(0.99, "writing") {
        return Err(Error::Cancelled);
    }
    let median = sink.medians();
    sink.writer.finish()?;
    progress.report(1.0, "done");
    let size = (layout.region.width, layout.region.height);
    Ok(Summary { output: job.out.clone(), size, unit: prepared.ground.unit, median, report })
}

fn band(index: usize, unit: &str) -> BandSpec {
    BandSpec {
        description: BANDS[index].into(),
        unit: if index < 2 { unit.into() } else { String::new() },
        nodata: Some(f64::NAN),
        metadata: if index == 2 { status_metadata() } else { Vec::new() },
    }
}

struct Sink {
    writer: RasterWriter,
    ground: Ground,
    region: Window,
    /// Histograms of log2 sigma in sixteenths, offset by [`MIDDLE`].
    sigmas: [Vec<u64>; 2],
}

/// The bin of sigma 1 and the number of bins: from 2^-32 to 2^32.
const MIDDLE: f64 = 512.0;
const BINS: usize = 1024;

impl Sink {
    /// Medians from the histograms, to 2 %: memory must not grow with the map.
    fn medians(&self) -> Option<(f64, f64)> {
        let middle = |bins: &Vec<u64>| {
            let total: u64 = bins.iter().sum();
            let mut seen = 0;
            bins.iter().position(|n| {
                seen += n;
                total > 0 && 2 * seen >= total
            })
        };
        let value = |bin: usize| ((bin as f64 + 0.5 - MIDDLE) / 16.0).exp2();
        Some((value(middle(&self.sigmas[0])?), value(middle(&self.sigmas[1])?)))
    }
}

impl FieldSink for Sink {
    fn write(&mut self, cells: Window, measurements: &Grid<Measurement>) -> Result<()> {
        let mut bands: [Vec<f32>; 3] = Default::default();
        self.sigmas.iter_mut().for_each(|s| s.resize(BINS, 0));
        for m in &measurements.data {
            let sigma = match m.status {
                Status::Valid => self.ground.transform.ground_sigma(m.covariance),
                _ => (f64::NAN, f64::NAN),
            };
            for (bins, s) in self.sigmas.iter_mut().zip([sigma.0, sigma.1]) {
                if s > 0.0 {
                    bins[((16.0 * s.log2() + MIDDLE).floor().clamp(0.0, BINS as f64 - 1.0)) as usize] += 1;
                }
            }
            bands[0].push(sigma.0 as f32);
            bands[1].push(sigma.1 as f32);
            bands[2].push(f32::from(m.status as u8));
        }
        let (x, y) = ((cells.x - self.region.x) as usize, (cells.y - self.region.y) as usize);
        let bands: Vec<&[f32]> = bands.iter().map(Vec::as_slice).collect();
        self.writer.write(x, y, cells.width, cells.height, &bands)
    }
}
