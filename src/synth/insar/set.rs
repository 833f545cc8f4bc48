//! Sets of events for training and testing.

use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use super::arrays::{Contents, arrays, describe};
use super::files;
use super::ground::Rasters;
use super::scene::Scene;
use super::spec::InsarSpec;
use crate::progress::Progress;
use crate::raster::write_png;
use crate::render::{Canvas, figure};
use crate::synth::dataset::queue::{clean, complete, make_folder, record_path, stack, work};
use crate::synth::dataset::spec::{Split, check_split, part_of};
use crate::synth::dataset::store::write_json;
use crate::synth::npy::{UNFINISHED, write_npz};
use crate::synth::random::{Purpose, numbered};
use crate::{Error, Result};

/// How events are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SetFormat {
    /// A folder of files for each event.
    Tif,
    /// Archives of many events stacked along the first axis.
    Shards,
}

/// Everything that decides a set, besides the given rasters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InsarSetSpec {
    pub event: InsarSpec,
    pub count: usize,
    pub seed: u64,
    pub format: SetFormat,
    /// What shards hold.
    pub arrays: Contents,
    /// Events in one shard.
    pub shard: usize,
    /// Shares of the events for training, validation and testing.
    pub split: [f64; 3],
    /// Names of the given rasters.
    pub rasters: Vec<String>,
}

/// What a finished run says.
#[derive(Debug, Clone, Serialize)]
pub struct InsarSetSummary {
    pub output: String,
    pub events: usize,
    pub files: usize,
    /// Files that were there already.
    pub kept: usize,
    /// Events for training, validation and testing.
    pub split: [usize; 3],
}

/// A file, or a folder, and the events in it.
struct Unit {
    path: PathBuf,
    split: Split,
    events: Vec<usize>,
}

/// `set.json`: a run that goes on compares it first.
#[derive(Serialize, Deserialize, PartialEq)]
struct Plan {
    shiftmap: String,
    kind: String,
    spec: InsarSetSpec,
}

const KIND: &str = "simulated interferograms and GNSS series";
/// Events in the picture.
const SHOWN: usize = 6;

impl InsarSetSpec {
    /// # Errors
    /// [`Error::Option`].
    pub fn check(&self) -> Result<()> {
        self.event.check()?;
        check_split(&self.split)?;
        if self.count == 0 || self.count > 10_000_000 {
            return Err(Error::option("--count", self.count, "give a number from 1 to 10 million"));
        }
        if !(1..=4096).contains(&self.shard) {
            return Err(Error::option("--shard", self.shard, "give 1 to 4096 events for a shard"));
        }
        Ok(())
    }

    /// Seed of event `index`: with it alone the same event is made again.
    pub fn seed_of(&self, index: usize) -> u64 {
        numbered(self.seed, Purpose::Sample, index as u64).random_range(0..1u64 << 52)
    }

    fn units(&self, out: &Path) -> Vec<Unit> {
        let mut units = Vec::new();
        for split in Split::ALL {
            let events: Vec<usize> = (0..self.count).filter(|&i| part_of(&self.split, i) == split).collect();
            let folder = out.join(split.name());
            match self.format {
                SetFormat::Shards => units.extend(events.chunks(self.shard).enumerate().map(|(k, part)| Unit {
                    path: folder.join(format!("shard-{k:05}.npz")),
                    split,
                    events: part.to_vec(),
                })),
                SetFormat::Tif => units.extend(events.into_iter().map(|i| Unit {
                    path: folder.join(format!("{i:06}")),
                    split,
                    events: vec![i],
                })),
            }
        }
        units
    }
}

/// Makes what is missing of a set in the folder `out`. The events depend on the specification and the rasters only: not on
/// the number of threads, nor on how often the run was stopped. A stopped run leaves complete files behind.
///
/// # Errors
/// Options out of range, another set in the same folder, [`Error::Cancelled`].
pub fn make(
    spec: &InsarSetSpec,
    rasters: &Rasters,
    out: &str,
    threads: usize,
    progress: &mut dyn Progress,
) -> Result<InsarSetSummary> {
    spec.check()?;
    let folder = Path::new(out);
    begin(spec, folder)?;
    let units = spec.units(folder);
    let mut split = [0; 3];
    units.iter().for_each(|u| split[u.split as usize] += u.events.len());
    for part in Split::ALL.into_iter().filter(|p| split[*p as usize] > 0) {
        make_folder(&folder.join(part.name()))?;
        clean(&folder.join(part.name()))?;
    }
    let missing: Vec<&Unit> = units.iter().filter(|u| !complete(&u.path)).collect();
    let kept = units.len() - missing.len();
    let there = kept as f64 / units.len() as f64;
    let mut all = |fraction: f64, text: &str| progress.report(0.99 * (there + (1.0 - there) * fraction), text);
    work(&missing, threads, |unit| make_unit(spec, rasters, unit), &mut all)?;
    write_json(&folder.join("index.json"), &index(&units, folder))?;
    overview(spec, rasters, folder)?;
    write_json(&folder.join("card.json"), &card(spec, split))?;
    progress.report(1.0, "done");
    Ok(InsarSetSummary { output: out.into(), events: spec.count, files: units.len(), kept, split })
}

/// Checks that the folder is free, or holds the beginning of the same set.
fn begin(spec: &InsarSetSpec, out: &Path) -> Result<()> {
    let plan = Plan { shiftmap: crate::VERSION.into(), kind: KIND.into(), spec: spec.clone() };
    let fail = |why: &str| Err(Error::Write { path: out.display().to_string(), why: why.into() });
    let path = out.join("set.json");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return match serde_json::from_str::<Plan>(&text) {
            Ok(there) if there == plan => clean(out),
            _ => fail("another set is in this folder: choose another folder, or repeat its options to go on with it"),
        };
    }
    if out.is_dir() && std::fs::read_dir(out).is_ok_and(|mut d| d.next().is_some()) {
        return fail("the folder is not empty and holds no set; choose another one");
    }
    make_folder(out)?;
    write_json(&path, &plan)
}

fn event(spec: &InsarSetSpec, rasters: &Rasters, index: usize) -> Result<Scene> {
    let seed = spec.seed_of(index);
    Scene::new(&spec.event, rasters.ground(&spec.event, seed)?, seed)
}

fn make_unit(spec: &InsarSetSpec, rasters: &Rasters, unit: &Unit) -> Result<()> {
    if spec.format == SetFormat::Tif {
        return write_folder(&unit.path, &event(spec, rasters, unit.events[0])?, &spec.event);
    }
    let (mut parts, mut records) = (Vec::new(), Vec::new());
    for &index in &unit.events {
        let scene = event(spec, rasters, index)?;
        parts.push(arrays(&scene, spec.arrays)?);
        records.push(scene.record);
    }
    let arrays = stack(&parts)?;
    write_json(&record_path(&unit.path), &records)?;
    write_npz(&unit.path, &arrays)
}

/// The files of an event in a folder that appears when it is complete.
fn write_folder(path: &Path, scene: &Scene, spec: &InsarSpec) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let work = path.with_file_name(format!("{UNFINISHED}{name}"));
    let fail = |e: std::io::Error| Error::Write { path: path.display().to_string(), why: e.to_string() };
    std::fs::create_dir_all(&work).map_err(fail)?;
    files::write_to(&|name| work.join(name).to_string_lossy().into_owned(), scene, spec)?;
    std::fs::rename(&work, path).map_err(fail)
}

fn index(units: &[Unit], out: &Path) -> serde_json::Value {
    let file = |u: &Unit| u.path.strip_prefix(out).unwrap_or(&u.path).to_string_lossy().replace('\\', "/");
    let files: Vec<serde_json::Value> =
        units.iter().map(|u| serde_json::json!({ "file": file(u), "split": u.split, "events": u.events })).collect();
    serde_json::json!({ "files": files })
}

/// Up to 6 events, evenly spread over the set.
fn overview(spec: &InsarSetSpec, rasters: &Rasters, out: &Path) -> Result<()> {
    let number = spec.count.min(SHOWN);
    let mut rows: Vec<Vec<Canvas>> = Vec::new();
    for k in 0..number {
        let scene = event(spec, rasters, k * spec.count / number)?;
        rows.push(files::panels(&scene, 160).into_iter().flatten().collect());
    }
    let picture = figure("", &rows);
    write_png(&out.join("overview.png").to_string_lossy(), picture.width, picture.height, &picture.rgb, true)
}

/// `card.json`: what the set is, for whoever uses it.
fn card(spec: &InsarSetSpec, split: [usize; 3]) -> serde_json::Value {
    serde_json::json!({
        "kind": KIND,
        "shiftmap": crate::VERSION,
        "events": spec.count,
        "train": split[0], "validation": split[1], "test": split[2],
        "unit": "m; line of sight positive towards the satellite",
        "arrays": describe(spec.arrays),
        "records": "the .json beside each shard: source, tracks, noise and seed of each event; `synth insar OUT --seed SEED` with \
                    the options of the set makes that event again",
        "spec": spec,
        "licences": "simulated data are free to use; given rasters keep the licences of their sources",
    })
}
