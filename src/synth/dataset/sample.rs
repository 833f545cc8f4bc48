//! One pair of a set: cut from a base image, displaced by an earthquake, made to look like two dates.

use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::path::Path;

use super::bases::Base;
use super::library::Library;
use super::spec::{Pairing, SetSpec, Split};
use crate::grid::{Grid, Image, ImageFile, Window};
use crate::raster::{OpenOptions, RasterBand};
use crate::synth::band_limit;
use crate::synth::change::Change;
use crate::synth::event::{EventField, EventRecord, Scene, make_event};
use crate::synth::faulted::{FaultedField, PixelLine};
use crate::synth::inverse::{Source, sources};
use crate::synth::noise::{add_white, change_ground, observe};
use crate::synth::pair::clear_of_gaps;
use crate::synth::random::Purpose;
use crate::synth::rupture::Wishes;
use crate::synth::sensor::Jitter;
use crate::synth::sky::Clouds;
use crate::synth::spectrum::{SceneSpectrum, moments, standardised};
use crate::synth::warp::Warper;
use crate::{Error, Result};

/// Pixels around a sample that are computed and cut off: the reach of the filters and the largest displacement.
pub const MARGIN: usize = 32;
/// Pixels beside a gap of the base image that are not used.
const GAP_REACH: i64 = 8;

/// Where the displacement of a sample comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Computed for this sample.
    Event(Box<EventRecord>),
    /// Part of a field of a library: its number, the corner of the part, and which of the eight symmetries was applied (bit
    /// 0 mirrors left and right, bit 1 top and bottom, bit 2 swaps rows and columns first).
    Library { field: usize, x: usize, y: usize, symmetry: u8 },
}

/// Every choice behind a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub index: usize,
    pub split: Split,
    pub class: u8,
    pub seed: u64,
    /// Place on the ground.
    pub place: usize,
    /// Pre image and the image that was displaced.
    pub pre: String,
    pub post: String,
    pub dates: (String, String),
    /// Corner of the sample in the base image.
    pub corner: (i64, i64),
    pub origin: Origin,
    /// Factor on the displacement in pixels.
    pub scale: f64,
    /// Constant shift added to the displacement, pixels.
    pub constant_shift: (f64, f64),
    /// Motion of the second date against the first that was taken out, pixels.
    pub coregistration: (f64, f64),
    pub change: Change,
    /// Largest displacement, pixels.
    pub largest: f64,
    /// Radar only: everything about the signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radar: Option<super::radar::RadarRecord>,
    /// Value = stored number / scale + offset of the images; 0 is nodata.
    pub stored: (f64, f64),
    /// Fault traces (column, row) in and near the image, to a hundredth of a pixel.
    pub traces: Vec<Vec<(f64, f64)>>,
}

/// Arrays of a sample; all of one size.
#[derive(Debug, Clone)]
pub struct Sample {
    pub record: Record,
    pub pre: Grid<f32>,
    pub post: Grid<f32>,
    /// Displacement on the pre grid, pixels right and down.
    pub dx: Grid<f32>,
    pub dy: Grid<f32>,
    /// The same motion on the post grid.
    pub inverse_dx: Grid<f32>,
    pub inverse_dy: Grid<f32>,
    /// Distance to the nearest trace in pixels, positive on its right; infinite when there is none.
    pub distance: Grid<f32>,
    pub pre_valid: Grid<bool>,
    pub post_valid: Grid<bool>,
    /// On the post grid: under a cloud, so that nothing of the ground is seen.
    pub hidden: Grid<bool>,
}

/// What all samples of a set share.
pub struct Workshop<'a> {
    pub spec: &'a SetSpec,
    /// Folder of the base images.
    pub folder: &'a Path,
    pub bases: &'a [Base],
    /// Places of each part of the set.
    pub places: &'a [Vec<usize>; 3],
    pub library: Option<&'a Library>,
}

/// The displaced pre-to-post relation of a sample, with its margin.
pub(super) struct Motion {
    pub origin: Origin,
    pub scale: f64,
    pub constant: (f64, f64),
    pub field: FaultedField,
    /// Source of each post pixel, in padded pre coordinates.
    pub sources: Grid<Source>,
    pub largest: f64,
}

impl Workshop<'_> {
    /// Makes sample `index`.
    ///
    /// # Errors
    /// Unreadable images; no valid part of a base image large enough.
    pub fn sample(&self, index: usize) -> Result<Sample> {
        let spec = self.spec;
        let rng = &mut spec.stream(index);
        let (split, class) = (spec.split_of(index), spec.class_of(index));
        let seed = rng.random_range(0..1u64 << 52);
        let mut change = spec.change.draw(rng, seed);
        let (base, post_image) = self.base(split, rng)?;
        if let Some(radar) = &spec.radar {
            return self.radar_sample(index, seed, base, radar, rng);
        }
        let (corner, images) = self.cut(base, rng)?;
        let amplitude = spec.draw_amplitude(class, rng);
        if images.len() < 2 {
            change.mix = 0.0;
        }
        // Vibrations must not drown a small displacement.
        change.jitter = change.jitter.min(0.1 * amplitude);
        let jitter = Jitter::new(change.jitter, seed);
        let motion = self.motion((base.pixel, None), amplitude, &jitter, seed, rng)?;
        let record = Record {
            index,
            split,
            class,
            seed,
            place: base.place,
            pre: base.images[0].clone(),
            post: base.images[post_image].clone(),
            dates: (base.dates[0].clone(), base.dates[post_image].clone()),
            corner,
            origin: motion.origin.clone(),
            scale: motion.scale,
            constant_shift: motion.constant,
            coregistration: if post_image == 1 { base.misregistration.unwrap_or_default() } else { (0.0, 0.0) },
            change,
            largest: motion.largest,
            radar: None,
            stored: (1.0, 0.0),
            traces: Vec::new(),
        };
        let other = (images.len() > 1).then(|| (&images[1 - post_image], base.misregistration.unwrap_or_default()));
        optical(spec, record, motion, &images[0], (&images[post_image], post_image == 1), other)
    }

    /// A base of the part's places, and which of its images is displaced.
    pub(super) fn base(&self, split: Split, rng: &mut rand_pcg::Pcg64) -> Result<(&Base, usize)> {
        let dated_only = self.spec.pairing == Pairing::Dates;
        let usable: Vec<&Base> = self
            .bases
            .iter()
            .filter(|b| self.places[split as usize].contains(&b.place) && (b.images.len() > 1 || !dated_only))
            .collect();
        if usable.is_empty() {
            return Err(Error::Internal(format!("no base image for the {} samples", split.name())));
        }
        let base = usable[rng.random_range(0..usable.len())];
        let second = match self.spec.pairing {
            Pairing::Pre => false,
            Pairing::Dates => true,
            Pairing::Mixed => rng.random_bool(0.5) && base.images.len() > 1,
        };
        Ok((base, usize::from(second)))
    }

    /// The displacement of a sample: an event of its own, or a part of a field of the library.
    pub(super) fn motion(
        &self,
        (pixel, radar): (f64, Option<crate::synth::frame::RadarGeometry>),
        amplitude: f64,
        jitter: &Jitter,
        seed: u64,
        rng: &mut rand_pcg::Pcg64,
    ) -> Result<Motion> {
        let size = self.spec.size;
        let (mut field, origin) = match self.library {
            Some(library) => {
                let part = library.draw(size, MARGIN, rng)?;
                (part.field, part.origin)
            }
            None => {
                let scene = Scene { width: size, height: size, margin: MARGIN, pixel, radar, view: None };
                let (field, record) = make_event(&scene, Wishes::default(), seed)?;
                (field, Origin::Event(Box::new(record)))
            }
        };
        let scale = amplitude / field.largest().max(f64::MIN_POSITIVE);
        field.scale(scale);
        // A residual misregistration that no one took out.
        let constant = match rng.random_bool(0.3) {
            true => (rng.random_range(-0.3..0.3), rng.random_range(-0.3..0.3)),
            false => (0.0, 0.0),
        };
        field.shift(constant.0, constant.1);
        if !jitter.waves.is_empty() {
            for y in 0..field.grid.height {
                let (dx, dy) = jitter.at(y as f64 - MARGIN as f64);
                field.grid.row_mut(y).iter_mut().for_each(|d| (d.dx, d.dy) = (d.dx + dx, d.dy + dy));
            }
        }
        let largest = field.largest();
        let field = field.faulted();
        let sources = sources(&field, field.grid.width, field.grid.height);
        Ok(Motion { origin, scale, constant, field, sources, largest })
    }

    /// A padded part of a base image that is mostly valid on all dates, and its corner without the padding.
    pub(super) fn cut(&self, base: &Base, rng: &mut rand_pcg::Pcg64) -> Result<((i64, i64), Vec<Image>)> {
        const LEAST_VALID: f64 = 0.9;
        let size = self.spec.size;
        let files: Vec<RasterBand> = base
            .images
            .iter()
            .map(|name| {
                let path = self.folder.join(name);
                let options = OpenOptions { band: self.spec.band, ..Default::default() };
                RasterBand::open(&path.to_string_lossy(), options)
            })
            .collect::<Result<_>>()?;
        let mut readers = files.iter().map(ImageFile::open).collect::<Result<Vec<_>>>()?;
        for _ in 0..40 {
            let place = |n: usize, rng: &mut rand_pcg::Pcg64| rng.random_range(0..=(n - size) as i64);
            let (x, y) = (place(base.width, rng), place(base.height, rng));
            let window = Window::new(x, y, size, size).grown(MARGIN);
            let images = readers.iter_mut().map(|r| r.read(window)).collect::<Result<Vec<_>>>()?;
            let good = images.iter().all(|image| {
                let inner = Window::new(MARGIN as i64, MARGIN as i64, size, size);
                let valid = image.valid.crop(inner);
                let share = valid.data.iter().filter(|v| **v).count() as f64 / (size * size) as f64;
                let values = image.values.crop(inner);
                let seen: Vec<f64> = values.data.iter().map(|v| f64::from(*v)).collect();
                share >= LEAST_VALID && moments(&seen).1 > 0.0
            });
            if good {
                return Ok(((x, y), images));
            }
        }
        Err(Error::Data(format!(
            "{}: no part of {size} x {size} pixels is valid and has texture; choose a smaller --size or remove the image",
            base.images[0]
        )))
    }
}

/// Values with gaps filled by the mean, limited to the band.
pub(super) fn prepared(image: &Image, limit: Option<f64>) -> Grid<f64> {
    let valid = image.values.data.iter().zip(&image.valid.data).filter(|(_, ok)| **ok);
    let values: Vec<f64> = valid.map(|(v, _)| f64::from(*v)).collect();
    let (mean, _) = moments(&values);
    let data = image.values.data.iter().zip(&image.valid.data).map(|(v, ok)| if *ok { f64::from(*v) } else { mean });
    let grid = Grid::from_vec(image.width(), image.height(), data.collect());
    match limit {
        Some(kept) => band_limit::limit(&grid, kept),
        None => grid,
    }
}

/// An optical pair: `pre` as it is, `base` displaced (`later`: it is of the second date). `other`: the image of the other
/// date and the second date's misregistration, when there are two.
fn optical(
    spec: &SetSpec,
    record: Record,
    motion: Motion,
    pre: &Image,
    (base, later): (&Image, bool),
    other: Option<(&Image, (f64, f64))>,
) -> Result<Sample> {
    let inner = Window::new(MARGIN as i64, MARGIN as i64, spec.size, spec.size);
    let sources = motion.sources.crop(inner);
    let moved = |(ox, oy): (f64, f64)| sources.map(|s| Source { x: s.x + ox, y: s.y + oy, ..s });
    let displaced = |image: &Image, at: &Grid<Source>| Warper::mirrored(&prepared(image, spec.band_limit)).warp(at);
    let own = moved(record.coregistration);
    let mut pre_image = prepared(pre, spec.band_limit).crop(inner);
    let (seed, noise) = (record.seed, &record.change.noise);

    let post_image = displaced(base, &own);
    let (mean, std) = moments(&post_image.data);
    let std = std.max(f64::MIN_POSITIVE);
    let sign = if record.change.inverted { -1.0 } else { 1.0 };
    let mut ground = post_image.map(|v| sign * (v - mean) / std);
    let mut post_valid = seen(base, &own);
    if let (Some((image, shift)), true) = (other, record.change.mix > 0.0) {
        // The same ground on the other date, moved in the same way.
        let at = moved(if later { (0.0, 0.0) } else { shift });
        let real = standardised(displaced(image, &at));
        let mix = record.change.mix;
        ground.data.iter_mut().zip(&real.data).for_each(|(v, r)| *v = (1.0 - mix) * *v + mix * r);
        ground = standardised(ground);
        post_valid.data.iter_mut().zip(seen(image, &at).data).for_each(|(v, ok)| *v &= ok);
    }
    change_ground(&mut ground, noise, SceneSpectrum::default(), seed);
    let post = observe(&ground, noise, mean, std, seed);
    let (_, pre_std) = moments(&pre_image.data);
    add_white(&mut pre_image, pre_std * noise.white_sigma(), Purpose::NoisePre, seed);
    let hidden = match Clouds::new(spec.size, spec.size, noise.clouds, seed) {
        Some(clouds) => clouds.hidden(),
        None => Grid::filled(spec.size, spec.size, false),
    };
    let pre_valid = clear_of_gaps(&pre.valid, GAP_REACH).crop(inner);
    Ok(Sample { hidden, ..assemble(record, &motion, pre_image, post, (pre_valid, post_valid)) })
}

/// Where the sources are known and clear of the image's gaps.
fn seen(image: &Image, sources: &Grid<Source>) -> Grid<bool> {
    let clear = clear_of_gaps(&image.valid, GAP_REACH);
    let (w, h) = (clear.width as f64 - 1.0, clear.height as f64 - 1.0);
    sources.map(|s| {
        let inside = s.x >= 0.0 && s.y >= 0.0 && s.x <= w && s.y <= h;
        s.covered && inside && clear.get(s.x.round() as usize, s.y.round() as usize)
    })
}

/// Cuts the margin off the truth and puts a sample together.
pub(super) fn assemble(
    mut record: Record,
    motion: &Motion,
    pre: Grid<f64>,
    post: Grid<f64>,
    (pre_valid, post_valid): (Grid<bool>, Grid<bool>),
) -> Sample {
    let inner = Window::new(MARGIN as i64, MARGIN as i64, pre.width, pre.height);
    let truth = motion.field.grid.crop(inner);
    let source = motion.sources.crop(inner);
    let m = MARGIN as f64;
    let (width, height) = (pre.width, pre.height);
    let at = |k: usize| ((k % width) as f64 + m, (k / width) as f64 + m);
    let inverse = |pick: fn((f64, f64), &Source) -> f64| {
        let values = source.data.iter().enumerate().map(|(k, s)| pick(at(k), s) as f32);
        Grid::from_vec(width, height, values.collect())
    };
    let cents = |v: f64| (100.0 * (v - m)).round() / 100.0;
    let points = |l: &PixelLine| l.points.iter().map(|p| (cents(p.0), cents(p.1))).collect();
    record.traces = motion.field.lines().iter().map(points).collect();
    Sample {
        record,
        pre: pre.map(|v| v as f32),
        post: post.map(|v| v as f32),
        dx: truth.map(|d| d.dx as f32),
        dy: truth.map(|d| d.dy as f32),
        inverse_dx: inverse(|p, s| p.0 - s.x),
        inverse_dy: inverse(|p, s| p.1 - s.y),
        distance: motion.field.signed_distance(inner),
        hidden: Grid::filled(width, height, false),
        pre_valid,
        post_valid,
    }
}

impl EventField {
    /// Whether the field is large enough for a part of `size` pixels with its margin.
    pub fn holds(&self, size: usize, margin: usize) -> bool {
        self.grid.width.min(self.grid.height) >= size + 2 * margin
    }
}
