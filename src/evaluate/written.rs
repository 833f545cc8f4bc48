//! Evaluations as files: Markdown, JSON and a picture.

use super::compare::DistanceClass;
use super::files::FileEvaluation;
use super::report::comparison;
use crate::raster::{write_png, write_text};
use crate::render::chart::{BLUE, Chart, GREEN, ORANGE, PURPLE, Series};
use crate::render::colour::Rgb;
use crate::render::figure;
use crate::{Error, Result};

/// Writes the evaluations in the form that the extension asks for: .md, .json or .png.
///
/// # Errors
/// [`Error::Option`] for another extension, [`Error::Exists`], [`Error::Write`].
pub fn write(path: &str, list: &[FileEvaluation], overwrite: bool) -> Result<()> {
    let internal = |e: serde_json::Error| Error::Internal(format!("{path}: {e}"));
    match Form::of(path)? {
        Form::Markdown => {
            let Some(first) = list.first() else { return Err(Error::Internal("nothing evaluated".into())) };
            let head = format!(
                "# Errors of displacement maps\n\nEstimate minus truth ({}), {} positions with truth, errors in {}.\n\n",
                first.truth, first.result.positions, first.unit
            );
            write_text(path, &(head + &comparison(list)), overwrite)
        }
        Form::Json => {
            let text = match list {
                [one] => serde_json::to_string_pretty(one).map_err(internal)?,
                list => serde_json::to_string_pretty(list).map_err(internal)?,
            };
            write_text(path, &(text + "\n"), overwrite)
        }
        Form::Png => {
            let rows = vec![charts(list).iter().map(|c| c.canvas(860, 560)).collect()];
            let canvas = figure("", &rows);
            write_png(path, canvas.width, canvas.height, &canvas.rgb, overwrite)
        }
    }
}

/// Refuses a name that [`write()`] would refuse, before any work is done.
pub fn check(path: &str) -> Result<()> {
    Form::of(path).map(|_| ())
}

/// What kind of report a file name asks for.
pub enum Form {
    Markdown,
    Json,
    Png,
}

impl Form {
    /// By the ending of `path`.
    ///
    /// # Errors
    /// [`Error::Option`].
    pub fn of(path: &str) -> Result<Form> {
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        match name.rsplit_once('.').map(|(_, e)| e) {
            Some("md") => Ok(Form::Markdown),
            Some("json") => Ok(Form::Json),
            Some("png") => Ok(Form::Png),
            _ => Err(Error::option("--report", path, "the name must end in .md, .json or .png")),
        }
    }
}

const COLOURS: [Rgb; 4] = [BLUE, ORANGE, GREEN, PURPLE];

fn colour(k: usize) -> Rgb {
    COLOURS[k % COLOURS.len()]
}

/// The mean section across the trace and the errors by distance; without a trace the quantiles of the errors.
fn charts(list: &[FileEvaluation]) -> Vec<Chart> {
    let name = |e: &FileEvaluation| {
        let file = e.estimate.rsplit('/').next().unwrap_or(&e.estimate);
        file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_string()
    };
    let unit = list.first().map_or("px", |e| e.unit);
    let legend: Vec<(String, Rgb)> = list.iter().enumerate().map(|(k, e)| (name(e), colour(k))).collect();
    let mut charts = Vec::new();
    if list.iter().any(|e| !e.sections.is_empty()) {
        let mut series = Vec::new();
        let line = |points, colour, width| Series::Line { points, colour, width };
        if let Some(first) = list.iter().find(|e| !e.sections.is_empty()) {
            series.push(line(mean_section(first, true), [20, 20, 20], 2.4));
        }
        series.extend(list.iter().enumerate().map(|(k, e)| line(mean_section(e, false), colour(k), 1.6)));
        let mut legend = legend.clone();
        legend.insert(0, ("truth".into(), [20, 20, 20]));
        charts.push(Chart {
            title: "Mean of the cross-sections, component along the trace".into(),
            x_label: "Distance from the trace (px)".into(),
            y_label: format!("Displacement ({unit})"),
            series,
            legend,
        });
    }
    let by_distance = list.iter().any(|e| !e.result.by_distance.is_empty());
    let points = |e: &FileEvaluation| -> Vec<(f64, f64)> {
        let both = |c: &DistanceClass| c.errors.as_ref().map_or(f64::NAN, |c| 0.5 * (c.east.mae + c.north.mae));
        match by_distance {
            true => e.result.by_distance.iter().enumerate().map(|(k, c)| ((k + 1) as f64, both(c))).collect(),
            false => {
                let q = |f: fn(&super::stats::ErrorStats) -> f64| {
                    0.5 * (f(&e.result.errors.east) + f(&e.result.errors.north))
                };
                vec![(50.0, q(|s| s.p50)), (90.0, q(|s| s.p90)), (95.0, q(|s| s.p95)), (99.0, q(|s| s.p99))]
            }
        }
    };
    let mut series = vec![Series::Line { points: vec![(1.0, 0.0)], colour: colour(0), width: 1.0 }];
    for (k, e) in list.iter().enumerate() {
        let found = points(e);
        series.push(Series::Points {
            points: found.iter().map(|p| (p.0, p.1, 0.0)).collect(),
            colour: colour(k),
            size: 4.0,
        });
        series.push(Series::Line { points: found, colour: colour(k), width: 1.6 });
    }
    let labels: Vec<String> = list.first().map_or(vec![], |e| {
        e.result.by_distance.iter().enumerate().map(|(k, c)| format!("{}: {}", k + 1, c.label)).collect()
    });
    charts.push(Chart {
        title: if by_distance {
            "Mean absolute error by distance to the trace"
        } else {
            "Quantiles of the absolute error"
        }
        .into(),
        x_label: if by_distance { labels.join("   ") } else { "Per cent of the positions".into() },
        y_label: format!("Error ({unit})"),
        series,
        legend,
    });
    charts
}

/// Mean over the sections, each about its own middle.
fn mean_section(e: &FileEvaluation, truth: bool) -> Vec<(f64, f64)> {
    let Some(first) = e.sections.first() else { return Vec::new() };
    let level = |v: &[f64]| {
        let all: Vec<f64> = v.iter().copied().filter(|v| v.is_finite()).collect();
        all.iter().sum::<f64>() / all.len().max(1) as f64
    };
    let at = |(k, d): (usize, &f64)| {
        let values = e.sections.iter().map(|s| {
            let values = if truth { &s.truth } else { &s.estimate };
            values[k] - level(&s.truth)
        });
        let found: Vec<f64> = values.filter(|v| v.is_finite()).collect();
        (*d, if found.is_empty() { f64::NAN } else { found.iter().sum::<f64>() / found.len() as f64 })
    };
    first.distance.iter().enumerate().map(at).collect()
}
