//! `shiftmap synth`

mod dataset;
mod faults;
mod field;
mod insar;

use super::common::{Common, ThreadArgs, Two};
use super::ui::Ui;
use crate::grid::{Image, ImageFile, Window};
use crate::raster::{GeoReference, NoData, OpenOptions, OutputFolder, RasterBand, Units};
use crate::synth::event::View;
use crate::synth::fault::FaultSpec;
use crate::synth::field::{EarthquakeSpec, FieldSpec};
use crate::synth::files;
use crate::synth::pair::{PairSpec, Preset, SynthPair, make_pair_from, make_pair_of_faults, make_pair_with};
use crate::synth::rupture::Wishes;
use crate::synth::sar::SarSpec;
use crate::{Error, Result};
use clap::{Subcommand, ValueEnum};

/// Make test data with exactly known displacement.
#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    Pair(Box<PairArgs>),
    Field(Box<field::FieldArgs>),
    Dataset(Box<dataset::DatasetArgs>),
    Insar(Box<insar::InsarArgs>),
}

impl Args {
    pub fn common(&self) -> &Common {
        match &self.what {
            What::Pair(a) => &a.common,
            What::Field(a) => &a.common,
            What::Dataset(a) => &a.common,
            What::Insar(a) => &a.common,
        }
    }
}

/// A pair of images, procedural or made of your own image, with the displacement known at every pixel.
///
/// Writes into OUTDIR: pre.tif and post.tif (UInt16), truth.tif (East and North displacement on the pre grid),
/// trace.gpkg (the fault, when there is one) and spec.json (every parameter and the seed). A feature at x in pre.tif is
/// at x + d(x) in post.tif; east and north are positive. The images are displaced with an error below 0.0003 pixels.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  An earthquake as an optical satellite sees it, with noise, change and shading; then measure it and compare:
    shiftmap synth pair quake --preset real
    shiftmap displacement quake/pre.tif quake/post.tif quake/map.tif
    shiftmap evaluate quake/map.tif quake/truth.tif --trace quake/trace.gpkg
  The same earthquake on your own image, no noise, largest jump 3 pixels:
    shiftmap synth pair mine --image scene.tif --band 4 --slip 3
  An earthquake of magnitude 7 on a rough fault, 15 m pixels, scaled to 2 pixels at most:
    shiftmap synth pair big --field earthquake --magnitude 7 --pixel 15 --largest 2
  A mapped rupture, 3 m right-lateral down to 12 km, on your own image in map coordinates:
    shiftmap synth pair event --image scene.tif --faults rupture.gpkg --fault-slip 3 --fault-rake 180 --fault-bottom 12000
  A uniform shift of 0.3 pixels right and 0.2 up, 1 % noise:
    shiftmap synth pair shift --field uniform --dx 0.3 --dy -0.2 --snr 40
  Your two images of different dates, without motion between them, the second one displaced:
    shiftmap synth pair dates --image july.tif --post august.tif --field fault")]
pub struct PairArgs {
    /// Folder for the results, new or existing
    outdir: String,

    /// Ready-made kind of pair; single options change parts of it
    #[arg(long, value_enum)]
    preset: Option<PresetArg>,

    /// Size of a procedural image in pixels
    #[arg(long, value_name = "N[xM]", default_value = "1024", help_heading = "Image")]
    size: Two<usize>,

    /// Use this image instead of a procedural one
    #[arg(long, value_name = "FILE", help_heading = "Image", conflicts_with_all = ["size", "pixel"])]
    image: Option<String>,

    /// Displace this image of another date and leave --image as it is (same grid, no motion between the two)
    #[arg(long, value_name = "FILE", requires = "image", help_heading = "Image")]
    post: Option<String>,

    /// Band number in both images
    #[arg(short = 'b', long, value_name = "N", default_value_t = 1, requires = "image", help_heading = "Image")]
    band: usize,

    /// Use only this part of the image, in pixels: offset x y, size x y
    #[arg(long, num_args = 4, action = clap::ArgAction::Set, value_names = ["XOFF", "YOFF", "XSIZE", "YSIZE"], requires = "image", help_heading = "Image")]
    region: Option<Vec<usize>>,

    /// Pixel size of a procedural image in metres
    #[arg(long, value_name = "M", default_value_t = 10.0, help_heading = "Image")]
    pixel: f64,

    /// Kind of displacement [default: that of the preset, or fault]
    #[arg(long, value_enum, help_heading = "Displacement, pixels")]
    field: Option<FieldArg>,

    /// Uniform shift to the right, added to every field
    #[arg(long, value_name = "PX", allow_hyphen_values = true, help_heading = "Displacement, pixels")]
    dx: Option<f64>,

    /// Uniform shift downwards, added to every field
    #[arg(long, value_name = "PX", allow_hyphen_values = true, help_heading = "Displacement, pixels")]
    dy: Option<f64>,

    /// Ramp: growth per pixel of dx to the right, dx downwards, dy to the right, dy downwards
    #[arg(long, num_args = 4, action = clap::ArgAction::Set, value_names = ["XX", "XY", "YX", "YY"], allow_negative_numbers = true, help_heading = "Displacement, pixels")]
    ramp: Option<Vec<f64>>,

    /// Largest value of an additional smooth field
    #[arg(long, value_name = "PX", help_heading = "Displacement, pixels")]
    smooth: Option<f64>,

    /// Largest jump across the fault
    #[arg(long, value_name = "PX", allow_hyphen_values = true, help_heading = "Displacement, pixels")]
    slip: Option<f64>,

    /// Direction of the fault, degrees clockwise from up
    #[arg(long, value_name = "DEG", allow_hyphen_values = true, help_heading = "Displacement, pixels")]
    strike: Option<f64>,

    /// Half the length of the rupture
    #[arg(long, value_name = "PX", help_heading = "Displacement, pixels")]
    half_length: Option<f64>,

    /// Depth to which the fault slipped: how far from it the ground still moves
    #[arg(long, value_name = "PX", help_heading = "Displacement, pixels")]
    locking_depth: Option<f64>,

    /// Roughness of the trace: root mean square deviation from a line, as a share of its length
    #[arg(long, value_name = "SHARE", help_heading = "Displacement, pixels")]
    roughness: Option<f64>,

    /// The other side of the fault moved to the left, not to the right
    #[arg(long, help_heading = "Displacement, pixels")]
    left_lateral: bool,

    /// Magnitude of the earthquake [default: drawn, 6 to 7.8]
    #[arg(long, value_name = "MW", help_heading = "Earthquake")]
    magnitude: Option<f64>,

    /// Direction of its slip on the fault, degrees: 0 left lateral, 90 reverse, 180 right lateral [default: drawn]
    #[arg(long, value_name = "DEG", allow_hyphen_values = true, help_heading = "Earthquake")]
    rake: Option<f64>,

    /// Dip of its fault, degrees [default: drawn, steep]
    #[arg(long, value_name = "DEG", help_heading = "Earthquake")]
    dip: Option<f64>,

    /// Part of it that the image shows [default: drawn]
    #[arg(long, value_enum, help_heading = "Earthquake")]
    view: Option<ViewArg>,

    /// Scale the displacement to this largest length in pixels [default: as the magnitude gives it]
    #[arg(long, value_name = "PX", help_heading = "Earthquake")]
    largest: Option<f64>,

    #[command(flatten)]
    faults: faults::FaultArgs,

    /// White noise on both images: signal to noise ratio in decibels (20: 10 %, 40: 1 %)
    #[arg(long, value_name = "DB", help_heading = "Differences between the dates")]
    snr: Option<f64>,

    /// Correlation of the ground on the two dates; the rest changes with the ground's own spectrum
    #[arg(long, value_name = "0..1", help_heading = "Differences between the dates")]
    rho: Option<f64>,

    /// Share of the area in patches that show something else in the post image
    #[arg(long, value_name = "0..1", help_heading = "Differences between the dates")]
    change: Option<f64>,

    /// Factor on the brightness of the post image
    #[arg(long, value_name = "FACTOR", help_heading = "Differences between the dates")]
    gain: Option<f64>,

    /// Added brightness of the post image, as a share of the mean
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, help_heading = "Differences between the dates")]
    bias: Option<f64>,

    /// Smooth illumination change: standard deviation as a share of the brightness
    #[arg(long, value_name = "SHARE", help_heading = "Differences between the dates")]
    shading: Option<f64>,

    /// Share of the area where dark and bright are exchanged in the post image
    #[arg(long, value_name = "0..1", help_heading = "Differences between the dates")]
    reversed: Option<f64>,

    /// Share of the post image under clouds, whose shadows lie beside them
    #[arg(long, value_name = "0..1", help_heading = "Differences between the dates")]
    clouds: Option<f64>,

    /// Blur of the post image: standard deviation of a Gaussian
    #[arg(long, value_name = "PX", help_heading = "Differences between the dates")]
    blur: Option<f64>,

    /// Detector stripes of the post image: standard deviation as a share of the scene's
    #[arg(long, value_name = "SHARE", help_heading = "Differences between the dates")]
    stripes: Option<f64>,

    /// Radar amplitude image: coherence of the speckle of the two dates
    #[arg(long, value_name = "0..1", conflicts_with = "image", help_heading = "Radar")]
    coherence: Option<f64>,

    /// Radar amplitude image: number of looks averaged
    #[arg(long, value_name = "N", conflicts_with = "image", help_heading = "Radar")]
    looks: Option<usize>,

    /// Radar amplitude image: occupied share of the sampled bandwidth
    #[arg(long, value_name = "0..1", conflicts_with = "image", help_heading = "Radar")]
    bandwidth: Option<f64>,

    /// Unit of truth.tif [default: m for a projected CRS, px for images without one]
    #[arg(long, value_enum, help_heading = "Output options")]
    units: Option<UnitsArg>,

    /// Replace files of the same name in OUTDIR
    #[arg(long, help_heading = "Output options")]
    overwrite: bool,

    /// Seed of everything random; the same seed gives the same pixels
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Common options")]
    seed: u64,

    #[command(flatten)]
    threads: ThreadArgs,

    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PresetArg {
    /// Fault, 1 % noise
    Low,
    /// Fault and smooth field, 10 % noise, change everywhere, changed patches, gain, shading
    Real,
    /// Fault, one-look radar amplitude of coherence 0.6
    Sar,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum FieldArg {
    /// The same shift everywhere (--dx, --dy)
    Uniform,
    /// Linear growth from the middle of the image (--ramp)
    Ramp,
    /// A strike-slip fault with a rough trace: simple and exactly known everywhere
    Fault,
    /// An earthquake of a given magnitude: rough fault surfaces, fractal slip, elastic half-space
    Earthquake,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ViewArg {
    /// The fault crosses the image
    Trace,
    /// An end of the rupture
    Tip,
    /// Ground beside the fault
    Far,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum UnitsArg {
    /// Metres
    M,
    /// Pixels, +right and +up
    Px,
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    match &args.what {
        What::Pair(a) => run_pair(a, ui),
        What::Field(a) => field::run(a, ui),
        What::Dataset(a) => dataset::run(a, ui),
        What::Insar(a) => insar::run(a, ui),
    }
}

fn run_pair(args: &PairArgs, ui: &Ui) -> Result<()> {
    let pool = crate::threads::pool(args.threads.count())?;
    let folder = OutputFolder::new(&args.outdir, &files::FILES, args.overwrite)?;
    let base = args.image.as_ref().map(|path| Base::read(path, args)).transpose()?;
    let size = base.as_ref().map_or((args.size.0, args.size.1), |b| (b.pre.width(), b.pre.height()));
    let pixel = base.as_ref().and_then(|b| b.georef.pixel_metres()).map_or(args.pixel, |p| p.0);
    let spec = args.spec(size, pixel)?;
    let georef = match &base {
        Some(base) => base.georef.clone(),
        None if args.pixel > 0.0 && args.pixel.is_finite() => files::procedural_georef(args.pixel)?,
        None => return Err(Error::option("--pixel", args.pixel, "a pixel size is above 0")),
    };
    let units = match args.units {
        None => Units::Auto,
        Some(UnitsArg::M) => Units::Metres,
        Some(UnitsArg::Px) => Units::Pixels,
    };
    let ground = georef.ground(units, args.image.as_deref().unwrap_or("the image"), size)?;
    let mut progress = ui.progress();
    let (pair, origin) = pool.install(|| -> Result<(SynthPair, serde_json::Value)> {
        Ok(match &base {
            Some(b) => {
                let (pre, post) = (&b.pre, b.post.as_ref().unwrap_or(&b.pre));
                let mut record = b.record();
                let pair = match args.faults.field(&b.georef, size, &b.names.0)? {
                    Some((field, faults)) => {
                        record["faults"] = faults;
                        make_pair_of_faults(&spec, pre, post, &field, &mut progress)?
                    }
                    None => make_pair_from(&spec, pre, post, &mut progress)?,
                };
                (pair, record)
            }
            None => (make_pair_with(&spec, &mut progress)?, serde_json::json!("procedural scene")),
        })
    })?;
    files::write(&folder, &pair, &spec, &georef, ground, &origin)?;
    use crate::progress::Progress;
    if !progress.report(1.0, "done") {
        return Err(Error::Cancelled);
    }
    folder.commit()?;
    let summary = serde_json::json!({
        "output": args.outdir,
        "size": [pair.pre.width, pair.pre.height],
        "unit": ground.unit,
        "image_correlation": pair.correlation(),
        "largest_displacement_px": largest(&pair),
        "pair": spec,
    });
    ui.print_json(&summary)
}

/// Largest displacement in pixels.
fn largest(pair: &SynthPair) -> f64 {
    let lengths = pair.truth_dx.data.iter().zip(&pair.truth_dy.data).map(|(x, y)| f64::from(x.hypot(*y)));
    lengths.filter(|v| v.is_finite()).fold(0.0, f64::max)
}

impl PairArgs {
    /// Preset, then what the single options say.
    fn spec(&self, (width, height): (usize, usize), pixel: f64) -> Result<PairSpec> {
        let standard = FaultSpec::for_size(width, height);
        let mut spec = match self.preset {
            Some(preset) => {
                let preset = match preset {
                    PresetArg::Low => Preset::Low,
                    PresetArg::Real => Preset::Real,
                    PresetArg::Sar => Preset::Sar,
                };
                let mut spec = PairSpec::preset(preset, width.min(height), self.seed);
                (spec.width, spec.height) = (width, height);
                spec.field.fault = Some(standard.clone());
                spec
            }
            None => PairSpec::plain(width, height, self.seed, FieldSpec::fault(standard.clone())),
        };
        match self.field {
            Some(FieldArg::Fault) => spec.field = FieldSpec::fault(standard),
            Some(FieldArg::Uniform | FieldArg::Ramp) => spec.field = FieldSpec::default(),
            Some(FieldArg::Earthquake) => {
                spec.field.fault = None;
                spec.field.earthquake = Some(self.earthquake(pixel));
            }
            None => {}
        }
        if self.faults.given() {
            // The faults displace; shift, ramp and smooth part are added.
            (spec.field.fault, spec.field.earthquake) = (None, None);
        }
        self.apply_field(&mut spec.field)?;
        self.check_earthquake(&spec.field)?;
        let set = |target: &mut f64, value: Option<f64>| value.into_iter().for_each(|v| *target = v);
        let noise = &mut spec.noise;
        noise.snr_db = self.snr.or(noise.snr_db);
        set(&mut noise.rho, self.rho);
        set(&mut noise.change, self.change);
        set(&mut noise.gain, self.gain);
        set(&mut noise.bias, self.bias);
        set(&mut noise.shading, self.shading);
        set(&mut noise.reversed, self.reversed);
        set(&mut noise.clouds, self.clouds);
        set(&mut noise.blur, self.blur);
        set(&mut noise.stripes, self.stripes);
        if self.coherence.is_some() || self.looks.is_some() || self.bandwidth.is_some() {
            let sar = spec.sar.get_or_insert_with(SarSpec::default);
            set(&mut sar.coherence, self.coherence);
            set(&mut sar.bandwidth, self.bandwidth);
            sar.looks = self.looks.unwrap_or(sar.looks);
        }
        if spec.sar.is_some() && self.image.is_some() {
            return Err(Error::option("--preset", "sar", "a radar pair is procedural: leave --image away"));
        }
        spec.check()?;
        Ok(spec)
    }

    fn earthquake(&self, pixel: f64) -> EarthquakeSpec {
        let wishes = Wishes {
            magnitude: self.magnitude,
            law: None,
            strike_deg: self.strike,
            rake_deg: self.rake,
            dip_deg: self.dip,
        };
        let view = self.view.map(|v| match v {
            ViewArg::Trace => View::Trace,
            ViewArg::Tip => View::Tip,
            ViewArg::Far => View::Far,
        });
        EarthquakeSpec { wishes, pixel, view, largest: self.largest }
    }

    /// Options of an earthquake without one.
    fn check_earthquake(&self, field: &FieldSpec) -> Result<()> {
        let given =
            [("--magnitude", self.magnitude), ("--rake", self.rake), ("--dip", self.dip), ("--largest", self.largest)];
        match given.into_iter().find_map(|(name, v)| Some((name, v?))) {
            Some((name, v)) if field.earthquake.is_none() => {
                Err(Error::option(name, v, "belongs to an earthquake: add --field earthquake"))
            }
            None if self.view.is_some() && field.earthquake.is_none() => {
                Err(Error::option("--view", "", "belongs to an earthquake: add --field earthquake"))
            }
            _ => Ok(()),
        }
    }

    fn apply_field(&self, field: &mut FieldSpec) -> Result<()> {
        field.uniform = (self.dx.unwrap_or(field.uniform.0), self.dy.unwrap_or(field.uniform.1));
        field.smooth = self.smooth.unwrap_or(field.smooth);
        match (self.field, self.ramp.as_deref()) {
            (_, Some(&[a, b, c, d])) => field.ramp = [a, b, c, d],
            (Some(FieldArg::Ramp), _) => {
                return Err(Error::option("--field", "ramp", "add its gradients, e.g. --ramp 0.001 0 0 0.002"));
            }
            _ => {}
        }
        if self.field == Some(FieldArg::Uniform) && self.dx.is_none() && self.dy.is_none() {
            return Err(Error::option("--field", "uniform", "add the shift, e.g. --dx 0.3 --dy -0.2"));
        }
        let single = [
            ("--slip", self.slip),
            ("--strike", self.strike),
            ("--half-length", self.half_length),
            ("--locking-depth", self.locking_depth),
            ("--roughness", self.roughness),
        ];
        let of_earthquake = |name: &str| name == "--strike" && field.earthquake.is_some();
        let Some(fault) = &mut field.fault else {
            return match single.into_iter().filter(|s| !of_earthquake(s.0)).find_map(|(name, v)| v.map(|v| (name, v))) {
                Some((name, v)) => Err(Error::option(name, v, "belongs to a fault: add --field fault")),
                None if self.left_lateral => {
                    Err(Error::option("--left-lateral", "", "belongs to a fault: add --field fault"))
                }
                None => Ok(()),
            };
        };
        let targets = [
            &mut fault.slip,
            &mut fault.strike_deg,
            &mut fault.half_length,
            &mut fault.locking_depth,
            &mut fault.roughness,
        ];
        for (target, (_, value)) in targets.into_iter().zip(single) {
            *target = value.unwrap_or(*target);
        }
        fault.left_lateral |= self.left_lateral;
        Ok(())
    }
}

/// The user's own images.
struct Base {
    pre: Image,
    post: Option<Image>,
    georef: GeoReference,
    names: (String, Option<String>),
    band: usize,
    region: Window,
}

impl Base {
    fn read(path: &str, args: &PairArgs) -> Result<Base> {
        let options = OpenOptions { band: args.band, nodata: NoData::Auto, open_options: Vec::new() };
        let band = RasterBand::open(path, options.clone())?;
        let region = region(&band, args)?;
        let pre = band.open()?.read(region)?;
        let post = match &args.post {
            Some(other) => {
                let second = RasterBand::open(other, options)?;
                let origin = crate::raster::compare(&band, &second)?;
                if origin.0.fract() != 0.0 || origin.1.fract() != 0.0 {
                    return Err(Error::GridMismatch(format!(
                        "{other} is offset from {path} by a part of a pixel ({}, {}): warp it onto the same grid with gdalwarp -tap first",
                        origin.0, origin.1
                    )));
                }
                Some(second.open()?.read(region.shifted(origin.0 as i64, origin.1 as i64))?)
            }
            None => None,
        };
        let transform = band.georef().transform.cells(region.x as f64, region.y as f64, 1.0, 1.0);
        let georef = band.georef().with_transform(transform);
        Ok(Base { pre, post, georef, names: (path.into(), args.post.clone()), band: args.band, region })
    }

    fn record(&self) -> serde_json::Value {
        let r = self.region;
        serde_json::json!({
            "image": self.names.0,
            "post": self.names.1,
            "band": self.band,
            "region": [r.x, r.y, r.width as i64, r.height as i64],
        })
    }
}

fn region(band: &RasterBand, args: &PairArgs) -> Result<Window> {
    let whole = Window::new(0, 0, band.width(), band.height());
    let Some(&[x, y, w, h]) = args.region.as_deref() else { return Ok(whole) };
    let region = Window::new(x as i64, y as i64, w, h);
    match region.intersect(&whole) == Some(region) {
        true => Ok(region),
        false => {
            let why = format!("does not lie inside the image ({} x {} pixels)", whole.width, whole.height);
            Err(Error::option("--region", format!("{x} {y} {w} {h}"), why))
        }
    }
}
