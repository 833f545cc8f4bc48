//! The aligned image: all bands, in the data type of the post image, on the grid of the pre image.

use super::CoregisterJob;
use super::aligned::Aligned;
use super::stored::Stored;
use crate::grid::{ImageFile, Window};
use crate::progress::Progress;
use crate::raster::{BandSpec, DOMAIN, OpenOptions, PixelType, RasterBand, RasterSpec, RasterWriter, band_names};
use crate::{Error, Result};
use rayon::prelude::*;

/// Side of the pieces computed and written at once.
const PIECE: usize = 256;

/// The output file and the bands that go into it.
pub(super) struct Writer {
    file: RasterWriter,
    bands: Vec<Band>,
    size: (usize, usize),
    origin: (f64, f64),
}

struct Band {
    source: RasterBand,
    pixel: PixelType,
    /// Stored value of pixels without a source.
    nodata: f64,
}

impl Writer {
    /// Checks the bands and reserves the output.
    ///
    /// # Errors
    /// A data type that cannot be kept; those of [`RasterWriter::create`].
    pub(super) fn create(job: &CoregisterJob, pre: &RasterBand, post: &RasterBand) -> Result<Writer> {
        let names = band_names(&job.post)?;
        let mut bands = Vec::new();
        let mut specs = Vec::new();
        for (i, (name, unit)) in names.iter().enumerate().filter(|(i, _)| Some(i + 1) != post.alpha_band()) {
            let source = RasterBand::open(&job.post, OpenOptions { band: i + 1, ..job.post_options.clone() })?;
            let pixel = source.pixel_type().ok_or_else(|| {
                let why = format!(
                    "its band {} is {}; Byte, UInt16, Int16 and Float32 can be kept: convert it with `gdal_translate -ot Float32`, \
                     or give OUT.json for the model only",
                    i + 1,
                    source.type_name()
                );
                Error::Open { path: job.post.clone(), why }
            })?;
            let nodata = source.nodata_value().unwrap_or(match pixel {
                PixelType::U8 | PixelType::U16 => 0.0,
                PixelType::I16 => -32768.0,
                PixelType::F32 => f64::NAN,
            });
            specs.push(BandSpec {
                description: name.clone(),
                unit: unit.clone(),
                nodata: Some(nodata),
                metadata: Vec::new(),
            });
            bands.push(Band { source, pixel, nodata });
        }
        let Some(first) = bands.first() else {
            return Err(Error::Open { path: job.post.clone(), why: "it has nothing but an alpha band".into() });
        };
        let pixel = first.pixel;
        if let Some(other) = bands.iter().find(|b| b.pixel != pixel) {
            let why = format!(
                "its bands are stored as {} and {}; give bands of one type, e.g. with `gdal_translate -b 1`",
                first.source.type_name(),
                other.source.type_name()
            );
            return Err(Error::Open { path: job.post.clone(), why });
        }
        let size = ImageFile::size(pre);
        let spec = RasterSpec {
            size,
            pixel,
            bands: specs,
            georef: pre.georef().clone(),
            block: (PIECE, PIECE),
            metadata: vec![(DOMAIN.into(), "VERSION".into(), crate::VERSION.into())],
        };
        let origin = crate::raster::compare(pre, post)?;
        let mut file = RasterWriter::create(&job.out, spec, &job.write)?;
        for (i, band) in bands.iter().enumerate() {
            file.set_scale(i, band.source.scale_and_offset())?;
        }
        Ok(Writer { file, bands, size, origin })
    }

    /// Computes and writes the image.
    pub(super) fn run(mut self, job: &CoregisterJob, stored: &Stored, progress: &mut dyn Progress) -> Result<()> {
        self.file.set_metadata(DOMAIN, "COMMAND", &command(job))?;
        self.file.set_metadata(DOMAIN, "COREGISTERED_TO", &job.pre)?;
        self.file.set_metadata(DOMAIN, "COREGISTRATION", stored.json()?.trim_end())?;
        let pool = crate::threads::pool(job.threads)?;
        let images: Vec<Aligned> =
            self.bands.iter().map(|b| Aligned::new(&b.source, self.size, self.origin, &stored.model)).collect();
        let (width, height) = self.size;
        let columns: Vec<usize> = (0..width).step_by(PIECE).collect();
        // As many pieces at a time as there are threads: memory does not depend on the width.
        for y in (0..height).step_by(PIECE) {
            for some in columns.chunks(job.threads.max(1)) {
                let done = (y as f64 + (some[0] as f64 / width as f64) * PIECE as f64) / height as f64;
                if !progress.report(done.min(1.0), "aligning the image") {
                    return Err(Error::Cancelled);
                }
                let piece = |x: &usize| -> Result<(Window, Vec<Vec<f32>>)> {
                    let window = Window::new(*x as i64, y as i64, PIECE.min(width - x), PIECE.min(height - y));
                    let values = self.bands.iter().zip(&images).map(|(band, image)| band.values(image, window));
                    Ok((window, values.collect::<Result<_>>()?))
                };
                let pieces: Vec<Result<(Window, Vec<Vec<f32>>)>> =
                    pool.install(|| some.par_iter().map(piece).collect());
                for piece in pieces {
                    let (w, values) = piece?;
                    let values: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
                    self.file.write(w.x as usize, w.y as usize, w.width, w.height, &values)?;
                }
            }
        }
        self.file.finish()
    }
}

impl Band {
    /// Stored numbers of a window, NaN for nodata.
    fn values(&self, image: &Aligned, window: Window) -> Result<Vec<f32>> {
        let found = image.open()?.read(window)?;
        let (scale, offset) = self.source.scale_and_offset();
        let value = |v: f32| match self.pixel {
            PixelType::F32 => ((f64::from(v) - offset) / scale) as f32,
            // A number that happens to be the one for nodata moves to its neighbour.
            _ => {
                let v = ((f64::from(v) - offset) / scale).round();
                let (low, high) = self.range();
                let v = v.clamp(low, high);
                (if v != self.nodata {
                    v
                } else if v < high {
                    v + 1.0
                } else {
                    v - 1.0
                }) as f32
            }
        };
        let all = found.values.data.iter().zip(&found.valid.data);
        Ok(all.map(|(v, ok)| if *ok { value(*v) } else { f32::NAN }).collect())
    }

    fn range(&self) -> (f64, f64) {
        match self.pixel {
            PixelType::U8 => (0.0, 255.0),
            PixelType::U16 => (0.0, 65535.0),
            PixelType::I16 => (-32768.0, 32767.0),
            PixelType::F32 => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }
}

/// The command that repeats the job.
fn command(job: &CoregisterJob) -> String {
    let mut text = format!("shiftmap coregister {} {} OUT", job.pre, job.post);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text += &format!(" {name} {value}");
        }
    };
    if job.given.is_some() {
        add("--use", job.given.clone());
        return text;
    }
    add("--model", Some(job.shape.name().into()));
    add("--jitter", job.jitter.map(|g| g.to_string()));
    add("--longest", job.longest.map(|v| v.to_string()));
    add("--ccd", job.seams.map(|g| g.to_string()));
    let edges = job.edges.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    add("--ccd-edges", (!edges.is_empty()).then_some(edges));
    add("--stable", job.stable.clone());
    add("--moving", job.moving.clone());
    add("--window", job.window.map(|w| format!("{}x{}", w.0, w.1)));
    add("--step", job.step.map(|w| format!("{}x{}", w.0, w.1)));
    add("--search", Some(format!("{}x{}", job.search.0, job.search.1)));
    add("--passes", Some(job.passes.to_string()));
    add("--band", Some(job.pre_options.band.to_string()));
    add("--post-band", Some(job.post_options.band.to_string()));
    text
}
