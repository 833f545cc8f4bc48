//! `shiftmap synth insar`

use crate::cli::common::{Common, ThreadArgs, Two};
use crate::cli::ui::Ui;
use crate::raster::OutputFolder;
use crate::synth::insar::arrays::Contents;
use crate::synth::insar::files::{FILES, write};
use crate::synth::insar::ground::Rasters;
use crate::synth::insar::scene::Scene;
use crate::synth::insar::set::{InsarSetSpec, SetFormat, make};
use crate::synth::insar::spec::{AtmosphereKind, FLICKER, InsarSpec, Range, SlipKind, SourceKind};
use crate::{Error, Result};
use clap::ValueEnum;

/// Interferograms and GNSS series of a simulated event, with the three-dimensional displacement known everywhere.
///
/// A fault slips in an elastic half-space under a landscape; an ascending and a descending radar satellite see it through two
/// atmospheres each, and GNSS stations with daily positions. Writes into OUTDIR: los-ascending.tif and los-descending.tif (m,
/// positive towards the satellite, NaN where nothing is measured), unit-ascending.tif and unit-descending.tif (east, north, up
/// of the unit vector to the satellite), dem.tif, gnss.csv (steps of the stations with sigma), gnss-series.csv (daily positions),
/// truth.tif (east, north, up), event.json (every parameter) and overview.png. Ranges are those from which each event draws.
///
/// With --count a set of such events for training: folders, or archives of arrays, in train/, validation/ and test/, with
/// index.json, card.json (what the arrays mean), set.json and overview.png. A stopped run goes on when the command is repeated.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  A slip event on a subduction interface:
    shiftmap synth insar quake --seed 3
  An earthquake in the crust, magnitude 6.5, pixels of 500 m, without any noise:
    shiftmap synth insar clean --source crustal --magnitude 6.5 6.5 --pixel 500 --noiseless
  On your own elevation model and lines of sight:
    shiftmap synth insar mine --dem dem.tif --unit asc.tif desc.tif
  Four thousand events for training:
    shiftmap synth insar train --count 4000 --format shards --source mixed --slip mixed")]
pub struct InsarArgs {
    /// Folder for the results, new or existing (for a set: new, empty, or of the same set when it was stopped)
    outdir: String,

    /// Size in pixels
    #[arg(long, value_name = "N[xM]", default_value = "128", help_heading = "Frame")]
    size: Two<usize>,

    /// Pixel size in metres
    #[arg(long, value_name = "M", default_value_t = 2000.0, help_heading = "Frame")]
    pixel: f64,

    /// Elevation model in metres, with a projected CRS: frames lie anywhere within it, 6 pixels from its edges; nodata, and land
    /// nearer than 6 pixels to it, is water
    #[arg(long, value_name = "FILE", help_heading = "Frame")]
    dem: Option<String>,

    /// Unit vectors to the satellite (three bands: east, north, up) of the ascending and the descending track
    #[arg(long, num_args = 2, value_names = ["ASC", "DESC"], action = clap::ArgAction::Set, help_heading = "Frame")]
    unit: Option<Vec<String>>,

    /// Height that 1 % of the land exceeds, m
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [500.0, 3500.0], action = clap::ArgAction::Set, help_heading = "Frame")]
    relief: Vec<f64>,

    /// Share of the frame under water
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [0.0, 0.4], action = clap::ArgAction::Set, help_heading = "Frame")]
    water: Vec<f64>,

    /// Kind of fault: interface of a subduction zone, fault in the crust, or half of the events each
    #[arg(long, value_enum, default_value = "megathrust", help_heading = "Source")]
    source: SourceArg,

    /// Slip: one rectangle, a tapered fractal distribution, or half of the events each
    #[arg(long, value_enum, default_value = "uniform", help_heading = "Source")]
    slip: SlipArg,

    /// Magnitude [default: 5.8 7.2 on the megathrust, 5.5 6.8 in the crust]
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], action = clap::ArgAction::Set, help_heading = "Source")]
    magnitude: Option<Vec<f64>>,

    /// Direction of the trench, the plate dips to its right; faults are within 10 degrees of it [default: any]
    #[arg(long, value_name = "DEG", allow_hyphen_values = true, help_heading = "Source")]
    trench: Option<f64>,

    /// Share of events that slip slowly
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, help_heading = "Source")]
    slow_slip: f64,

    /// How long slow events take, days
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [5.0, 30.0], action = clap::ArgAction::Set, help_heading = "Source")]
    slow_days: Vec<f64>,

    /// Draw events again that move no pixel this much, mm
    #[arg(long, value_name = "MM", default_value_t = 1.0, help_heading = "Source")]
    smallest: f64,

    /// Poisson's ratio of the ground
    #[arg(long, value_name = "NU", default_value_t = 0.25, help_heading = "Source")]
    poisson: f64,

    /// Direction of flight, degrees clockwise from north: ascending and descending [default: -15 to -10 and -170 to -165]
    #[arg(long, num_args = 2, value_names = ["ASC", "DESC"], action = clap::ArgAction::Set, allow_hyphen_values = true, help_heading = "Tracks")]
    heading: Option<Vec<f64>>,

    /// Incidence angle at the middle of the frame, degrees: ascending and descending [default: 33 to 43]
    #[arg(long, num_args = 2, value_names = ["ASC", "DESC"], action = clap::ArgAction::Set, help_heading = "Tracks")]
    incidence: Option<Vec<f64>>,

    /// Height of the satellites, km: decides how the incidence angle varies over the frame
    #[arg(long, value_name = "KM", default_value_t = 693.0, help_heading = "Tracks")]
    orbit: f64,

    /// Share of tracks of which an edge of the swath crosses the frame
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, help_heading = "Tracks")]
    edge: f64,

    /// Share of events that only one of the tracks saw
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, help_heading = "Tracks")]
    single_track: f64,

    /// Share of the land without coherence
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [0.0, 0.3], action = clap::ArgAction::Set, help_heading = "Tracks")]
    decorrelated: Vec<f64>,

    /// Delay that grows with height: its standard deviation for each date, mm/km
    #[arg(long, value_name = "MM", default_value_t = 10.0, help_heading = "Noise of interferograms")]
    topography: f64,

    /// Smooth variation of that over the frame, as a share
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, help_heading = "Noise of interferograms")]
    topography_variation: f64,

    /// Ramps: standard deviation across the frame for each date, mm
    #[arg(long, value_name = "MM", default_value_t = 10.0, help_heading = "Noise of interferograms")]
    ramp: f64,

    /// Kind of turbulence: covariance exp(-r / length), power spectrum k^(-8/3), or half of the dates each
    #[arg(long, value_enum, default_value = "exponential", help_heading = "Noise of interferograms")]
    atmosphere: AtmosphereArg,

    /// Turbulence of each date: standard deviation, mm
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [3.0, 10.0], action = clap::ArgAction::Set, help_heading = "Noise of interferograms")]
    atmosphere_sigma: Vec<f64>,

    /// Correlation length, km
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [5.0, 25.0], action = clap::ArgAction::Set, help_heading = "Noise of interferograms")]
    atmosphere_length: Vec<f64>,

    /// White noise of an interferogram, mm
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [1.0, 3.0], action = clap::ArgAction::Set, help_heading = "Noise of interferograms")]
    white: Vec<f64>,

    /// Number of stations
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [10, 80], action = clap::ArgAction::Set, help_heading = "GNSS")]
    stations: Vec<usize>,

    /// Share of the stations that stand in clusters
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [0.0, 0.6], action = clap::ArgAction::Set, help_heading = "GNSS")]
    clustered: Vec<f64>,

    /// Share of networks with a region without stations
    #[arg(long, value_name = "SHARE", default_value_t = 0.3, help_heading = "GNSS")]
    network_gap: f64,

    /// Length of the series, days
    #[arg(long, value_name = "N", default_value_t = 121, help_heading = "GNSS")]
    days: usize,

    /// First day with the displacement
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [40, 80], action = clap::ArgAction::Set, help_heading = "GNSS")]
    event_day: Vec<usize>,

    /// Days before and after the event whose means give the step
    #[arg(long, value_name = "N", default_value_t = 30, help_heading = "GNSS")]
    step_window: usize,

    /// White noise, mm: lowest and highest of the horizontal components, then of the vertical one
    #[arg(long, num_args = 4, value_names = ["LOW", "HIGH", "LOW_UP", "HIGH_UP"], default_values_t = [1.0, 2.0, 3.0, 6.0], action = clap::ArgAction::Set, help_heading = "GNSS")]
    gnss_white: Vec<f64>,

    /// Random walk, mm per square root of a year, likewise
    #[arg(long, num_args = 4, value_names = ["LOW", "HIGH", "LOW_UP", "HIGH_UP"], default_values_t = [0.5, 1.5, 1.0, 4.0], action = clap::ArgAction::Set, help_heading = "GNSS")]
    gnss_walk: Vec<f64>,

    /// Add flicker noise: 2 to 6 mm per fourth root of a year, 8 to 18 vertical
    #[arg(long, help_heading = "GNSS")]
    flicker: bool,

    /// Daily noise that all stations share, mm
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [0.5, 2.0], action = clap::ArgAction::Set, help_heading = "GNSS")]
    gnss_common: Vec<f64>,

    /// Share of missing days
    #[arg(long, value_name = "SHARE", default_value_t = 0.03, help_heading = "GNSS")]
    missing: f64,

    /// Without noise, ground without coherence, edges and missing days
    #[arg(long, help_heading = "Noise of interferograms")]
    noiseless: bool,

    /// Make a set of that many events
    #[arg(long, value_name = "N", help_heading = "Sets")]
    count: Option<usize>,

    /// tif: a folder an event; shards: archives of many events
    #[arg(long, value_enum, default_value = "shards", requires = "count", help_heading = "Sets")]
    format: FormatArg,

    /// Arrays of a shard: observations and truth; solutions of `combine` by wls and sistem; inputs of networks
    #[arg(
        long,
        value_enum,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "observations,solutions,inputs",
        requires = "count",
        help_heading = "Sets"
    )]
    arrays: Vec<ArraysArg>,

    /// Events in a shard
    #[arg(long, value_name = "N", default_value_t = 64, requires = "count", help_heading = "Sets")]
    shard: usize,

    /// Shares of the events in train, validation and test
    #[arg(
        long,
        value_name = "A,B,C",
        value_delimiter = ',',
        default_value = "0.8,0.1,0.1",
        requires = "count",
        help_heading = "Sets"
    )]
    split: Vec<f64>,

    /// Replace files of the same name in OUTDIR
    #[arg(long, help_heading = "Output options")]
    overwrite: bool,

    /// Seed of everything random; the same seed and options give the same files
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Common options")]
    seed: u64,

    #[command(flatten)]
    threads: ThreadArgs,

    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SourceArg {
    Megathrust,
    Crustal,
    Mixed,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SlipArg {
    Uniform,
    Variable,
    Mixed,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AtmosphereArg {
    Exponential,
    Turbulence,
    Mixed,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    Tif,
    Shards,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum ArraysArg {
    /// What was measured
    Observations,
    /// East, north, up and their sigma by both classical methods
    Solutions,
    /// What networks of the kind insar_gnss are given, in float16
    Inputs,
}

pub fn run(args: &InsarArgs, ui: &Ui) -> Result<()> {
    let spec = args.spec();
    let units = match args.unit.as_deref() {
        Some([a, b]) => [Some(a.as_str()), Some(b.as_str())],
        _ => [None; 2],
    };
    spec.check()?;
    let rasters = Rasters::open(args.dem.as_deref(), units)?;
    if args.count.is_some() {
        return run_set(args, spec, &rasters, ui);
    }
    let pool = crate::threads::pool(args.threads.count())?;
    let folder = OutputFolder::new(&args.outdir, &FILES, args.overwrite)?;
    let mut progress = ui.progress();
    let scene = pool.install(|| Scene::new(&spec, rasters.ground(&spec, args.seed)?, args.seed))?;
    use crate::progress::Progress;
    if !progress.report(0.8, "files") {
        return Err(Error::Cancelled);
    }
    write(&folder, &scene, &spec)?;
    if !progress.report(1.0, "done") {
        return Err(Error::Cancelled);
    }
    folder.commit()?;
    ui.print_json(&serde_json::json!({ "output": args.outdir, "event": scene.record }))
}

fn run_set(args: &InsarArgs, event: InsarSpec, rasters: &Rasters, ui: &Ui) -> Result<()> {
    let split: [f64; 3] =
        args.split.as_slice().try_into().map_err(|_| {
            Error::option("--split", format!("{:?}", args.split), "give three shares, e.g. 0.8,0.1,0.1")
        })?;
    let spec = InsarSetSpec {
        event,
        count: args.count.unwrap_or(1),
        seed: args.seed,
        format: match args.format {
            FormatArg::Tif => SetFormat::Tif,
            FormatArg::Shards => SetFormat::Shards,
        },
        arrays: Contents {
            observations: args.arrays.contains(&ArraysArg::Observations),
            solutions: args.arrays.contains(&ArraysArg::Solutions),
            inputs: args.arrays.contains(&ArraysArg::Inputs),
        },
        shard: args.shard,
        split,
        rasters: args.dem.iter().chain(args.unit.iter().flatten()).cloned().collect(),
    };
    let mut progress = ui.progress();
    let summary = make(&spec, rasters, &args.outdir, args.threads.count(), &mut progress)?;
    drop(progress);
    let [train, validation, test] = summary.split;
    ui.print(&format!(
        "{}: {} events in {} files ({} were there): {train} train, {validation} validation, {test} test",
        summary.output, summary.events, summary.files, summary.kept
    ));
    ui.print_json(&summary)
}

impl InsarArgs {
    fn spec(&self) -> InsarSpec {
        let range = |v: &[f64], factor: f64| (factor * v[0], factor * v[1]);
        let four = |v: &[f64]| [range(&v[..2], 1e-3), range(&v[2..], 1e-3)];
        let fixed = |given: &Option<Vec<f64>>, drawn: [Range; 2]| match given.as_deref() {
            Some(v) => [(v[0], v[0]), (v[1], v[1])],
            None => drawn,
        };
        let mut spec = InsarSpec { size: (self.size.0, self.size.1), pixel: self.pixel, ..Default::default() };
        let source = &mut spec.source;
        source.kind = match self.source {
            SourceArg::Megathrust => SourceKind::Megathrust,
            SourceArg::Crustal => SourceKind::Crustal,
            SourceArg::Mixed => SourceKind::Mixed,
        };
        source.slip = match self.slip {
            SlipArg::Uniform => SlipKind::Uniform,
            SlipArg::Variable => SlipKind::Variable,
            SlipArg::Mixed => SlipKind::Mixed,
        };
        source.magnitude = self.magnitude.as_deref().map(|m| range(m, 1.0));
        source.trench_deg = self.trench;
        (source.slow, source.slow_days) = (self.slow_slip, range(&self.slow_days, 1.0));
        (source.smallest, source.poisson) = (1e-3 * self.smallest, self.poisson);
        let tracks = &mut spec.tracks;
        tracks.heading_deg = fixed(&self.heading, tracks.heading_deg);
        tracks.incidence_deg = fixed(&self.incidence, tracks.incidence_deg);
        (tracks.orbit, tracks.edge, tracks.single) = (1e3 * self.orbit, self.edge, self.single_track);
        let noise = &mut spec.noise;
        (noise.topography, noise.topography_variation) = (1e-6 * self.topography, self.topography_variation);
        noise.ramp = 1e-3 * self.ramp;
        noise.kind = match self.atmosphere {
            AtmosphereArg::Exponential => AtmosphereKind::Exponential,
            AtmosphereArg::Turbulence => AtmosphereKind::Turbulence,
            AtmosphereArg::Mixed => AtmosphereKind::Mixed,
        };
        (noise.sigma, noise.lambda) = (range(&self.atmosphere_sigma, 1e-3), range(&self.atmosphere_length, 1e3));
        noise.white = range(&self.white, 1e-3);
        (spec.cover.water, spec.cover.decorrelated) = (range(&self.water, 1.0), range(&self.decorrelated, 1.0));
        spec.terrain.relief = range(&self.relief, 1.0);
        let network = &mut spec.network;
        network.stations = (self.stations[0], self.stations[1]);
        (network.clustered, network.gap) = (range(&self.clustered, 1.0), self.network_gap);
        let series = &mut spec.series;
        series.days = self.days;
        series.event_day = (self.event_day[0], self.event_day[1]);
        series.window = self.step_window;
        (series.white, series.walk) = (four(&self.gnss_white), four(&self.gnss_walk));
        series.flicker = self.flicker.then_some(FLICKER);
        (series.common, series.missing) = (range(&self.gnss_common, 1e-3), self.missing);
        if self.noiseless { spec.noiseless() } else { spec }
    }
}
