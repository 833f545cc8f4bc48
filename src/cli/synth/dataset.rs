//! `shiftmap synth dataset`

use crate::cli::common::{Common, ThreadArgs};
use crate::cli::ui::Ui;
use crate::synth::change::ChangeLevel;
use crate::synth::dataset::run::SetJob;
use crate::synth::dataset::spec::{Content, Format, Pairing, RadarMode, RadarSet, SetSpec};
use crate::synth::frame::RadarGeometry;
use crate::{Error, Result};
use clap::ValueEnum;

/// A set of samples for training and testing: simulated earthquakes in your images.
///
/// Each sample is an earthquake with its own magnitude, fault geometry and fractal slip, computed as dislocations in an
/// elastic half-space, of which one image shows a part. The set is split into train, validation and test by place: no ground is
/// seen in two of them. A stopped run goes on when the command is repeated; the result is the same. OUTDIR then holds
/// train/, validation/ and test/, index.json (all files), card.json (what the arrays mean), overview.png (a picture of up to
/// 12 samples) and set.json (how it was made).
#[derive(clap::Args, Debug)]
#[command(after_help = "EXAMPLES
  A thousand pairs of 256 x 256 pixels from a folder of images, as NumPy archives:
    shiftmap synth dataset train --images scenes --count 1000 --size 256
  Displacement fields without images, then pairs whose displacement comes from them (fast):
    shiftmap synth dataset fields --content fields --count 200 --size 512
    shiftmap synth dataset pairs --images scenes --fields fields --count 10000 --size 256 --format shards
  Windows of 32 pixels, half of them cut by a fault:
    shiftmap synth dataset windows --images scenes --content windows --size 32 --count 100000
  Radar pairs from single-look complex images:
    shiftmap synth dataset radar --images slc --sensor sar --count 100 --size 256 --split 1,0,0")]
pub struct DatasetArgs {
    /// Folder of the set: new, empty, or of the same set when it was stopped
    outdir: String,

    /// Folder of base images, with subfolders: every raster that GDAL opens. Images of one place and band on two dates have
    /// names that are equal but for the eight digits of the date (a_20190809_b4.tif, a_20190825_b4.tif), and equal grids
    #[arg(long, value_name = "DIR", help_heading = "Sources")]
    images: Option<String>,

    /// Band number in the base images
    #[arg(short = 'b', long, value_name = "N", default_value_t = 1, help_heading = "Sources")]
    band: usize,

    /// Take the displacements from this set of fields
    #[arg(long, value_name = "DIR", help_heading = "Sources")]
    fields: Option<String>,

    /// Kind of base images
    #[arg(long, value_enum, default_value = "optical", help_heading = "Sources")]
    sensor: SensorArg,

    /// What a sample is
    #[arg(long, value_enum, default_value = "pairs", help_heading = "Samples")]
    content: ContentArg,

    /// Number of samples
    #[arg(long, value_name = "N", help_heading = "Samples")]
    count: usize,

    /// Side of the images in pixels (of windows: 16 or 32 are usual)
    #[arg(long, value_name = "N", default_value_t = 256, help_heading = "Samples")]
    size: usize,

    /// Largest displacement of the samples: 0 for 0.01 to 0.1 pixels, 1 for 0.1 to 1, 2 for 1 to 5; taken in turn
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "0,1,2", help_heading = "Samples")]
    classes: Vec<u8>,

    /// Which image is displaced: the pre image, that of another date, or either
    #[arg(long, value_enum, default_value = "mixed", help_heading = "Samples")]
    pairing: PairingArg,

    /// How much the dates differ besides the motion
    #[arg(long, value_enum, default_value = "strong", help_heading = "Samples")]
    change: ChangeArg,

    /// Limit images to this share of the Nyquist frequency, so that sharpness does not reveal the displacement; 0: do not
    #[arg(long, value_name = "SHARE", default_value_t = crate::synth::band_limit::KEPT, help_heading = "Samples")]
    band_limit: f64,

    /// Shares of the samples in train, validation and test
    #[arg(long, value_name = "A,B,C", value_delimiter = ',', default_value = "0.8,0.1,0.1", help_heading = "Samples")]
    split: Vec<f64>,

    /// Pixel size of fields without images in metres
    #[arg(long, value_name = "M", default_value_t = 15.0, help_heading = "Samples")]
    pixel: f64,

    /// How radar images are displaced and detected
    #[arg(long, value_enum, default_value = "complex", help_heading = "Radar")]
    radar: RadarArg,

    /// Lowest and highest mean coherence of the speckle
    #[arg(long, num_args = 2, value_names = ["LOW", "HIGH"], default_values_t = [0.4, 0.9], help_heading = "Radar")]
    coherence: Vec<f64>,

    /// Direction of flight, degrees clockwise from north [default: Sentinel-1, ascending or descending]
    #[arg(long, value_name = "DEG", allow_hyphen_values = true, help_heading = "Radar")]
    heading: Option<f64>,

    /// Angle between the line of sight and the vertical, degrees
    #[arg(long, value_name = "DEG", default_value_t = 39.0, help_heading = "Radar")]
    incidence: f64,

    /// Spacing in slant range and along the flight, metres
    #[arg(long, num_args = 2, value_names = ["RANGE", "AZIMUTH"], default_values_t = [2.3296, 13.96], help_heading = "Radar")]
    spacing: Vec<f64>,

    /// npz: an archive a sample; tif: a folder a sample; shards: archives of many samples (always so for fields and windows)
    #[arg(long, value_enum, default_value = "npz", help_heading = "Output options")]
    format: FormatArg,

    /// Samples in a shard
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Output options")]
    shard: usize,

    /// Seed of everything random; the same seed and images give the same files
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Common options")]
    seed: u64,

    #[command(flatten)]
    threads: ThreadArgs,

    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum SensorArg {
    Optical,
    Sar,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum ContentArg {
    /// Two images and the displacement
    Pairs,
    /// Displacement fields as 16-bit numbers
    Fields,
    /// Small windows with one displacement each
    Windows,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PairingArg {
    Pre,
    Dates,
    Mixed,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ChangeArg {
    /// Exact pairs
    None,
    /// Noise, light
    Mild,
    /// As real pairs of weeks to years: other texture, changed and reversed patches, noise, light; some with clouds and
    /// shadows, blur, stripes, vibrations, or part of the other date's image
    Strong,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RadarArg {
    /// The complex signal is displaced and detected at its samples, as most amplitude images are: they are aliased
    Complex,
    /// The complex signal is displaced, detected at half pixels and low-passed, as `displacement` reads complex images
    LowPassed,
    /// The complex signal is sampled twice as finely, detected, then displaced
    Oversampled,
    /// The amplitude on its own grid is displaced: inaccurate, as in published sets
    Amplitude,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    Npz,
    Tif,
    Shards,
}

pub fn run(args: &DatasetArgs, ui: &Ui) -> Result<()> {
    let job = SetJob {
        spec: args.spec()?,
        out: args.outdir.clone(),
        images: args.images.clone(),
        fields: args.fields.clone(),
        threads: args.threads.count(),
    };
    let mut progress = ui.progress();
    let summary = job.run(&mut |text| ui.note(text), &mut progress)?;
    drop(progress);
    let [train, validation, test] = summary.split;
    ui.print(&format!(
        "{}: {} samples in {} files ({} were there): {train} train, {validation} validation, {test} test",
        summary.output, summary.samples, summary.files, summary.kept
    ));
    ui.print_json(&summary)
}

impl DatasetArgs {
    fn spec(&self) -> Result<SetSpec> {
        let split: [f64; 3] = self.split.as_slice().try_into().map_err(|_| {
            Error::option("--split", format!("{:?}", self.split), "give three shares, e.g. 0.8,0.1,0.1")
        })?;
        Ok(SetSpec {
            content: match self.content {
                ContentArg::Pairs => Content::Pairs,
                ContentArg::Fields => Content::Fields,
                ContentArg::Windows => Content::Windows,
            },
            count: self.count,
            size: self.size,
            classes: self.classes.clone(),
            seed: self.seed,
            format: match self.format {
                FormatArg::Npz => Format::Npz,
                FormatArg::Tif => Format::Tif,
                FormatArg::Shards => Format::Shards,
            },
            shard: self.shard,
            pairing: match self.pairing {
                PairingArg::Pre => Pairing::Pre,
                PairingArg::Dates => Pairing::Dates,
                PairingArg::Mixed => Pairing::Mixed,
            },
            change: match self.change {
                ChangeArg::None => ChangeLevel::None,
                ChangeArg::Mild => ChangeLevel::Mild,
                ChangeArg::Strong => ChangeLevel::Strong,
            },
            band_limit: (self.band_limit != 0.0).then_some(self.band_limit),
            split,
            band: self.band,
            pixel: self.pixel,
            radar: match self.sensor {
                SensorArg::Optical => None,
                SensorArg::Sar => Some(self.radar_set()?),
            },
        })
    }

    fn radar_set(&self) -> Result<RadarSet> {
        let (low, high) = (self.coherence[0], self.coherence[1]);
        if !(0.0..=1.0).contains(&low) || !(low..=1.0).contains(&high) {
            let value = format!("{low} {high}");
            return Err(Error::option("--coherence", value, "give two numbers from 0 to 1, the lower one first"));
        }
        let headings = self.heading.map_or(vec![-13.0, -167.0], |h| vec![h]);
        let geometry = |heading_deg| RadarGeometry {
            heading_deg,
            incidence_deg: self.incidence,
            range_spacing: self.spacing[0],
            azimuth_spacing: self.spacing[1],
        };
        let geometries: Vec<RadarGeometry> = headings.into_iter().map(geometry).collect();
        geometries.iter().try_for_each(RadarGeometry::check)?;
        Ok(RadarSet {
            mode: match self.radar {
                RadarArg::Complex => RadarMode::Complex,
                RadarArg::LowPassed => RadarMode::LowPassed,
                RadarArg::Oversampled => RadarMode::Oversampled,
                RadarArg::Amplitude => RadarMode::Amplitude,
            },
            geometries,
            coherence: (low, high),
        })
    }
}
