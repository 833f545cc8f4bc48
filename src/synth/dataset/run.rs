//! Making a set: what there is to do, in parallel, so that a stopped run goes on where it ended.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use super::bases::{Base, find};
use super::coregister::measure;
use super::library::{FieldRecord, Library, StoredField, flatten};
use super::overview;
use super::queue::{clean, complete, make_folder, record_path, stack, work};
use super::sample::{MARGIN, Sample, Workshop};
use super::spec::{Content, Format, Pairing, SetSpec, Split};
use super::store::{arrays, choose_storage, describe_pairs, no_georef, write_folder, write_json};
use crate::progress::Progress;
use crate::raster::{OpenOptions, RasterBand, compare};
use crate::synth::event::{Scene, make_event};
use crate::synth::npy::{Array, Data, write_npz};
use crate::synth::random::{Purpose, stream};
use crate::synth::rupture::Wishes;
use crate::{Error, Result};

/// A set to be made.
#[derive(Debug, Clone)]
pub struct SetJob {
    pub spec: SetSpec,
    /// Folder of the results.
    pub out: String,
    /// Folder of the base images; not needed for fields.
    pub images: Option<String>,
    /// Folder of a set of fields to take the displacements from.
    pub fields: Option<String>,
    pub threads: usize,
}

/// `set.json`: what the set is made from; a run that goes on compares it first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Plan {
    shiftmap: String,
    spec: SetSpec,
    /// Fields to take the displacements from.
    library: Option<String>,
    bases: Vec<Base>,
    /// Places of the three parts of the set.
    places: [Vec<usize>; 3],
}

/// What a finished run says.
#[derive(Debug, Clone, Serialize)]
pub struct SetSummary {
    pub output: String,
    pub samples: usize,
    /// Files that were there already.
    pub kept: usize,
    pub files: usize,
    /// Samples for training, validation and testing.
    pub split: [usize; 3],
    pub places: [usize; 3],
}

/// One file (or folder) to make, and the samples in it.
pub(super) struct Unit {
    pub path: PathBuf,
    pub split: Split,
    pub samples: Vec<usize>,
}

impl SetJob {
    /// Makes what is missing of the set. `note` receives messages for the user.
    ///
    /// The samples depend on the specification and the images only: not on the number of threads, nor on how often the run was
    /// stopped. A stopped run leaves complete files behind.
    ///
    /// # Errors
    /// Options out of range, no usable images, another set in the same folder, [`Error::Cancelled`].
    pub fn run(&self, note: &mut dyn FnMut(&str), progress: &mut dyn Progress) -> Result<SetSummary> {
        self.spec.check()?;
        let out = Path::new(&self.out);
        let plan = self.plan(out, note, progress)?;
        let spec = &plan.spec;
        let units = units(spec, out);
        let mut split = [0; 3];
        units.iter().for_each(|u| split[u.split as usize] += u.samples.len());
        for part in Split::ALL.into_iter().filter(|p| split[*p as usize] > 0) {
            make_folder(&out.join(part.name()))?;
        }
        let libraries = self.libraries(&split)?;
        let folder = self.images.as_deref().map(PathBuf::from).unwrap_or_default();
        let make = |unit: &Unit| {
            let library = libraries[unit.split as usize].as_ref();
            let shop = Workshop { spec, folder: &folder, bases: &plan.bases, places: &plan.places, library };
            make_unit(&shop, unit)
        };
        let missing: Vec<&Unit> = units.iter().filter(|u| !complete(&u.path)).collect();
        let kept = units.len() - missing.len();
        let there = kept as f64 / units.len() as f64;
        let mut all =
            |fraction: f64, text: &str| progress.report(0.05 + 0.94 * (there + (1.0 - there) * fraction), text);
        work(&missing, self.threads, make, &mut all)?;
        write_json(&out.join("index.json"), &index(&plan, &units, out))?;
        overview::draw(spec, &units, out)?;
        write_json(&out.join("card.json"), &card(&plan, &split))?;
        progress.report(1.0, "done");
        let places = [0, 1, 2].map(|k: usize| plan.places[k].len());
        Ok(SetSummary { output: self.out.clone(), samples: spec.count, kept, files: units.len(), split, places })
    }

    /// Reads the plan of a run that was stopped, or makes it.
    fn plan(&self, out: &Path, note: &mut dyn FnMut(&str), progress: &mut dyn Progress) -> Result<Plan> {
        let path = out.join("set.json");
        if let Ok(text) = std::fs::read_to_string(&path) {
            let plan: Plan = serde_json::from_str(&text).map_err(|e| Error::Read {
                path: path.display().to_string(),
                why: format!("{e}; choose another folder"),
            })?;
            if plan.spec != self.spec || plan.library != self.fields || plan.shiftmap != crate::VERSION {
                let why =
                    "another set is in this folder: choose another folder, or repeat its options to go on with it";
                return Err(Error::Write { path: self.out.clone(), why: why.into() });
            }
            for split in Split::ALL {
                clean(&out.join(split.name()))?;
            }
            clean(out)?;
            return Ok(plan);
        }
        if out.is_dir() && std::fs::read_dir(out).is_ok_and(|mut d| d.next().is_some()) {
            let why = "the folder is not empty and holds no set; choose another one";
            return Err(Error::Write { path: self.out.clone(), why: why.into() });
        }
        let bases = self.bases(note, progress)?;
        let places = match bases.is_empty() {
            true => [vec![], vec![], vec![]],
            false => divide(&bases, &self.spec)?,
        };
        make_folder(out)?;
        let plan = Plan {
            shiftmap: crate::VERSION.into(),
            spec: self.spec.clone(),
            library: self.fields.clone(),
            bases,
            places,
        };
        write_json(&path, &plan)?;
        Ok(plan)
    }

    /// The base images that are of use, dated ones with their misregistration.
    fn bases(&self, note: &mut dyn FnMut(&str), progress: &mut dyn Progress) -> Result<Vec<Base>> {
        let spec = &self.spec;
        if spec.content == Content::Fields {
            return Ok(Vec::new());
        }
        let folder = self.images.as_deref().ok_or_else(|| {
            Error::option("--images", "", "pairs and windows are cut from images: give a folder of them")
        })?;
        let mut bases = find(folder, spec.band)?;
        let radar = spec.radar.is_some();
        bases.retain(|b| {
            let dated = spec.pairing != Pairing::Dates || b.images.len() > 1;
            let large = b.width.min(b.height) >= spec.size + if radar { 2 * MARGIN } else { 0 };
            b.complex == radar && dated && large
        });
        if bases.is_empty() {
            let kind = match (radar, spec.pairing) {
                (true, _) => "no complex radar image",
                (_, Pairing::Dates) => "no two images of different dates on the same grid",
                _ => "no image",
            };
            let why = format!("{kind} of at least {} pixels on each side in it", spec.size);
            return Err(Error::Open { path: folder.into(), why });
        }
        let total = bases.len() as f64;
        for k in 0..bases.len() {
            let base = &mut bases[k];
            if base.images.len() < 2 || spec.pairing == Pairing::Pre {
                base.images.truncate(1);
                base.dates.truncate(1);
                continue;
            }
            let open = |name: &String| {
                let options = OpenOptions { band: spec.band, ..Default::default() };
                RasterBand::open(&Path::new(folder).join(name).to_string_lossy(), options)
            };
            let (first, second) = (open(&base.images[0])?, open(&base.images[1])?);
            let mut part = |fraction: f64, text: &str| progress.report(0.05 * (k as f64 + fraction) / total, text);
            match measure(&first, &second, compare(&first, &second)?, self.threads, &mut part) {
                Ok((shift, scatter)) => {
                    base.misregistration = Some(shift);
                    base.misregistration_scatter = Some(scatter);
                }
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(e) => {
                    note(&format!("{}: used with one date only ({e})", base.images[0]));
                    base.images.truncate(1);
                    base.dates.truncate(1);
                }
            }
        }
        if spec.pairing == Pairing::Dates {
            bases.retain(|b| b.images.len() > 1);
        }
        match bases.is_empty() {
            true => Err(Error::Open { path: folder.into(), why: "no two dates match each other".into() }),
            false => Ok(bases),
        }
    }

    /// The fields for each part of the set: those of the same part of the library where it has it, so that no field is seen in
    /// two parts.
    fn libraries(&self, split: &[usize; 3]) -> Result<[Option<Library>; 3]> {
        let mut out = [None, None, None];
        let Some(folder) = &self.fields else { return Ok(out) };
        for part in Split::ALL.into_iter().filter(|p| split[*p as usize] > 0) {
            let library = Library::read(&Path::new(folder).join(part.name()))?;
            let most = library.size.saturating_sub(2 * MARGIN);
            if self.spec.size > most {
                let why = format!("the fields of {folder} have {} pixels, enough for --size {most}", library.size);
                return Err(Error::option("--size", self.spec.size, why));
            }
            out[part as usize] = Some(library);
        }
        Ok(out)
    }
}

/// Gives every place to one part of the set, in a random order, so that the parts get their shares of the places.
fn divide(bases: &[Base], spec: &SetSpec) -> Result<[Vec<usize>; 3]> {
    let mut places: Vec<usize> = bases.iter().map(|b| b.place).collect();
    places.sort_unstable();
    places.dedup();
    places.shuffle(&mut stream(spec.seed, Purpose::Sample));
    let wanted = spec.split.iter().filter(|s| **s > 0.0).count();
    if places.len() < wanted {
        let why = format!(
            "the images show {} place(s), too few for {wanted} parts: add images, or ask for fewer parts, e.g. 1,0,0",
            places.len()
        );
        return Err(Error::option("--split", format!("{:?}", spec.split), why));
    }
    // One for each part that is wanted, the rest where most is missing.
    let mut out = [vec![], vec![], vec![]];
    let total = places.len() as f64;
    for (k, place) in places.into_iter().enumerate() {
        let missing = |part: usize| spec.split[part] * total - out[part].len() as f64;
        let empty = (0..3).find(|&p| spec.split[p] > 0.0 && out[p].is_empty());
        let part = match empty {
            Some(part) if k < wanted => part,
            _ => {
                (0..3).filter(|&p| spec.split[p] > 0.0).max_by(|&a, &b| missing(a).total_cmp(&missing(b))).unwrap_or(0)
            }
        };
        out[part].push(place);
    }
    out.iter_mut().for_each(|p| p.sort_unstable());
    Ok(out)
}

/// The files of a set.
fn units(spec: &SetSpec, out: &Path) -> Vec<Unit> {
    let stacked = spec.format == Format::Shards || spec.content != Content::Pairs;
    let mut units = Vec::new();
    for split in Split::ALL {
        let samples: Vec<usize> = (0..spec.count).filter(|&i| spec.split_of(i) == split).collect();
        if stacked {
            for (k, part) in samples.chunks(spec.shard).enumerate() {
                let path = out.join(split.name()).join(format!("shard-{k:05}.npz"));
                units.push(Unit { path, split, samples: part.to_vec() });
            }
        } else {
            for i in samples {
                let end = if spec.format == Format::Npz { ".npz" } else { "" };
                let name = format!("{i:06}_{}_sample{end}", spec.class_of(i));
                units.push(Unit { path: out.join(split.name()).join(name), split, samples: vec![i] });
            }
        }
    }
    units
}

fn make_unit(shop: &Workshop, unit: &Unit) -> Result<()> {
    let spec = shop.spec;
    match (spec.content, spec.format) {
        (Content::Fields, _) => fields(shop, unit),
        (Content::Windows, _) => windows(shop, unit),
        (Content::Pairs, Format::Npz) => {
            let sample = finished(shop, unit.samples[0])?;
            write_json(&record_path(&unit.path), &sample.record)?;
            write_npz(&unit.path, &arrays(&sample))
        }
        (Content::Pairs, Format::Tif) => {
            let sample = finished(shop, unit.samples[0])?;
            let path = shop.folder.join(&sample.record.pre);
            let georef = match spec.radar {
                Some(_) => no_georef(),
                None => RasterBand::open(&path.to_string_lossy(), OpenOptions::default())?.georef().clone(),
            };
            write_folder(&unit.path, &sample, &georef)
        }
        (Content::Pairs, Format::Shards) => {
            let (mut parts, mut records) = (Vec::new(), Vec::new());
            for &i in &unit.samples {
                let sample = finished(shop, i)?;
                parts.push(arrays(&sample));
                records.push(sample.record);
            }
            let stacked = stack(&parts)?;
            write_json(&record_path(&unit.path), &records)?;
            write_npz(&unit.path, &stacked)
        }
    }
}

fn finished(shop: &Workshop, index: usize) -> Result<Sample> {
    let mut sample = shop.sample(index)?;
    choose_storage(&mut sample);
    Ok(sample)
}

fn fields(shop: &Workshop, unit: &Unit) -> Result<()> {
    use rand::RngExt;
    let spec = shop.spec;
    let (mut stored, mut records) = (Vec::new(), Vec::new());
    for &index in &unit.samples {
        let rng = &mut spec.stream(index);
        let seed = rng.random_range(0..1u64 << 52);
        let radar = spec.radar.as_ref().map(|r| r.geometries[rng.random_range(0..r.geometries.len())]);
        let scene = Scene { width: spec.size, height: spec.size, margin: 0, pixel: spec.pixel, radar, view: None };
        let (mut field, event) = make_event(&scene, Wishes::default(), seed)?;
        let unit_length = field.largest();
        field.scale(1.0 / unit_length.max(f64::MIN_POSITIVE));
        stored.push(StoredField::new(&field));
        records.push(FieldRecord { index, seed, pixels_per_unit: unit_length, event });
    }
    let parts: Vec<Vec<(&'static str, Array)>> =
        stored.iter().map(|s| vec![("field", s.field.clone()), ("distance", s.distance.clone())]).collect();
    let mut arrays = stack(&parts)?;
    arrays.extend(flatten(&stored));
    write_json(&record_path(&unit.path), &records)?;
    write_npz(&unit.path, &arrays)
}

fn windows(shop: &Workshop, unit: &Unit) -> Result<()> {
    let (mut parts, mut records) = (Vec::new(), Vec::new());
    for &index in &unit.samples {
        let window = shop.window(index)?;
        let r = &window.record;
        let size = shop.spec.size;
        let pair = |v: (f64, f64)| Array::new(&[2], Data::F32(vec![v.0 as f32, v.1 as f32]));
        let image = |g: &crate::grid::Grid<f32>| Array::new(&[size, size], Data::F32(g.data.clone()));
        let line = r.line.unwrap_or((0.0, 0.0, 0.0));
        parts.push(vec![
            ("pre", image(&window.pre)),
            ("post", image(&window.post)),
            ("shift", pair(r.shift)),
            ("other", pair(r.other.unwrap_or(r.shift))),
            ("line", Array::new(&[3], Data::F32([line.0, line.1, line.2].map(|v| v as f32).to_vec()))),
            ("discontinuous", Array::new(&[], Data::U8(vec![u8::from(r.other.is_some())]))),
        ]);
        records.push(window.record);
    }
    let arrays = stack(&parts)?;
    write_json(&record_path(&unit.path), &records)?;
    write_npz(&unit.path, &arrays)
}

/// `index.json`: every file with its samples.
fn index(plan: &Plan, units: &[Unit], out: &Path) -> serde_json::Value {
    let files: Vec<serde_json::Value> = units
        .iter()
        .map(|u| {
            let file = u.path.strip_prefix(out).unwrap_or(&u.path).to_string_lossy().replace('\\', "/");
            let classes: Vec<u8> = u.samples.iter().map(|&i| plan.spec.class_of(i)).collect();
            serde_json::json!({ "file": file, "split": u.split, "samples": u.samples, "classes": classes })
        })
        .collect();
    serde_json::json!({ "files": files })
}

/// `card.json`: what the set is, for whoever uses it.
fn card(plan: &Plan, split: &[usize; 3]) -> serde_json::Value {
    let spec = &plan.spec;
    let arrays = match spec.content {
        Content::Pairs => describe_pairs(),
        Content::Fields => serde_json::json!({
            "field": "float16 [N, 2, H, W]: displacement right and down on the pre grid, largest length 1; times \
                      pixels_per_unit of the record: pixels of the simulated event",
            "distance": "float16 [N, H, W]: distance to the nearest fault trace in pixels, positive on its right",
            "trace_points": "float32 [P, 2]: points (column, row) of all traces of the shard",
            "trace_jumps": "float32 [P, 2]: jump (right, down) across the trace there: value on its right minus value on its left",
            "trace_starts": "int32 [T + 1]: first point of each trace",
            "field_traces": "int32 [N + 1]: first trace of each field",
        }),
        Content::Windows => serde_json::json!({
            "pre": "float32 [N, W, W]: window of the first image",
            "post": "float32 [N, W, W]: the same window of the second image",
            "shift": "float32 [N, 2]: displacement right and down at the centre of the window, pixels: pre(x) = post(x + d)",
            "other": "float32 [N, 2]: displacement beyond the discontinuity; equal to shift for rigid windows",
            "line": "float32 [N, 3]: unit normal (x, y) of the discontinuity, towards the centre's side, and its distance from the centre",
            "discontinuous": "uint8 [N]: 1 where the window has a discontinuity",
        }),
    };
    let licences = "the images keep the licences of their sources; simulated parts are free to use";
    serde_json::json!({
        "kind": "simulated earthquakes with known displacement",
        "shiftmap": plan.shiftmap,
        "content": spec.content,
        "samples": spec.count,
        "train": split[0], "validation": split[1], "test": split[2],
        "split_by": "place: no ground is seen in two parts",
        "sign": "a feature at x in pre is at x + d(x) in post; dx to the right, dy downwards, in pixels; tif: east and north",
        "class_limits_px": super::spec::CLASSES,
        "arrays": arrays,
        "change": "`change` of a record says how the dates differ: snr_db (white noise), rho (correlation of the ground; the \
                   rest is other texture), change and reversed (share of the area with something else, or with dark and \
                   bright exchanged), inverted (all of it exchanged), mix (share of the other date's real image), clouds \
                   (share of the area, shadows beside them), gain, bias, shading (light), blur (px), stripes (share of the \
                   scene's deviation), jitter (vibrations, px; part of the displacement). 0, 1 or null: none",
        "spec": spec,
        "library": plan.library,
        "bases": plan.bases,
        "places": plan.places,
        "licences": licences,
    })
}
