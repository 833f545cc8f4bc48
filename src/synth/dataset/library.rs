//! A library of displacement fields without images, for samples that are made while training.

use half::f16;
use rand::RngExt;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};
use std::path::Path;

use super::sample::Origin;
use crate::field::PixelShift;
use crate::grid::{Grid, Window};
use crate::synth::event::{EventField, EventRecord};
use crate::synth::faulted::PixelLine;
use crate::synth::npy::{Array, Data, read_npz};
use crate::{Error, Result};

/// What the index of a shard says about one of its fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldRecord {
    pub index: usize,
    pub seed: u64,
    /// Pixels of displacement for one unit of the stored numbers, whose largest length is 1.
    pub pixels_per_unit: f64,
    pub event: EventRecord,
}

/// Fields held in memory, as stored: their largest displacement is 1.
pub struct Library {
    fields: Vec<EventField>,
    pub size: usize,
}

/// A part of a field.
pub struct Part {
    pub field: EventField,
    pub origin: Origin,
}

/// The arrays of one field before stacking: numbers `field` f16 [2, H, W] (right, down), `distance` f16 [H, W].
pub struct StoredField {
    pub field: Array,
    pub distance: Array,
    pub lines: Vec<PixelLine>,
}

impl StoredField {
    /// Rounds a field, scaled to a largest displacement of 1, to 16 bits.
    pub fn new(field: &EventField) -> StoredField {
        let (w, h) = (field.grid.width, field.grid.height);
        let component = |pick: fn(&PixelShift) -> f64| field.grid.data.iter().map(move |d| f16::from_f64(pick(d)));
        let numbers: Vec<f16> = component(|d| d.dx).chain(component(|d| d.dy)).collect();
        let distance = field.faulted().signed_distance(Window::new(0, 0, w, h));
        StoredField {
            field: Array::new(&[2, h, w], Data::F16(numbers)),
            distance: Array::new(&[h, w], Data::F16(distance.data.iter().map(|&v| f16::from_f32(v)).collect())),
            lines: field.lines.clone(),
        }
    }
}

/// The lines of several fields as flat arrays: points, jumps, where each line starts, and which lines a field has.
pub fn flatten(fields: &[StoredField]) -> Vec<(&'static str, Array)> {
    let (mut points, mut jumps, mut starts, mut first) = (Vec::new(), Vec::new(), vec![0i32], vec![0i32]);
    for field in fields {
        for line in &field.lines {
            points.extend(line.points.iter().flat_map(|p| [p.0 as f32, p.1 as f32]));
            jumps.extend(line.jump.iter().flat_map(|j| [j[0] as f32, j[1] as f32]));
            starts.push((points.len() / 2) as i32);
        }
        first.push(starts.len() as i32 - 1);
    }
    let n = points.len() / 2;
    vec![
        ("trace_points", Array::new(&[n, 2], Data::F32(points))),
        ("trace_jumps", Array::new(&[n, 2], Data::F32(jumps))),
        ("trace_starts", Array::new(&[starts.len()], Data::I32(starts))),
        ("field_traces", Array::new(&[first.len()], Data::I32(first))),
    ]
}

impl Library {
    /// Reads the shards of one part of a set (`train`, `validation` or `test`) of fields.
    ///
    /// # Errors
    /// [`Error::Open`] when the folder holds no such shards; [`Error::Read`] for damaged ones.
    pub fn read(folder: &Path) -> Result<Library> {
        let fail = |why: &str| Error::Open { path: folder.display().to_string(), why: why.into() };
        let none = "no shards of fields in it; make them with `shiftmap synth dataset --content fields`";
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .map_err(|_| fail(none))?
            .filter_map(|e| Some(e.ok()?.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "npz"))
            .collect();
        paths.sort();
        let mut fields = Vec::new();
        for path in &paths {
            let arrays = read_npz(path)?;
            let damaged = || Error::Read { path: path.display().to_string(), why: "not a shard of fields".into() };
            fields.extend(unpack(&arrays).ok_or_else(damaged)?);
        }
        let size = fields.iter().map(|f| f.grid.width.min(f.grid.height)).min().ok_or_else(|| fail(none))?;
        Ok(Library { fields, size })
    }

    pub fn len(&self) -> usize {
        self.fields.len()
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Part of a random field, turned or mirrored at random.
    ///
    /// # Errors
    /// [`Error::Option`] when the fields are too small.
    pub fn draw(&self, size: usize, margin: usize, rng: &mut Pcg64) -> Result<Part> {
        let number = rng.random_range(0..self.fields.len());
        let field = &self.fields[number];
        if !field.holds(size, margin) {
            let most = self.size.saturating_sub(2 * margin);
            let why = format!("the fields of the library have {} pixels, enough for --size {most}", self.size);
            return Err(Error::option("--size", size, why));
        }
        let corner = |n: usize, rng: &mut Pcg64| rng.random_range(0..=n - size - 2 * margin);
        let (x, y) = (corner(field.grid.width, rng), corner(field.grid.height, rng));
        let symmetry = rng.random_range(0..8u8);
        let part = field.crop(x, y, size, size, margin).turned(symmetry);
        Ok(Part { field: part, origin: Origin::Library { field: number, x, y, symmetry } })
    }
}

fn unpack(arrays: &[(String, Array)]) -> Option<Vec<EventField>> {
    let find = |name: &str| arrays.iter().find(|a| a.0 == name).map(|a| &a.1);
    let floats = |name: &str| match &find(name)?.data {
        Data::F32(v) => Some(v),
        _ => None,
    };
    let whole = |name: &str| match &find(name)?.data {
        Data::I32(v) => Some(v),
        _ => None,
    };
    let field = find("field")?;
    let &[n, 2, h, w] = field.shape.as_slice() else { return None };
    let Data::F16(numbers) = &field.data else { return None };
    let (points, jumps) = (floats("trace_points")?, floats("trace_jumps")?);
    let (starts, first) = (whole("trace_starts")?, whole("field_traces")?);
    let pair = |v: &[f32], k: usize| Some((f64::from(*v.get(2 * k)?), f64::from(*v.get(2 * k + 1)?)));
    (0..n)
        .map(|i| {
            let at = |c: usize, k: usize| numbers[(2 * i + c) * w * h + k].to_f64();
            let data = (0..w * h).map(|k| PixelShift::new(at(0, k), at(1, k))).collect();
            let lines = (*first.get(i)?..*first.get(i + 1)?).map(|l| {
                let range = *starts.get(l as usize)? as usize..*starts.get(l as usize + 1)? as usize;
                Some(PixelLine {
                    points: range.clone().map(|k| pair(points, k)).collect::<Option<_>>()?,
                    jump: range.map(|k| pair(jumps, k).map(|j| [j.0, j.1])).collect::<Option<_>>()?,
                })
            });
            let lines = lines.collect::<Option<_>>()?;
            Some(EventField { grid: Grid::from_vec(w, h, data), lines, margin: 0 })
        })
        .collect()
}
