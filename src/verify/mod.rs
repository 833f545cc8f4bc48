//! What error and what sigma to expect on the user's own images (`shiftmap verify`).
//!
//! A known earthquake is simulated on the images, the chosen method measures it with the chosen settings, and the result is
//! compared with the truth. With two images the later one is displaced, so that everything by which the real dates differ is
//! in the pair ("pre/post-warped"); what smooth misregistration the pair has is measured on the pair as it is and counted as
//! truth. With one image its displaced copy gets the white noise that the image shows ("pre/pre-warped"), fine texture
//! included; real change is not in it.
//!
//! Large scenes are tested on a part ([`part`]): memory does not grow with them.

mod bench;
pub mod noise;
pub mod part;
pub mod quake;
pub mod report;
pub mod smooth;

use serde::Serialize;

use crate::evaluate::compare::{Components, Evaluation, FieldRaster};
use crate::evaluate::stats::{Calibration, ErrorStats};
use crate::evaluate::written;
use crate::field::{PixelShift, Status};
use crate::grid::{Grid, Image, MemoryImage, Window};
use crate::job::{Job, Prepared};
use crate::pipeline;
use crate::progress::Progress;
use crate::raster::{Band, DOMAIN, Line, ProductWriter, write_bands, write_lines};
use crate::synth::field::Field;
use crate::{Error, Result};
use bench::{Bench, Cells};
use part::Part;
use quake::Quake;
use smooth::Quadratic;

/// What `shiftmap verify` is told.
#[derive(Debug, Clone)]
pub struct VerifyJob {
    /// Images and matching; `post` is the pre image again where only one is given.
    pub job: Job,
    /// Whether there is a second image.
    pub two: bool,
    pub quake: Quake,
    /// Signal to noise ratio in decibels in the place of the noise that the image shows; one image only.
    pub snr_db: Option<f64>,
    /// Largest side of the part in pixels.
    pub part: usize,
    /// Cut windows at the simulated trace.
    pub cut_trace: bool,
    /// Limits of the classes of distance to the trace, pixels.
    pub distances: Vec<f64>,
    /// Files for the measured map, the true one and the trace.
    pub map: Option<String>,
    pub truth: Option<String>,
    pub trace: Option<String>,
    /// .md, .json or .png
    pub reports: Vec<String>,
}

/// Default of [`VerifyJob::part`].
pub const PART: usize = 1024;

/// Everything found; errors in pixels of the pre image, east to the right, north up.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    pub pre: String,
    pub post: Option<String>,
    pub part: Part,
    pub method: pipeline::MethodName,
    pub window: (usize, usize),
    pub step: (usize, usize),
    /// Unit of all errors.
    pub unit: &'static str,
    /// Pixel in metres, for projected images.
    pub pixel: Option<(f64, f64)>,
    /// Largest simulated displacement and jump.
    pub largest_displacement: f64,
    pub largest_jump: f64,
    /// White noise added to the displaced copy of each band, as a share of the image's standard deviation; one image only.
    pub noise: Option<Vec<f64>>,
    /// Two images only: the pair as it is.
    pub as_is: Option<AsIs>,
    /// Cells by status.
    pub status: [u64; Status::ALL.len()],
    /// All cells, and by distance to the trace.
    #[serde(flatten)]
    pub result: Evaluation,
    /// Away from the fault.
    pub away: Option<Away>,
    /// Findings on the simulated pair.
    pub facts: Vec<(String, String)>,
}

/// What the two images show without an earthquake.
#[derive(Debug, Clone, Serialize)]
pub struct AsIs {
    /// Mean of the smooth misregistration (right, up), and its largest length in the part.
    pub misregistration: (f64, f64),
    pub largest_misregistration: f64,
    /// About the smooth misregistration.
    pub scatter: Components<ErrorStats>,
    pub calibration: Option<Components<Calibration>>,
    /// NMAD over that of differences between cells one window apart: well above 1 where the pair shows more than noise.
    pub structure: (f64, f64),
}

/// Cells whose windows do not reach the fault.
#[derive(Debug, Clone, Serialize)]
pub struct Away {
    /// Farther than this from the trace, pixels.
    pub distance: f64,
    pub errors: Components<ErrorStats>,
    pub calibration: Option<Components<Calibration>>,
    /// Median of the sigma that the map states, and of that times the factor by which it should be multiplied: what to expect.
    pub stated_sigma: Option<(f64, f64)>,
    pub expected_sigma: Option<(f64, f64)>,
}

/// Structure above this times noise is told.
const STRUCTURE: f64 = 1.5;

impl VerifyJob {
    /// With the command line's defaults.
    pub fn new(pre: &str, post: Option<&str>) -> VerifyJob {
        VerifyJob {
            job: Job::new(pre, post.unwrap_or(pre), ""),
            two: post.is_some(),
            quake: Quake::default(),
            snr_db: None,
            part: PART,
            cut_trace: false,
            distances: crate::evaluate::compare::DISTANCES.to_vec(),
            map: None,
            truth: None,
            trace: None,
            reports: Vec::new(),
        }
    }

    /// Simulates, measures, compares and writes what is asked for.
    ///
    /// # Errors
    /// Those of [`Job::run`]; an earthquake that cannot be; [`Error::Data`] where nothing is measured.
    pub fn run(&self, note: &mut dyn FnMut(&str), progress: &mut dyn Progress) -> Result<Verification> {
        self.check()?;
        let prepared = self.job.prepare(note)?;
        let scene = prepared.pair();
        let size = scene.pre().size();
        let whole = Window::new(0, 0, size.0, size.1);
        let area = match self.job.region {
            None => whole,
            Some(region) => region.intersect(&whole).ok_or_else(|| {
                let value = format!("{} {} {} {}", region.x, region.y, region.width, region.height);
                Error::option("--region", value, format!("the image has {} x {} pixels", size.0, size.1))
            })?,
        };
        let step = prepared.params.step;
        let part = part::choose(scene.pre(), scene.post(), scene.origin, area, step, self.part)?;
        crate::layout::check_window(prepared.params.window, (part.width, part.height))?;
        let pool = crate::threads::pool(self.job.threads)?;
        let bench = Bench::new(self, &prepared, part)?;

        stage(progress, 0.0, "reading")?;
        let (pre, post, origin) = bench.images(&scene)?;
        let mut as_is = None;
        let mut misregistration = Quadratic::zero(bench.size());
        if self.two {
            let mut share = |f: f64, m: &str| progress.report(0.05 + 0.4 * f, m);
            let mut cells = Cells::new(bench.layout.cells);
            bench.measure((&pre, &post, origin), &[], &mut cells, &mut share)?;
            let (found, fitted) = bench.stable(&cells.values)?;
            if found.structure.0.max(found.structure.1) > STRUCTURE {
                note(&format!(
                    "the pair itself shows {:.1} / {:.1} times more structure than noise (east / north): motion, relief or \
                     attitude; it counts as error. Two dates without motion between them make a better test",
                    found.structure.0, found.structure.1
                ));
            }
            misregistration = fitted;
            as_is = Some(found);
        }

        stage(progress, 0.5, "simulating the earthquake")?;
        let pixel = prepared.georef.pixel_metres();
        let spec = self.quake.spec(bench.size(), pixel.map_or(10.0, |p| p.0))?;
        let field = pool.install(|| Field::complete(&spec, bench.part.width, bench.part.height, self.job.seed))?;
        let (later, noise) = pool.install(|| self.later(&field, &pre, &post, origin));
        drop(post);
        let traces = quake::traces(&field, &misregistration);
        if traces.is_empty() && self.cut_trace {
            let why = "the simulated earthquake has no trace in the part; choose another --seed or --magnitude";
            return Err(Error::option("--cut-trace", "YES", why));
        }

        let mut metadata: Vec<(String, String)> =
            prepared.metadata.iter().filter(|(k, _)| k != "COMMAND").cloned().collect();
        metadata.insert(1.min(metadata.len()), ("COMMAND".into(), self.command(&prepared)));
        if self.cut_trace {
            metadata.push(("CUT".into(), "simulated trace".into()));
        }
        let georef = prepared.georef.with_transform(prepared.georef.transform.cells(
            bench.part.x as f64,
            bench.part.y as f64,
            1.0,
            1.0,
        ));
        let writer = |path: &String| {
            ProductWriter::create(path, &bench.layout, &georef, prepared.ground, &metadata, &self.job.write)
        };
        let mut cells = Cells { product: self.map.as_ref().map(writer).transpose()?, ..Cells::new(bench.layout.cells) };
        let cuts: &[Vec<(f64, f64)>] = if self.cut_trace { &traces } else { &[] };
        let mut share = |f: f64, m: &str| progress.report(0.6 + 0.35 * f, m);
        let report = bench.measure((&pre, &later, origin), cuts, &mut cells, &mut share)?;

        let truth = bench.field(|x, y| quake::truth(&field, &misregistration, x, y));
        let estimate = bench.estimate(&cells.values);
        let (result, away) = bench.compare(&estimate, &truth, &traces, &self.distances)?;
        let largest = truth.east.data.iter().zip(&truth.north.data).map(|(e, n)| f64::from(e.hypot(*n)));
        let found = Verification {
            pre: self.job.pre.clone(),
            post: self.two.then(|| self.job.post.clone()),
            part: bench.part.clone(),
            method: prepared.params.method,
            window: prepared.params.window,
            step,
            unit: "px",
            pixel,
            largest_displacement: largest.fold(0.0, f64::max),
            largest_jump: field.largest_jump(),
            noise: (!self.two).then_some(noise),
            as_is,
            status: report.status,
            result,
            away,
            facts: report.facts.clone(),
        };

        if let Some(mut product) = cells.product.take() {
            for (key, value) in &report.facts {
                product.set_metadata(key, value)?;
            }
            product.finish()?;
        }
        self.write_truth(&prepared, &bench, &truth, &traces)?;
        for path in &self.reports {
            let pictures = report::Pictures {
                pre: &pre[0].0,
                post: &later[0].0,
                truth: &truth,
                estimate: &estimate,
                traces: &traces,
                layout: &bench.layout,
            };
            report::write(path, &found, &pictures, self.job.write.overwrite)?;
        }
        progress.report(1.0, "done");
        Ok(found)
    }

    fn check(&self) -> Result<()> {
        if self.part < 64 {
            return Err(Error::option("--part", self.part, "a part is at least 64 pixels wide and high"));
        }
        if self.two && self.snr_db.is_some() {
            let why = "the second image brings its own noise; give only one image, or leave the option away";
            return Err(Error::option("--snr", self.snr_db.unwrap_or(0.0), why));
        }
        if self.snr_db.is_some_and(|v| !(-20.0..=200.0).contains(&v)) {
            return Err(Error::option("--snr", self.snr_db.unwrap_or(0.0), "give decibels from -20 to 200"));
        }
        if !self.distances.iter().all(|d| *d > 0.0) || self.distances.windows(2).any(|d| d[0] >= d[1]) {
            let text = self.distances.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
            return Err(Error::option(
                "--distances",
                text,
                "give limits in pixels above 0 in ascending order, e.g. 5,10,20",
            ));
        }
        self.reports.iter().try_for_each(|path| written::check(path))?;
        let files = self.map.iter().chain(&self.truth).chain(&self.trace).chain(&self.reports);
        let inputs = self.job.inputs();
        let mut seen: Vec<&String> = Vec::new();
        for path in files {
            if inputs.contains(&path.as_str()) || seen.contains(&path) {
                let why = "it is one of the inputs or another result; choose another name".to_string();
                return Err(Error::Write { path: path.clone(), why });
            }
            if !self.job.write.overwrite && std::path::Path::new(path).exists() {
                return Err(Error::Exists(path.into()));
            }
            seen.push(path);
        }
        Ok(())
    }

    /// The later images after the earthquake, and the noise added as a share of each image's standard deviation.
    fn later(
        &self,
        field: &Field,
        pre: &[MemoryImage],
        post: &[MemoryImage],
        origin: (f64, f64),
    ) -> (Vec<MemoryImage>, Vec<f64>) {
        let Some(first) = post.first() else { return (Vec::new(), Vec::new()) };
        let sources = quake::later(field, origin, (first.0.width(), first.0.height()));
        let mut shares = Vec::new();
        let band = |(k, (image, pre)): (usize, (&MemoryImage, &MemoryImage))| {
            let spread = deviation(&pre.0);
            // Two dates differ by the noise of both; the copy brings none of its own.
            let one = match (self.two, self.snr_db) {
                (true, _) => 0.0,
                (false, Some(db)) => spread * 10f64.powf(-db / 20.0),
                (false, None) => noise::white(&pre.0),
            };
            shares.push(if spread > 0.0 { one / spread } else { 0.0 });
            let sigma = one * std::f64::consts::SQRT_2;
            MemoryImage(quake::displaced(&image.0, &sources, sigma, self.job.seed, k as u64))
        };
        (post.iter().zip(pre).enumerate().map(band).collect(), shares)
    }

    /// What repeats the run.
    fn command(&self, prepared: &Prepared) -> String {
        let own = prepared.metadata.iter().find(|(k, _)| k == "COMMAND").map_or("", |(_, v)| v.as_str());
        let head = format!("shiftmap displacement {} {} OUT", self.job.pre, self.job.post);
        let rest = own.strip_prefix(&head).unwrap_or(own).replace(" --split LINES", " --split");
        let post = if self.two { format!(" {}", self.job.post) } else { String::new() };
        let mut text = format!("shiftmap verify {}{post}{rest} --part {}", self.job.pre, self.part);
        let q = &self.quake;
        for (name, value) in [
            ("slip", q.slip),
            ("strike", q.strike),
            ("half-length", q.half_length),
            ("locking-depth", q.locking_depth),
            ("roughness", q.roughness),
            ("magnitude", q.magnitude),
            ("snr", self.snr_db),
        ] {
            if let Some(v) = value {
                text += &format!(" --{name} {v}");
            }
        }
        text += if q.left_lateral { " --left-lateral" } else { "" };
        text + if self.cut_trace { " --cut-trace" } else { "" }
    }

    fn write_truth(
        &self,
        prepared: &Prepared,
        bench: &Bench,
        truth: &FieldRaster,
        traces: &[Vec<(f64, f64)>],
    ) -> Result<()> {
        let overwrite = self.job.write.overwrite;
        let whole = &prepared.georef.transform;
        let (x0, y0) = (bench.part.x as f64, bench.part.y as f64);
        if let Some(path) = &self.truth {
            let ground = |pick: fn(crate::field::GroundShift) -> f64| Grid {
                width: truth.east.width,
                height: truth.east.height,
                data: (truth.east.data.iter().zip(&truth.north.data))
                    .map(|(e, n)| {
                        let d = PixelShift::new(f64::from(*e), -f64::from(*n));
                        pick(prepared.ground.transform.ground(d)) as f32
                    })
                    .collect(),
            };
            let (east, north) = (ground(|g| g.east), ground(|g| g.north));
            let unit = prepared.ground.unit;
            let bands = [
                Band { description: "East displacement", unit, values: &east },
                Band { description: "North displacement", unit, values: &north },
            ];
            let step = format!("{}x{}", bench.layout.step.0, bench.layout.step.1);
            let metadata = [
                (DOMAIN, "VERSION", crate::VERSION),
                (DOMAIN, "COMMAND", &self.command(prepared)),
                (DOMAIN, "STEP", &step),
                (DOMAIN, "UNITS", unit),
            ];
            let cells = bench.layout.geotransform(&whole.cells(x0, y0, 1.0, 1.0));
            write_bands(path, &bands, Some(&prepared.georef.with_transform(cells)), &metadata, overwrite)?;
        }
        if let Some(path) = &self.trace {
            let place = |p: &(f64, f64)| whole.map(p.0 + x0 + 0.5, p.1 + y0 + 0.5);
            let line = |l: &Vec<(f64, f64)>| Line { points: l.iter().map(place).collect(), attributes: Vec::new() };
            let lines: Vec<Line> = traces.iter().map(line).collect();
            write_lines(path, "trace", &lines, prepared.georef.crs.as_ref(), overwrite)?;
        }
        Ok(())
    }
}

/// Reports the fraction done and turns a request to stop into an error.
fn stage(progress: &mut dyn Progress, done: f64, what: &str) -> Result<()> {
    match progress.report(done, what) {
        true => Ok(()),
        false => Err(Error::Cancelled),
    }
}

fn deviation(image: &Image) -> f64 {
    let values = image.values.data.iter().zip(&image.valid.data).filter(|(_, ok)| **ok).map(|(v, _)| f64::from(*v));
    let (n, sum, squares) = values.fold((0.0, 0.0, 0.0), |(n, s, q), v| (n + 1.0, s + v, q + v * v));
    if n > 0.0 { (squares / n - (sum / n).powi(2)).max(0.0).sqrt() } else { 0.0 }
}
