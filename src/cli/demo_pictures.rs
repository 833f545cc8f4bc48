//! The demo's pictures: images, displacement, errors.

use crate::Result;
use crate::evaluate::sample::Sampled;
use crate::field::GeoTransform;
use crate::grid::{Grid, Image};
use crate::raster::{RasterFile, read_all_bands, read_lines, write_png};
use crate::render::colour::{image_scale, round_up};
use crate::render::{Canvas, Panel, Scale, figure};

/// A map to be drawn.
pub struct Measured {
    pub title: String,
    pub path: String,
}

/// A raster on its grid with the fault trace in its own pixels.
struct Layer {
    file: RasterFile,
    lines: Vec<Vec<(f64, f64)>>,
}

const WIDTH: usize = 384;

/// Draws overview, pair, displacement and errors into `pictures`. `files`: pre, post, truth, trace.
pub fn draw(files: &[String; 4], maps: &[Measured], pictures: &[String; 4], overwrite: bool) -> Result<()> {
    let trace = read_lines(&files[3])?;
    let layer = |path: &str| -> Result<Layer> {
        let file = read_all_bands(path)?;
        let lines = in_pixels(&trace, &file.georef.transform);
        Ok(Layer { file, lines })
    };
    let (pre, post, truth) = (layer(&files[0])?, layer(&files[1])?, layer(&files[2])?);
    let maps: Vec<(String, Layer)> =
        maps.iter().map(|m| Ok((m.title.clone(), layer(&m.path)?))).collect::<Result<_>>()?;
    let save = |canvas: Canvas, path: &str| write_png(path, canvas.width, canvas.height, &canvas.rgb, overwrite);

    let unit = truth.file.units[0].clone();
    let motion = Scale::Diverging { limit: limit(&[&values(&truth, 0), &values(&truth, 1)], 0.995) };
    let field = |title: &str, layer: &Layer, band: usize, scale: Scale| {
        let values = values(layer, band);
        Panel { title, values: &values, scale, unit: Some(&unit), lines: &layer.lines }.draw(WIDTH)
    };
    let image = |title: &str, layer: &Layer, width: usize, with_trace: bool| {
        let values = values(layer, 0);
        let lines: &[Vec<(f64, f64)>] = if with_trace { &layer.lines } else { &[] };
        Panel { title, values: &values, scale: image_scale(&values.data), unit: None, lines }.draw(width)
    };

    save(figure("", &[vec![image("Before", &pre, 640, true), image("After", &post, 640, false)]]), &pictures[1])?;

    let mut rows = Vec::new();
    for (band, name) in [(0, "East"), (1, "North")] {
        let mut row = vec![field(&format!("{name}: truth"), &truth, band, motion)];
        row.extend(maps.iter().map(|(title, map)| field(&format!("{name}: {title}"), map, band, motion)));
        rows.push(row);
    }
    save(figure("Displacement", &rows), &pictures[2])?;

    let errors: Vec<[Grid<f32>; 2]> = maps.iter().map(|(_, m)| [error(m, &truth, 0), error(m, &truth, 1)]).collect();
    let wrong = Scale::Diverging { limit: limit(&errors.iter().flatten().collect::<Vec<_>>(), 0.97) };
    let sigmas: Vec<Grid<f32>> = maps.iter().flat_map(|(_, m)| [values(m, 3), values(m, 4)]).collect();
    let doubt = Scale::Sequential { limit: limit(&sigmas.iter().collect::<Vec<_>>(), 0.97) };
    let mut rows = Vec::new();
    for (band, name) in [(0, "East"), (1, "North")] {
        let mut row = Vec::new();
        for ((title, map), errors) in maps.iter().zip(&errors) {
            let (what, sigma) = (format!("{name} error: {title}"), format!("{name} sigma: {title}"));
            let panel =
                Panel { title: &what, values: &errors[band], scale: wrong, unit: Some(&unit), lines: &map.lines };
            row.push(panel.draw(WIDTH));
            row.push(field(&sigma, map, 3 + band, doubt));
        }
        rows.push(row);
    }
    save(figure("Error (estimate - truth) and its predicted standard deviation", &rows), &pictures[3])?;

    let Some((title, best)) = maps.first() else { return Ok(()) };
    let strip = vec![
        image("Image before, fault", &pre, WIDTH, true),
        field(&format!("East: {title}"), best, 0, motion),
        field(&format!("North: {title}"), best, 1, motion),
        field("North sigma", best, 4, doubt),
    ];
    save(figure("", &[strip]), &pictures[0])
}

/// A band with NaN where there is no value.
fn values(layer: &Layer, band: usize) -> Grid<f32> {
    let Image { values, valid } = &layer.file.bands[band];
    let mut out = values.clone();
    out.data.iter_mut().zip(&valid.data).filter(|(_, ok)| !**ok).for_each(|(v, _)| *v = f32::NAN);
    out
}

/// Estimate minus truth at the estimate's cells.
fn error(map: &Layer, truth: &Layer, band: usize) -> Grid<f32> {
    let (estimate, known) = (values(map, band), values(truth, band));
    let sampled = Sampled { values: &known, transform: truth.file.georef.transform };
    let transform = map.file.georef.transform;
    Grid::from_fn(estimate.width, estimate.height, |i, j| {
        let (x, y) = transform.map(i as f64 + 0.5, j as f64 + 0.5);
        (f64::from(estimate.get(i, j)) - sampled.at(x, y)) as f32
    })
}

/// A round limit that the share `p` of the absolute values does not exceed.
fn limit(grids: &[&Grid<f32>], p: f64) -> f64 {
    let mut all: Vec<f32> =
        grids.iter().flat_map(|g| g.data.iter().map(|v| v.abs())).filter(|v| v.is_finite()).collect();
    all.sort_by(f32::total_cmp);
    round_up(all.get(((all.len().max(1) - 1) as f64 * p) as usize).map_or(1.0, |v| f64::from(*v)))
}

/// Lines in map coordinates as pixel-centre positions of a raster.
fn in_pixels(lines: &[Vec<(f64, f64)>], transform: &GeoTransform) -> Vec<Vec<(f64, f64)>> {
    let place = |p: &(f64, f64)| transform.pixel(p.0, p.1).map(|(c, r)| (c - 0.5, r - 0.5));
    lines.iter().map(|line| line.iter().filter_map(place).collect()).collect()
}
