//! A picture of some samples of a set, read back from its files.

use std::path::Path;

use super::run::Unit;
use super::spec::{Content, Format, SetSpec};
use crate::grid::Grid;
use crate::raster::{read_all_bands, write_png};
use crate::render::colour::round_up;
use crate::render::{Canvas, Panel, Scale, figure};
use crate::synth::npy::{Array, Data, read_npz};
use crate::synth::spectrum::quantile;
use crate::{Error, Result};

/// Name of the picture.
pub const FILE: &str = "overview.png";
/// Most samples in it.
const SAMPLES: usize = 12;
/// Samples side by side.
const COLUMNS: usize = 2;
/// Width of a map in the picture.
const WIDTH: usize = 192;

/// Draws up to 12 samples, evenly spread over the set: both images and the displacement to the east and north (radar: to the
/// right and down), each with its own scale; fields without images: the displacement only.
///
/// # Errors
/// [`Error::Read`] for damaged files, [`Error::Write`].
pub fn draw(spec: &SetSpec, units: &[Unit], out: &Path) -> Result<()> {
    let number = spec.count.min(SAMPLES);
    let mut rows: Vec<Vec<Canvas>> = Vec::new();
    for k in 0..number {
        let index = k * spec.count / number;
        let found = units.iter().find_map(|u| Some((u, u.samples.iter().position(|&s| s == index)?)));
        let Some((unit, position)) = found else { continue };
        let panels = match (spec.content, spec.format) {
            (Content::Pairs, Format::Tif) => folder(&unit.path, index)?,
            _ => archive(spec, &unit.path, index, position)?,
        };
        match rows.last_mut() {
            Some(row) if k % COLUMNS != 0 => row.extend(panels),
            _ => rows.push(panels),
        }
    }
    let picture = figure("", &rows);
    let path = out.join(FILE);
    write_png(&path.to_string_lossy(), picture.width, picture.height, &picture.rgb, true)
}

type Lines = Vec<Vec<(f64, f64)>>;

/// A sample that is a folder of images.
fn folder(path: &Path, index: usize) -> Result<Vec<Canvas>> {
    let read = |name: &str| read_all_bands(&path.join(name).to_string_lossy());
    let image = |name: &str| -> Result<Grid<f32>> {
        let band = read(name)?.bands.swap_remove(0);
        let values = band.values.data.iter().zip(&band.valid.data).map(|(v, ok)| if *ok { *v } else { f32::NAN });
        Ok(Grid::from_vec(band.width(), band.height(), values.collect()))
    };
    let (pre, post) = (image("pre.tif")?, image("post.tif")?);
    let truth = read("truth.tif")?;
    let unit = truth.units.first().cloned().unwrap_or_default();
    let [east, north] = &truth.bands[..] else {
        return Err(Error::Read { path: path.display().to_string(), why: "truth.tif has not two bands".into() });
    };
    let lines = traces(&path.join("sample.json"), None);
    let mut panels = vec![grey(&format!("{index} pre"), &pre), grey("post", &post)];
    panels.extend(vectors(["east", "north"], [&east.values, &north.values], &unit, &lines));
    Ok(panels)
}

/// A sample that is an archive, or a part of one (`position`).
fn archive(spec: &SetSpec, path: &Path, index: usize, position: usize) -> Result<Vec<Canvas>> {
    let arrays = read_npz(path)?;
    let stacked = spec.content != Content::Pairs || spec.format == Format::Shards;
    let position = stacked.then_some(position);
    let grid = |name: &str, layer: usize| {
        let array = arrays.iter().find(|a| a.0 == name).map(|a| &a.1);
        array
            .and_then(|a| part(a, position, layer))
            .ok_or_else(|| Error::Read { path: path.display().to_string(), why: format!("it has no array {name}") })
    };
    let lines = traces(&path.with_extension("json"), position);
    if spec.content == Content::Fields {
        let (dx, dy) = (grid("field", 0)?, grid("field", 1)?);
        return Ok(vectors(["dx", "dy"], [&dx, &dy], "of largest", &lines));
    }
    let seen =
        |g: Grid<f32>| if spec.content == Content::Pairs { g.map(|v| if v == 0.0 { f32::NAN } else { v }) } else { g };
    let (pre, post) = (seen(grid("pre", 0)?), seen(grid("post", 0)?));
    let mut panels = vec![grey(&format!("{index} pre"), &pre), grey("post", &post)];
    if spec.content == Content::Pairs {
        let (dx, dy) = (grid("dx", 0)?, grid("dy", 0)?);
        panels.extend(match spec.radar {
            Some(_) => vectors(["range", "azimuth"], [&dx, &dy], "px", &lines),
            None => vectors(["east", "north"], [&dx, &dy.map(|v| -v)], "px", &lines),
        });
    }
    Ok(panels)
}

/// The last two axes of an array: of sample `position` and, where there is one more axis, of that `layer`.
fn part(array: &Array, position: Option<usize>, layer: usize) -> Option<Grid<f32>> {
    let [.., h, w] = array.shape[..] else { return None };
    let size = h * w;
    let layers = array.shape[..array.shape.len() - 2].iter().skip(usize::from(position.is_some())).product::<usize>();
    let start = (position.unwrap_or(0) * layers.max(1) + layer) * size;
    let range = start..start + size;
    let values = match &array.data {
        Data::F32(v) => v.get(range)?.to_vec(),
        Data::U16(v) => v.get(range)?.iter().map(|&v| f32::from(v)).collect(),
        Data::F16(v) => v.get(range)?.iter().map(|v| v.to_f32()).collect(),
        _ => return None,
    };
    Some(Grid::from_vec(w, h, values))
}

/// The traces in a record; none where it has none.
fn traces(path: &Path, position: Option<usize>) -> Lines {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let Ok(record) = serde_json::from_str::<serde_json::Value>(&text) else { return Lines::new() };
    let record = match position {
        Some(k) => &record[k],
        None => &record,
    };
    serde_json::from_value(record["traces"].clone()).unwrap_or_default()
}

/// An image without its trace, which would hide what there is to see.
fn grey(title: &str, image: &Grid<f32>) -> Canvas {
    let values: Vec<f64> = image.data.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v)).collect();
    let (low, high) = if values.is_empty() { (0.0, 1.0) } else { (quantile(&values, 0.01), quantile(&values, 0.99)) };
    let scale = Scale::Grey { low, high: high.max(low + 1e-6) };
    Panel { title, values: image, scale, unit: None, lines: &[] }.draw(WIDTH)
}

fn vectors(titles: [&str; 2], values: [&Grid<f32>; 2], unit: &str, lines: &[Vec<(f64, f64)>]) -> Vec<Canvas> {
    let all: Vec<f64> =
        values.iter().flat_map(|g| &g.data).filter(|v| v.is_finite()).map(|v| f64::from(v.abs())).collect();
    let limit = round_up(if all.is_empty() { 1.0 } else { quantile(&all, 0.998) });
    let panel = |(title, values): (&str, &Grid<f32>)| {
        Panel { title, values, scale: Scale::Diverging { limit }, unit: Some(unit), lines }.draw(WIDTH)
    };
    titles.into_iter().zip(values).map(panel).collect()
}
