//! The result for people: a table, and the files of `--report`.

use std::fmt::Write;

use super::Verification;
use crate::evaluate::compare::{Components, FieldRaster};
use crate::evaluate::stats::{Calibration, ErrorStats};
use crate::evaluate::written::Form;
use crate::field::Status;
use crate::grid::{Grid, Image};
use crate::layout::Layout;
use crate::raster::{write_png, write_text};
use crate::render::colour::{image_scale, round_up};
use crate::render::{Panel, Scale, figure};
use crate::{Error, Result};

/// A table of at most 100 columns.
pub fn table(v: &Verification) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let images = v.post.as_ref().map_or(v.pre.clone(), |post| format!("{} and {post}", v.pre));
    let _ = writeln!(out, "{images}");
    let p = &v.part;
    let what = match p.how {
        "whole" => "the whole image".to_string(),
        _ => format!("{} x {} pixels at {} {} of {} x {}", p.width, p.height, p.x, p.y, p.of.0, p.of.1),
    };
    let _ = writeln!(out, "tested on {what}{}", texture(v));
    let _ = writeln!(
        out,
        "method {}, window {}x{}, step {}x{}; earthquake with a jump up to {:.2} px, displacement up to {:.2} px",
        format!("{:?}", v.method).to_lowercase(),
        v.window.0,
        v.window.1,
        v.step.0,
        v.step.1,
        v.largest_jump,
        v.largest_displacement
    );
    if let Some(noise) = &v.noise {
        let list: Vec<String> = noise.iter().map(|n| format!("{:.1} %", 100.0 * n)).collect();
        let _ = writeln!(
            out,
            "one image: its displaced copy got white noise as each date has, {} of the contrast; real change is not in it",
            list.join(", ")
        );
    }
    if let Some(a) = &v.as_is {
        let _ = writeln!(
            out,
            "misregistration of the pair: mean {:+.3} px right, {:+.3} px up, at most {:.3} px; not counted as error",
            a.misregistration.0, a.misregistration.1, a.largest_misregistration
        );
    }
    let valid = v.status[Status::Valid as usize];
    let all: u64 = v.status.iter().sum();
    let _ = writeln!(out, "{:.1} % of {all} cells have a value", 100.0 * valid as f64 / all.max(1) as f64);
    for (code, text) in Status::ALL.iter().skip(1) {
        let n = v.status[*code as usize];
        if 200 * n >= all {
            let _ = writeln!(out, "  {:.1} % {text}", 100.0 * n as f64 / all as f64);
        }
    }
    let _ = writeln!(
        out,
        "\n{:<27}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "errors (px)", "n", "MAE", "RMSE", "bias", "NMAD", "|e| 95%", ">0.5 px"
    );
    errors(&mut out, "all", &v.result.errors);
    for class in &v.result.by_distance {
        if let Some(e) = &class.errors {
            errors(&mut out, &format!("{} from fault", class.label), e);
        }
    }
    if let Some(a) = &v.as_is {
        errors(&mut out, "pair as it is", &a.scatter);
    }
    let _ = writeln!(
        out,
        "\n{:<27}{:>8}{:>9}{:>9}{:>9}{:>12}{:>12}",
        "z = error/sigma", "n", "mean", "std", "robust", "in 1 sigma", "in 1.96"
    );
    if let Some(c) = &v.result.calibration {
        calibrations(&mut out, "all", c);
    }
    if let Some((a, c)) = v.away.as_ref().and_then(|a| Some((a, a.calibration.as_ref()?))) {
        calibrations(&mut out, &format!("> {:.0} px from fault", a.distance), c);
    }
    if let Some(c) = v.as_is.as_ref().and_then(|a| a.calibration.as_ref()) {
        calibrations(&mut out, "pair as it is", c);
    }
    let _ = writeln!(out, "{:<27}{:>8}{:>9}{:>9}{:>9}{:>12}{:>12}", "(right sigma)", "", 0, 1, 1, "68.3 %", "95.0 %");
    if let Some((a, (stated, expected))) =
        v.away.as_ref().and_then(|a| Some((a, a.stated_sigma.zip(a.expected_sigma)?)))
    {
        let metres =
            |s: (f64, f64)| v.pixel.map_or(String::new(), |p| format!(" ({:.3} / {:.3} m)", s.0 * p.0, s.1 * p.1));
        let _ = writeln!(
            out,
            "\nExpect away from faults (> {:.0} px), east / north: error (NMAD) {:.4} / {:.4} px{},\n\
             stated sigma {:.4} / {:.4} px, to be multiplied by {:.2} / {:.2}",
            a.distance,
            a.errors.east.nmad,
            a.errors.north.nmad,
            metres((a.errors.east.nmad, a.errors.north.nmad)),
            stated.0,
            stated.1,
            expected.0 / stated.0,
            expected.1 / stated.1
        );
    }
    out.trim_end().to_string()
}

fn texture(v: &Verification) -> String {
    v.part.texture.map_or(String::new(), |(own, scene)| {
        format!(", chosen for its texture: {:.0} % of the scene's median", 100.0 * own / scene.max(1e-30))
    })
}

fn errors(out: &mut String, label: &str, c: &Components<ErrorStats>) {
    for (axis, s) in [("E", &c.east), ("N", &c.north)] {
        let _ = writeln!(
            out,
            "{:<25}{axis} {:>8}{:>9.4}{:>9.4}{:>+9.4}{:>9.4}{:>9.4}{:>8.2}%",
            label,
            s.n,
            s.mae,
            s.rmse,
            s.bias,
            s.nmad,
            s.p95,
            100.0 * s.outliers
        );
    }
}

fn calibrations(out: &mut String, label: &str, c: &Components<Calibration>) {
    for (axis, c) in [("E", &c.east), ("N", &c.north)] {
        let _ = writeln!(
            out,
            "{:<25}{axis} {:>8}{:>+9.3}{:>9.3}{:>9.3}{:>10.1} %{:>10.1} %",
            label,
            c.n,
            c.mean,
            c.std,
            c.robust_std,
            100.0 * c.within_68,
            100.0 * c.within_95
        );
    }
}

/// What is drawn.
pub struct Pictures<'a> {
    pub pre: &'a Image,
    /// After the earthquake.
    pub post: &'a Image,
    pub truth: &'a FieldRaster,
    pub estimate: &'a FieldRaster,
    /// On the part, pixels.
    pub traces: &'a [Vec<(f64, f64)>],
    pub layout: &'a Layout,
}

/// Writes the result in the form that the extension asks for.
///
/// # Errors
/// [`Error::Option`] for another extension, [`Error::Exists`], [`Error::Write`].
pub fn write(path: &str, v: &Verification, pictures: &Pictures, overwrite: bool) -> Result<()> {
    match Form::of(path)? {
        Form::Markdown => {
            let text = format!("# What to expect on this pair\n\n```text\n{}\n```\n", table(v));
            write_text(path, &text, overwrite)
        }
        Form::Json => {
            let text = serde_json::to_string_pretty(v).map_err(|e| Error::Internal(format!("{path}: {e}")))?;
            write_text(path, &(text + "\n"), overwrite)
        }
        Form::Png => draw(path, pictures, overwrite),
    }
}

const WIDTH: usize = 384;

/// Images, and truth, measurement and error of both components.
fn draw(path: &str, p: &Pictures, overwrite: bool) -> Result<()> {
    // The later image without its surroundings.
    let (w, h) = (p.pre.width(), p.pre.height());
    let corner = |image: &Image| ((image.width() - w) / 2, (image.height() - h) / 2);
    let image = |title: &str, image: &Image| {
        let (x0, y0) = corner(image);
        let values = Grid::from_fn(w, h, |x, y| match image.valid.get(x0 + x, y0 + y) {
            true => image.values.get(x0 + x, y0 + y),
            false => f32::NAN,
        });
        Panel { title, values: &values, scale: image_scale(&values.data), unit: None, lines: p.traces }.draw(WIDTH)
    };
    let zero = p.layout.centre(0, 0);
    let cell = |q: &(f64, f64)| ((q.0 - zero.dx) / p.layout.step.0 as f64, (q.1 - zero.dy) / p.layout.step.1 as f64);
    let lines: Vec<Vec<(f64, f64)>> = p.traces.iter().map(|l| l.iter().map(cell).collect()).collect();
    let size = |share: f64, grids: &[&Grid<f32>]| {
        let mut all: Vec<f64> = grids.iter().flat_map(|g| &g.data).map(|v| f64::from(v.abs())).collect();
        all.retain(|v| v.is_finite());
        all.sort_by(f64::total_cmp);
        let at = ((all.len() as f64 * share) as usize).min(all.len().saturating_sub(1));
        round_up(all.get(at).copied().unwrap_or(1.0).max(1e-6))
    };
    let difference = |a: &Grid<f32>, b: &Grid<f32>| Grid {
        width: a.width,
        height: a.height,
        data: a.data.iter().zip(&b.data).map(|(a, b)| a - b).collect(),
    };
    let errors = [difference(&p.estimate.east, &p.truth.east), difference(&p.estimate.north, &p.truth.north)];
    let motion = Scale::Diverging { limit: size(0.995, &[&p.truth.east, &p.truth.north]) };
    let wrong = Scale::Diverging { limit: size(0.97, &[&errors[0], &errors[1]]) };
    let panel = |title: &str, values: &Grid<f32>, scale: Scale| {
        Panel { title, values, scale, unit: Some("px"), lines: &lines }.draw(WIDTH)
    };
    let mut rows = vec![vec![image("Before", p.pre), image("After, as simulated", p.post)]];
    for (name, truth, estimate, error) in [
        ("East", &p.truth.east, &p.estimate.east, &errors[0]),
        ("North", &p.truth.north, &p.estimate.north, &errors[1]),
    ] {
        rows.push(vec![
            panel(&format!("{name}: truth"), truth, motion),
            panel(&format!("{name}: measured"), estimate, motion),
            panel(&format!("{name}: error"), error, wrong),
        ]);
    }
    let canvas = figure("", &rows);
    write_png(path, canvas.width, canvas.height, &canvas.rgb, overwrite)
}
