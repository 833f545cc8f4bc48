//! What each step removed.

use super::cells::{Cells, Step};
use super::{Filter, FilterJob};
use crate::distortion::Distortion;
use crate::map::DisplacementMap;
use serde::Serialize;

/// What a step did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Done {
    pub step: String,
    /// Cells it removed, changed or filled.
    pub cells: usize,
    /// Root mean square of what it took from east and north, for steps that change values.
    pub rms: Option<[f64; 2]>,
    pub text: String,
}

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub output: String,
    pub removed: Option<String>,
    /// Columns and rows.
    pub size: (usize, usize),
    pub unit: &'static str,
    /// Cells with a value before and after.
    pub before: usize,
    pub after: usize,
    pub steps: Vec<Done>,
    /// Surface, stripes and seams that were found, a function of column and row of the map in its unit.
    pub model: Option<Distortion>,
}

/// Counts while the map is written.
pub(super) struct Counts {
    steps: [usize; Step::ALL.len()],
    before: usize,
    after: usize,
    /// Squares of the change of the cells that had and have a value.
    changed: usize,
    squares: [f64; 2],
}

impl Counts {
    pub(super) fn new(_: &Filter) -> Counts {
        Counts { steps: [0; Step::ALL.len()], before: 0, after: 0, changed: 0, squares: [0.0; 2] }
    }

    pub(super) fn add(&mut self, before: &Cells, after: &Cells) {
        for y in 0..after.height() {
            for x in 0..after.width() {
                let (a, b) = (before.value(x, y), after.value(x, y));
                self.steps[after.step.get(x, y) as usize] += 1;
                self.before += usize::from(a[0].is_finite());
                self.after += usize::from(b[0].is_finite());
                if a[0].is_finite() && b[0].is_finite() && after.step.get(x, y) == Step::Kept {
                    self.changed += usize::from(a != b);
                    (0..2).for_each(|k| self.squares[k] += f64::from(a[k] - b[k]).powi(2));
                }
            }
        }
    }

    pub(super) fn before(&self) -> usize {
        self.before
    }

    pub(super) fn left(&self) -> usize {
        self.after
    }

    pub(super) fn finish(self, job: &FilterJob, filter: &Filter, map: &DisplacementMap) -> Summary {
        let unit = map.unit.name();
        let mut steps = Vec::new();
        let mut removed = |asked: bool, step: Step, name: &str, why: String| {
            if asked {
                let cells = self.steps[step as usize];
                steps.push(Done { step: name.into(), cells, rms: None, text: format!("{cells} cells removed: {why}") });
            }
        };
        let over = |what: &str, limit: Option<f64>| format!("{what} {} {unit}", limit.unwrap_or_default());
        removed(job.max_sigma.is_some(), Step::Sigma, "sigma", over("sigma above", job.max_sigma));
        let quality = format!("quality below {}", job.min_quality.unwrap_or_default());
        removed(job.min_quality.is_some(), Step::Quality, "quality", quality);
        removed(job.max_magnitude.is_some(), Step::Magnitude, "magnitude", over("longer than", job.max_magnitude));
        let ndc = over("too few neighbours within", filter.agree);
        removed(job.ndc.is_some(), Step::Coherence, "ndc", ndc);
        removed(job.outliers.is_some(), Step::Outlier, "outliers", "far from the medians of their neighbours".into());
        if let Some(found) = &filter.found {
            let d = &found.distortion;
            let (width, height) = map.size();
            let part = |d: Distortion| rms(&d, width, height);
            let mut models = |name: &str, rms: [f64; 2], more: String| {
                let text = format!("{name} of {:.4} {:.4} {unit} RMS subtracted{more}", rms[0], rms[1]);
                steps.push(Done { step: name.into(), cells: self.before, rms: Some(rms), text });
            };
            if let Some(surface) = &d.surface {
                let more = format!(", fitted to {:.0} % of the ground", 100.0 * found.inside);
                models("trend", part(Distortion { surface: Some(surface.clone()), ..Default::default() }), more);
            }
            if let Some(lines) = &d.lines {
                models("stripes", part(Distortion { lines: Some(lines.clone()), ..Default::default() }), String::new());
            }
            match &d.steps {
                Some(seams) => {
                    let places: Vec<String> = seams.edges.iter().map(|e| format!("{e:.1}")).collect();
                    let more = format!(", seams at {} cells along the lines", places.join(", "));
                    models("seams", part(Distortion { steps: Some(seams.clone()), ..Default::default() }), more);
                }
                None if job.seams.is_some() => {
                    steps.push(Done { step: "seams".into(), cells: 0, rms: None, text: "no seam stands out".into() });
                }
                None => {}
            }
        }
        let changes = self.squares.map(|s| (s / (self.before.max(1)) as f64).sqrt());
        if job.subtract.is_some() || job.median.is_some() || job.nlm.is_some() || filter.found.is_some() {
            let text = format!("{:.4} {:.4} {unit} RMS taken from the values in all", changes[0], changes[1]);
            steps.push(Done { step: "values".into(), cells: self.changed, rms: Some(changes), text });
        }
        if job.fill.is_some() {
            let cells = self.steps[Step::Filled as usize];
            let left = self.steps.iter().sum::<usize>() - self.after;
            let text = format!("{cells} cells filled, {left} left empty");
            steps.push(Done { step: "fill".into(), cells, rms: None, text });
        }
        Summary {
            output: job.out.clone(),
            removed: job.removed.clone(),
            size: map.size(),
            unit,
            before: self.before,
            after: self.after,
            steps,
            model: filter.found.as_ref().map(|f| f.distortion.clone()),
        }
    }
}

/// Root mean square of a part over the map, about its mean, from a coarse grid.
fn rms(d: &Distortion, width: usize, height: usize) -> [f64; 2] {
    let (sx, sy) = (width.div_ceil(256), height.div_ceil(2048));
    let (mut n, mut sum, mut squares) = (0.0, [0.0; 2], [0.0; 2]);
    for y in (0..height).step_by(sy) {
        for x in (0..width).step_by(sx) {
            let v = d.at(x as f64, y as f64);
            n += 1.0;
            (0..2).for_each(|k| {
                sum[k] += v[k];
                squares[k] += v[k] * v[k];
            });
        }
    }
    [0, 1].map(|k| (squares[k] / n - (sum[k] / n).powi(2)).max(0.0).sqrt())
}
