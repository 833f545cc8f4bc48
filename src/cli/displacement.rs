//! `shiftmap displacement`

use super::common::{Common, ThreadArgs, Two, WriteArgs};
use super::ui::Ui;
use crate::field::Status;
use crate::grid::Window;
use crate::job::{Job, Search, Stable, Summary};
use crate::net::{NetOptions, Sensor};
use crate::pipeline::{ComplexUse, MethodName, Params, PeakQuality, PeakSigma, Prefilter, Shape, Spline, Taper};
use crate::raster::{NoData, OpenOptions, Units};
use crate::{Error, Result};
use clap::ValueEnum;

/// Map of the displacement between two images, with its uncertainty.
///
/// Finds, for every cell of a regular grid on the PRE image, where the ground around it lies in the POST image, to a
/// small fraction of a pixel. Both images are read piece by piece, so their size does not matter. OUT gets six Float32
/// bands: East displacement, North displacement, Quality (0 to 1), East sigma, North sigma (standard deviations) and
/// Status (0 where there is a value; the codes are in the band's metadata). Cells without a value are NaN.
///
/// Sign: the displacement points from where the ground was in PRE to where it is in POST; east and north are positive.
/// Metres when the coordinate system is projected; with --units px band 1 is +right and band 2 is +up.
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  The usual case, two images of the same tile:
    shiftmap displacement before.tif after.tif map.tif
  Band 8 of both, larger windows for noisy images, a value every 4 pixels:
    shiftmap displacement before.tif after.tif map.tif --band 8 --window 64 --step 4
  Large motion, e.g. a fast glacier, up to 300 m between the dates; small windows where they suffice:
    shiftmap displacement july.tif august.tif ice.tif --search 300m --window 16,32,64
  Search range found on the pair, checked backwards, sigma calibrated on bedrock:
    shiftmap displacement july.tif august.tif ice.tif --search auto --backward --stable rock.tif
  Images on different grids, a cloud optimized GeoTIFF as result:
    shiftmap displacement before.tif after_other_utm_zone.tif map.tif --resample --of COG
  A value at every pixel of a noisy pair, smooth but for faults:
    shiftmap displacement before.tif after.tif map.tif --method regularized --window 9 --step 1
  A network, see `shiftmap model list`:
    shiftmap displacement before.tif after.tif map.tif --method net --model flk --window 33 --step 1
  Three pairs of the same event, e.g. of neighbouring dates, as one:
    shiftmap displacement a.tif d.tif map.tif --method spatial --stack-pair b.tif,e.tif --stack-pair c.tif,f.tif
  Single-look complex radar images of ground that stayed coherent:
    shiftmap displacement a.slc b.slc map.tif --method spatial --complex coherence --units px
  A look at a part first (pixels of PRE: offset x y, size x y):
    shiftmap displacement before.tif after.tif part.tif --region 2000 3000 1024 1024")]
pub struct Args {
    /// Earlier image; the result is on its grid
    pub pre: String,

    /// Later image
    pub post: String,

    /// Result, a raster file
    pub out: String,

    #[command(flatten)]
    matching: MatchArgs,

    /// What is compared of single-look complex images (method spatial)
    #[arg(long, value_enum, default_value = "amplitude", help_heading = "Matching")]
    complex: ComplexArg,

    /// Another pair of images of the same motion, on the grids of PRE and POST: correlations are added before the
    /// displacement is read off. May be repeated; a path with a comma in double quotes (methods spatial, lsm, dense,
    /// regularized)
    #[arg(long, value_name = "PRE,POST", help_heading = "Input")]
    stack_pair: Vec<StackPair>,

    /// GeoPackage for the faults that --split finds, as lines with their slip [default: OUT with _faults.gpkg in place of
    /// its suffix]
    #[arg(long, value_name = "FILE", requires = "split", help_heading = "Faults inside the window")]
    split_lines: Option<String>,

    #[command(flatten)]
    write: WriteArgs,

    /// Print what was decided on the pair, and why
    #[arg(long, help_heading = "Common options")]
    verbose: bool,

    #[command(flatten)]
    pub common: Common,
}

// How two images are matched: what `displacement` and `verify` share. No doc comment: clap would show it as theirs.
#[derive(clap::Args, Debug)]
pub struct MatchArgs {
    /// Matching method
    #[arg(long, value_enum, default_value = "lsm", help_heading = "Matching")]
    method: MethodArg,

    /// Side of the matching window in pixels, 5 to 512, or WIDTHxHEIGHT; smaller sees more detail, larger is more
    /// precise. Several, smallest first (16,32,64): the larger ones fill cells that the smaller ones cannot measure
    #[arg(long, value_name = "N[xM]", default_value = "32", value_delimiter = ',', help_heading = "Matching")]
    window: Vec<Two<usize>>,

    /// Distance between windows in pixels: the cell size of the result
    #[arg(long, value_name = "N[xM]", default_value = "8", help_heading = "Matching")]
    step: Two<usize>,

    /// Largest displacement looked for on each axis, in pixels, or in metres as in 40m; `auto` finds it on the pair, up
    /// to 100 pixels (auto:N: up to N)
    #[arg(long, value_name = "PX", default_value = "4", help_heading = "Matching")]
    search: SearchArg,

    /// Filter both images first
    #[arg(long, value_enum, default_value = "coherence", help_heading = "Matching")]
    prefilter: PrefilterArg,

    /// How values between the pixels are found; `auto` asks the texture of the pair, and takes complex images, whose amplitudes
    /// are detected here, as band-limited (not with --complex coherence)
    #[arg(long, value_enum, default_value = "auto", help_heading = "Matching")]
    interpolation: InterpolationArg,

    /// Weights of a window's pixels (method lsm)
    #[arg(long, value_enum, default_value = "box", help_heading = "Matching")]
    taper: TaperArg,

    /// What is estimated in a window; the displacement is that of its centre (method lsm)
    #[arg(long, value_enum, default_value = "translation", help_heading = "Matching")]
    shape: ShapeArg,

    /// Match again where motion changes within the window, with the pixels that moved like its centre (method lsm)
    #[arg(long, help_heading = "Matching")]
    bilateral: bool,

    /// Displacement raster around which is searched, e.g. an earlier result or a coarse one; any grid and coordinate
    /// system, east and north in bands 1 and 2; zero where it has no value
    #[arg(long, value_name = "RASTER", help_heading = "Matching")]
    prior: Option<String>,

    /// Lines that no window may reach across: a fault trace, the outline of a glacier; any vector layer of lines or
    /// polygons, FILE:LAYER where the file has several
    #[arg(long, value_name = "LAYER", help_heading = "Faults inside the window")]
    cut: Option<String>,

    /// Look for jumps inside windows: where two displacements and a line explain a window better than one, its cell gets
    /// that of its side (method lsm)
    #[arg(long, help_heading = "Faults inside the window")]
    split: bool,

    /// Values that their neighbours do not share: reject them (status 5) or keep them
    #[arg(long, value_enum, default_value = "reject", help_heading = "Trust")]
    outliers: OutlierArg,

    /// Measure from POST to PRE as well and reject cells where the two differ by more than this (status 6) [default: 0.5
    /// pixels when given without a value]
    #[arg(long, value_name = "PX", num_args = 0..=1, require_equals = true, default_missing_value = "0.5", help_heading = "Trust")]
    backward: Option<f64>,

    /// Scale sigma by what ground that has not moved shows: a raster that is not zero there, a layer of polygons around
    /// it, or `auto` for the scatter between neighbouring windows
    #[arg(long, value_name = "RASTER|LAYER", help_heading = "Trust")]
    stable: Option<String>,

    /// Leave out these pixels of both images (clouds, water): a raster that is not zero there or a layer of polygons
    /// around them; any grid and coordinate system
    #[arg(long, value_name = "RASTER|LAYER", help_heading = "Matching")]
    mask: Option<String>,

    /// Least share of valid pixels that a window needs
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, help_heading = "Matching")]
    min_valid: f64,

    /// What the quality band holds
    #[arg(long, value_enum, default_value = "correlation", help_heading = "Matching")]
    quality: QualityArg,

    /// Where the standard deviations of spatial come from
    #[arg(long, value_enum, default_value = "calibrated", help_heading = "Matching")]
    peak_sigma: PeakSigmaArg,

    /// Distance in pixels over which displacements are smoothed; jumps stay (method regularized)
    #[arg(long, value_name = "PX", default_value_t = crate::pipeline::SMOOTHNESS, help_heading = "Matching")]
    smoothness: f64,

    /// Network of --method net: a name that `shiftmap model list` shows, or an ONNX file (method net) [default: the one for --sensor,
    /// flk or flk-sar; flk-slc for complex radar images]
    #[arg(long, value_name = "NAME|FILE", help_heading = "Network")]
    model: Option<String>,

    /// What took the images, which decides the network when --model names none (method net); auto tells it from the speckle of the
    /// pre image and says so
    #[arg(long, value_enum, default_value = "auto", help_heading = "Network")]
    sensor: SensorArg,

    /// Run the network so many times, each time on what its last result left of the motion (method net) [default: what its
    /// card says, mostly 1]
    #[arg(long, value_name = "N", help_heading = "Network")]
    net_passes: Option<usize>,

    /// Average four runs of the network with shifted pieces of the images: four times the time (method net)
    #[arg(long, help_heading = "Network")]
    net_average: bool,

    /// Side in pixels of the pieces that the network sees at once, with their margin (method net) [default: the model's]
    #[arg(long, value_name = "PX", help_heading = "Network")]
    net_tile: Option<usize>,

    /// Where the network runs: cpu, cuda, cuda:1, rocm, migraphx, openvino, coreml, directml; `shiftmap info` shows which
    /// of them the ONNX Runtime that is found was built for (method net)
    #[arg(long, value_name = "NAME[:N]", default_value = "cpu", help_heading = "Network")]
    device: String,

    /// Library of ONNX Runtime, or a folder with it (method net) [default: ORT_DYLIB_PATH, then beside shiftmap, then Python
    /// packages]
    #[arg(long, value_name = "FILE|FOLDER", help_heading = "Network")]
    onnxruntime: Option<String>,

    /// Band number in both images, or several as in 2,3,4: one displacement from all of them, with networks as many as their
    /// card says (methods lsm, spatial, dense, regularized, net)
    #[arg(
        short = 'b',
        long,
        value_name = "N[,M...]",
        value_delimiter = ',',
        default_value = "1",
        help_heading = "Input"
    )]
    band: Vec<usize>,

    /// Band numbers in the post image, where they differ; as many as of --band
    #[arg(long, value_name = "N[,M...]", value_delimiter = ',', help_heading = "Input")]
    post_band: Vec<usize>,

    /// Value that means "no data" in both images, `none`, or `auto`: the declared one, or 0 when a corner of the image is 0
    #[arg(long, value_name = "VALUE", default_value = "auto", allow_hyphen_values = true, help_heading = "Input")]
    nodata: NoDataArg,

    /// Measure only this part of the pre image, in pixels: offset x y, size x y
    #[arg(long, num_args = 4, action = clap::ArgAction::Set, value_names = ["XOFF", "YOFF", "XSIZE", "YSIZE"], allow_negative_numbers = true, help_heading = "Input")]
    region: Option<Vec<i64>>,

    /// Warp the post image onto the pre grid while reading (other CRS, pixel size or rotation)
    #[arg(long, help_heading = "Input")]
    resample: bool,

    /// GDAL open option for both images, e.g. --oo OVERVIEW_LEVEL=0 (may be repeated)
    #[arg(long = "oo", value_name = "KEY=VALUE", help_heading = "Input")]
    open_options: Vec<String>,

    /// Unit of the result [default: m for a projected CRS, px for images without one]
    #[arg(long, value_enum, help_heading = "Output options")]
    units: Option<UnitsArg>,

    /// Seed of everything random; recorded in the result
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Common options")]
    seed: u64,

    #[command(flatten)]
    threads: ThreadArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MethodArg {
    /// Least-squares matching: the most precise
    Lsm,
    /// Phase of the cross spectrum: fast, for large windows
    Frequency,
    /// Least squares at every pixel in windows of 5 to 144 px, fused: for --step 1; --window only places the cells (odd:
    /// on pixels, even: between them)
    Dense,
    /// Maximum of the normalised cross-correlation: the classical matching, without its bias to whole pixels
    Spatial,
    /// Small windows and a smoothness that gives way at faults, at every pixel; in the manner of MicMac and semi-global
    /// matching: for --step 1 and windows of 7 to 11 px
    Regularized,
    /// A network from an ONNX file (--model), trained for image pairs: for --step 1; needs ONNX Runtime
    Net,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SensorArg {
    Auto,
    Optical,
    /// Radar amplitude or intensity
    Sar,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum QualityArg {
    /// Correlation of the windows, 0 to 1
    Correlation,
    /// Signal-to-noise ratio of Ampcor: squared peak over the mean square around it (only spatial)
    Snr,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PeakSigmaArg {
    /// From the residual and the curvature of the peak
    Calibrated,
    /// Ampcor's formula, known not to be calibrated (only spatial)
    Ampcor,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ComplexArg {
    /// Their amplitudes, taken at half pixels and low-passed: without the aliasing that taking them at the samples brings
    Amplitude,
    /// The numbers themselves: the maximum of the coherence, its mean fringe taken out. Several times as precise on ground
    /// that stayed coherent; nothing is found where it did not
    Coherence,
}

/// The images of `--stack-pair`.
#[derive(Clone, Debug)]
struct StackPair(String, String);

impl std::str::FromStr for StackPair {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match crate::options::split_paths(text)?.as_slice() {
            [pre, post] if !pre.is_empty() && !post.is_empty() => Ok(StackPair(pre.clone(), post.clone())),
            _ => Err(format!("`{text}` is not two paths PRE,POST; a path with a comma goes in double quotes")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum OutlierArg {
    Reject,
    Keep,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PrefilterArg {
    /// Whichever of the others scatters least on sample windows of the pair
    Auto,
    /// By the coherence between the images, which keeps the frequencies that did not change
    Coherence,
    None,
    /// Minus the mean of 5 x 5 pixels
    Highpass,
    /// Gaussian low-pass of 0.5 pixels
    Gaussian,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum InterpolationArg {
    Auto,
    /// Nothing lies beyond Nyquist
    BandLimited,
    /// Slightly aliased
    Quintic,
    /// Aliased
    Cubic,
    /// Strongly aliased, as radar amplitudes of a weighted band
    Quadratic,
    /// As radar amplitudes of a full band
    Linear,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TaperArg {
    /// All pixels count the same: the most precise
    Box,
    /// Standard deviation of a quarter of the window
    Gaussian,
    /// Raised cosine
    Hann,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ShapeArg {
    /// One displacement a window
    Translation,
    /// Also its rotation, shear and scale, for glaciers and rotating blocks; sees 3 degrees where a translation fails
    Affine,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum UnitsArg {
    /// Metres
    M,
    /// Pixels, band 1 +right, band 2 +up
    Px,
}

#[derive(Clone, Copy, Debug)]
struct SearchArg(Search);

/// How far `--search auto` looks, pixels.
const AUTO_CAP: f64 = 100.0;

impl std::str::FromStr for SearchArg {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let bad = || format!("`{text}` is neither pixels (4, 4x8), metres (40m) nor auto (auto, auto:50)");
        if let Some(cap) = text.strip_prefix("auto") {
            let cap = if cap.is_empty() { Some(AUTO_CAP) } else { cap.strip_prefix(':').and_then(|c| c.parse().ok()) };
            return cap.map(|c| SearchArg(Search::Auto(c))).ok_or_else(bad);
        }
        match text.strip_suffix('m') {
            Some(metres) => metres.trim().parse().map(|v| SearchArg(Search::Metres(v))).map_err(|_| bad()),
            None => text.parse::<Two<f64>>().map(|t| SearchArg(Search::Pixels(t.0, t.1))).map_err(|_| bad()),
        }
    }
}

impl UnitsArg {
    pub fn units(given: Option<UnitsArg>) -> Units {
        match given {
            None => Units::Auto,
            Some(UnitsArg::M) => Units::Metres,
            Some(UnitsArg::Px) => Units::Pixels,
        }
    }
}

/// `--region` as a window.
pub fn region(values: Option<&[i64]>) -> Result<Option<Window>> {
    match values {
        Some(&[x, y, w, h]) if w > 0 && h > 0 => Ok(Some(Window::new(x, y, w as usize, h as usize))),
        Some(&[x, y, w, h]) => {
            let value = format!("{x} {y} {w} {h}");
            Err(Error::option("--region", value, "XSIZE and YSIZE are 1 pixel or more"))
        }
        _ => Ok(None),
    }
}

#[derive(Clone, Copy, Debug)]
pub struct NoDataArg(pub NoData);

impl std::str::FromStr for NoDataArg {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(NoDataArg(NoData::Auto)),
            "none" => Ok(NoDataArg(NoData::None)),
            t => t
                .parse()
                .map(|v| NoDataArg(NoData::Value(v)))
                .map_err(|_| format!("`{text}` is not a number, auto or none")),
        }
    }
}

pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let start = std::time::Instant::now();
    let summary = job(args)?.run(&mut |text| ui.note(text), &mut ui.progress())?;
    if args.verbose {
        summary.report.facts.iter().for_each(|(key, value)| ui.note(&decision(key, value)));
    }
    ui.print_json(&json(&summary, start.elapsed().as_secs_f64()))
}

/// A finding for people.
fn decision(key: &str, value: &str) -> String {
    let words = key.replace("_PX", " (px)").replace("_PIXELS", " (px)").replace('_', " ").to_lowercase();
    format!("{words}: {value}")
}

/// The summary for programs.
fn json(s: &Summary, seconds: f64) -> serde_json::Value {
    let status: serde_json::Map<_, _> =
        Status::ALL.iter().map(|(code, text)| (text.to_string(), s.report.status[*code as usize].into())).collect();
    let facts: serde_json::Map<_, _> = s.report.facts.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
    let (x, y, w, h) = s.first_window;
    serde_json::json!({
        "output": s.output,
        "grid": { "width": s.size.0, "height": s.size.1, "geotransform": s.geotransform },
        "unit": s.unit,
        "window": [s.window.0, s.window.1],
        "step": [s.step.0, s.step.1],
        "first_window": { "x": x, "y": y, "width": w, "height": h },
        "post_origin": [s.origin.0, s.origin.1],
        "cells": s.report.cells,
        "status": status,
        "facts": facts,
        "seconds": seconds,
    })
}

/// The file of faults that belongs to a product.
fn faults_beside(out: &str) -> String {
    let name = out.rfind(['/', '\\']).map_or(0, |i| i + 1);
    let stem = out[name..].rfind('.').filter(|i| *i > 0).map_or(out, |i| &out[..name + i]);
    format!("{stem}_faults.gpkg")
}

pub(super) fn job(args: &Args) -> Result<Job> {
    let lines = || args.split_lines.clone().unwrap_or_else(|| faults_beside(&args.out));
    let job = matching_job(&args.pre, &args.post, &args.out, &args.matching)?;
    let complex = match args.complex {
        ComplexArg::Amplitude => ComplexUse::Amplitude,
        ComplexArg::Coherence => ComplexUse::Coherence,
    };
    Ok(Job {
        split: args.matching.split.then(lines),
        write: args.write.options(),
        stack: args.stack_pair.iter().map(|p| (p.0.clone(), p.1.clone())).collect(),
        params: Params { complex, ..job.params },
        ..job
    })
}

/// A job with the options that `displacement` and `verify` share; a split's lines are not written.
pub(super) fn matching_job(pre: &str, post: &str, out: &str, args: &MatchArgs) -> Result<Job> {
    let region = region(args.region.as_deref())?;
    let post_band = if args.post_band.is_empty() { &args.band } else { &args.post_band };
    if post_band.len() != args.band.len() {
        let value = post_band.iter().map(|b| b.to_string()).collect::<Vec<_>>().join(",");
        let why = format!("give as many bands as --band has ({})", args.band.len());
        return Err(Error::option("--post-band", value, why));
    }
    let open_options = args.open_options.clone();
    let pre_options = OpenOptions { band: args.band[0], nodata: args.nodata.0, open_options };
    Ok(Job {
        post_options: OpenOptions { band: post_band[0], ..pre_options.clone() },
        more_bands: args.band.iter().copied().zip(post_band.iter().copied()).skip(1).collect(),
        pre_options,
        params: Params {
            method: match args.method {
                MethodArg::Lsm => MethodName::Lsm,
                MethodArg::Frequency => MethodName::Frequency,
                MethodArg::Spatial => MethodName::Spatial,
                MethodArg::Dense => MethodName::Dense,
                MethodArg::Regularized => MethodName::Regularized,
                MethodArg::Net => MethodName::Net,
            },
            window: (args.window[0].0, args.window[0].1),
            larger_windows: args.window[1..].iter().map(|w| (w.0, w.1)).collect(),
            backward: args.backward,
            reject_outliers: args.outliers == OutlierArg::Reject,
            step: (args.step.0, args.step.1),
            prefilter: match args.prefilter {
                PrefilterArg::Auto => Prefilter::Auto,
                PrefilterArg::Coherence => Prefilter::Coherence,
                PrefilterArg::None => Prefilter::None,
                PrefilterArg::Highpass => Prefilter::Highpass,
                PrefilterArg::Gaussian => Prefilter::Gaussian,
            },
            interpolation: match args.interpolation {
                InterpolationArg::Auto => None,
                InterpolationArg::BandLimited => Some(Spline::QuinticX2),
                InterpolationArg::Quintic => Some(Spline::Quintic),
                InterpolationArg::Cubic => Some(Spline::Cubic),
                InterpolationArg::Quadratic => Some(Spline::Quadratic),
                InterpolationArg::Linear => Some(Spline::Linear),
            },
            taper: match args.taper {
                TaperArg::Box => Taper::Box,
                TaperArg::Gaussian => Taper::Gaussian,
                TaperArg::Hann => Taper::Hann,
            },
            shape: match args.shape {
                ShapeArg::Translation => Shape::Translation,
                ShapeArg::Affine => Shape::Affine,
            },
            bilateral: args.bilateral,
            min_valid: args.min_valid,
            peak_quality: match args.quality {
                QualityArg::Correlation => PeakQuality::Correlation,
                QualityArg::Snr => PeakQuality::Snr,
            },
            peak_sigma: match args.peak_sigma {
                PeakSigmaArg::Calibrated => PeakSigma::Calibrated,
                PeakSigmaArg::Ampcor => PeakSigma::Ampcor,
            },
            smoothness: args.smoothness,
            ..Params::default()
        },
        search: args.search.0,
        prior: args.prior.clone(),
        stable: match args.stable.as_deref() {
            None => Stable::None,
            Some("auto") => Stable::Auto,
            Some(path) => Stable::Places(path.into()),
        },
        mask: args.mask.clone(),
        units: UnitsArg::units(args.units),
        cut: args.cut.clone(),
        split: args.split.then(String::new),
        region,
        resample: args.resample,
        threads: args.threads.count(),
        seed: args.seed,
        net: NetOptions {
            model: args.model.clone(),
            sensor: match args.sensor {
                SensorArg::Auto => None,
                SensorArg::Optical => Some(Sensor::Optical),
                SensorArg::Sar => Some(Sensor::Sar),
            },
            band_limited: None,
            onnxruntime: args.onnxruntime.clone(),
            device: args.device.clone(),
            passes: args.net_passes,
            average: args.net_average,
            tile: args.net_tile,
        },
        ..Job::new(pre, post, out)
    })
}
