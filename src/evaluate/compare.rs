//! Errors of an estimated displacement field against the truth.

use serde::Serialize;

use super::sample::Sampled;
use super::ssim::{MeanSsim, SsimRows};
use super::stats::{Calibration, ErrorStats};
use crate::field::GeoTransform;
use crate::grid::Grid;
use crate::synth::trace::Distance;
use crate::{Error, Result};

/// The vertical component of a field and its standard deviations, m.
#[derive(Debug, Clone)]
pub struct Vertical {
    pub values: Grid<f32>,
    pub sigma: Option<Grid<f32>>,
}

/// A displacement field on a grid: east and north in one unit, NaN where there is no value.
#[derive(Debug, Clone)]
pub struct FieldRaster {
    pub east: Grid<f32>,
    pub north: Grid<f32>,
    /// Compared where both fields have it.
    pub up: Option<Vertical>,
    /// Standard deviations of the two components, in the same unit.
    pub sigma: Option<(Grid<f32>, Grid<f32>)>,
    pub transform: GeoTransform,
}

/// Where the fields are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// At the centres of the estimate's cells; the truth is interpolated.
    Cells,
    /// At the centres of the truth's pixels; the estimate is interpolated, without its standard deviations.
    Pixels,
}

/// What is compared and how.
#[derive(Debug, Clone)]
pub struct Comparison<'a> {
    pub estimate: &'a FieldRaster,
    pub truth: &'a FieldRaster,
    pub place: Place,
    /// Width and height of a pixel of the pre image in map units: the unit of distances.
    pub pixel: (f64, f64),
    /// Factor from the fields' unit to the unit of the result, east and north.
    pub scale: (f64, f64),
    /// Pixels of the pre image left out along the truth's edges.
    pub border: f64,
    /// Fault trace in map coordinates.
    pub trace: Option<&'a [Vec<(f64, f64)>]>,
    /// Upper limits of the distance classes in pixels, ascending; beyond the last there is one more class.
    pub distances: &'a [f64],
    /// Limit of an outlier in the unit of the result, east and north; east's is that of up.
    pub outlier: (f64, f64),
}

/// East and north, and up where it is known.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Components<T> {
    pub east: T,
    pub north: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<T>,
}

impl<T> Components<T> {
    /// Without up.
    pub fn horizontal(east: T, north: T) -> Components<T> {
        Components { east, north, up: None }
    }

    /// In the order east, north, up, with their names.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &T)> {
        [("East", &self.east), ("North", &self.north)].into_iter().chain(self.up.as_ref().map(|u| ("Up", u)))
    }
}

/// Errors within one range of distances to the trace.
#[derive(Debug, Clone, Serialize)]
pub struct DistanceClass {
    pub label: String,
    /// Above this, in pixels.
    pub from: f64,
    /// Up to and including this; `None`: no limit.
    pub to: Option<f64>,
    pub errors: Option<Components<ErrorStats>>,
}

/// The outcome.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluation {
    /// Positions where the truth has a value.
    pub positions: usize,
    /// Those where the estimate has one too.
    pub compared: usize,
    /// Share of positions where a component is off by more than the outlier limit.
    pub outliers: f64,
    pub errors: Components<ErrorStats>,
    pub calibration: Option<Components<Calibration>>,
    /// Empty without a trace.
    pub by_distance: Vec<DistanceClass>,
    /// Mean structural similarity; none where no window of 11 × 11 positions is complete, or the truth is constant.
    pub ssim: Components<Option<MeanSsim>>,
}

/// Limits of the distance classes in pixels, unless others are asked for.
pub const DISTANCES: [f64; 3] = [5.0, 10.0, 20.0];

/// One compared position.
struct Position {
    east: f64,
    north: f64,
    /// NaN where it is not known.
    up: f64,
    /// East, north, up.
    sigma: [f64; 3],
    distance: f64,
}

impl Comparison<'_> {
    /// Compares the fields.
    ///
    /// # Errors
    /// [`Error::Data`] when no position has both values.
    pub fn run(&self) -> Result<Evaluation> {
        let (positions, found) = self.collect();
        let pick = |keep: &dyn Fn(&Position) -> bool| -> Option<Components<ErrorStats>> {
            let part = |f: &dyn Fn(&Position) -> f64| found.iter().filter(|p| keep(p)).map(f).collect::<Vec<f64>>();
            Some(Components {
                east: ErrorStats::of(&part(&|p| p.east), self.outlier.0)?,
                north: ErrorStats::of(&part(&|p| p.north), self.outlier.1)?,
                up: ErrorStats::of(&finite(part(&|p| p.up)), self.outlier.0),
            })
        };
        let errors = pick(&|_| true).ok_or_else(|| self.nothing(positions))?;
        let off = |p: &&Position| p.east.abs() > self.outlier.0 || p.north.abs() > self.outlier.1;
        Ok(Evaluation {
            positions,
            compared: found.len(),
            outliers: found.iter().filter(off).count() as f64 / found.len() as f64,
            errors,
            calibration: calibration(&found),
            ssim: self.ssim(),
            by_distance: match self.trace {
                None => Vec::new(),
                Some(_) => classes(self.distances, |from, to| {
                    pick(&|p| (p.distance > from || from == 0.0) && p.distance <= to)
                }),
            },
        })
    }

    /// Number of positions with truth, and the positions with both values.
    fn collect(&self) -> (usize, Vec<Position>) {
        let (est, truth) = (self.estimate, self.truth);
        let on = match self.place {
            Place::Cells => est,
            Place::Pixels => truth,
        };
        fn sampled<'a>(field: &'a FieldRaster, values: &'a Grid<f32>) -> Sampled<'a> {
            Sampled { values, transform: field.transform }
        }
        let (ee, en) = (sampled(est, &est.east), sampled(est, &est.north));
        let (te, tn) = (sampled(truth, &truth.east), sampled(truth, &truth.north));
        let sigma = est.sigma.as_ref().filter(|_| self.place == Place::Cells);
        let up = est.up.as_ref().zip(truth.up.as_ref());
        let up_sigma = est.up.as_ref().and_then(|u| u.sigma.as_ref()).filter(|_| self.place == Place::Cells);
        let distance = self.trace.map(|lines| {
            // Distances in pixels: map coordinates divided by the pixel size.
            let scaled =
                |line: &Vec<(f64, f64)>| line.iter().map(|p| (p.0 / self.pixel.0, p.1 / self.pixel.1)).collect();
            Distance::new(&lines.iter().map(scaled).collect::<Vec<Vec<(f64, f64)>>>())
        });
        let (mut positions, mut found) = (0, Vec::new());
        for j in 0..on.east.height {
            for i in 0..on.east.width {
                let (x, y) = on.transform.map(i as f64 + 0.5, j as f64 + 0.5);
                let (true_east, true_north) = (te.at(x, y), tn.at(x, y));
                if !(true_east.is_finite() && true_north.is_finite()) || self.in_border(x, y) {
                    continue;
                }
                positions += 1;
                let (east, north) = (ee.at(x, y) - true_east, en.at(x, y) - true_north);
                if !(east.is_finite() && north.is_finite()) {
                    continue;
                }
                let up =
                    up.map_or(f64::NAN, |(e, t)| sampled(est, &e.values).at(x, y) - sampled(truth, &t.values).at(x, y));
                let [mut sigma_east, mut sigma_north] = [f64::NAN; 2];
                if let Some((e, n)) = sigma {
                    sigma_east = f64::from(e.get(i, j)) * self.scale.0;
                    sigma_north = f64::from(n.get(i, j)) * self.scale.1;
                }
                let sigma = [sigma_east, sigma_north, up_sigma.map_or(f64::NAN, |u| f64::from(u.get(i, j)))];
                let distance = distance.as_ref().map_or(0.0, |d| d.at(x / self.pixel.0, y / self.pixel.1));
                found.push(Position { east: east * self.scale.0, north: north * self.scale.1, up, sigma, distance });
            }
        }
        (positions, found)
    }

    /// Structural similarity on the grid of the comparison.
    fn ssim(&self) -> Components<Option<MeanSsim>> {
        let part = |estimate: &Grid<f32>, truth: &Grid<f32>, scale: f64| {
            let (estimate, truth) = (
                Sampled { values: estimate, transform: self.estimate.transform },
                Sampled { values: truth, transform: self.truth.transform },
            );
            let on = match self.place {
                Place::Cells => &estimate,
                Place::Pixels => &truth,
            };
            let row = |j: usize| -> (Vec<f64>, Vec<f64>) {
                let at = |i: usize| {
                    let (x, y) = on.transform.map(i as f64 + 0.5, j as f64 + 0.5);
                    match self.in_border(x, y) {
                        true => (f64::NAN, f64::NAN),
                        false => (truth.at(x, y) * scale, estimate.at(x, y) * scale),
                    }
                };
                (0..on.values.width).map(at).unzip()
            };
            let start = (f64::INFINITY, f64::NEG_INFINITY);
            let range = (0..on.values.height).fold(start, |range, j| {
                row(j).0.iter().filter(|v| v.is_finite()).fold(range, |r, v| (r.0.min(*v), r.1.max(*v)))
            });
            if range.1 <= range.0 {
                return None;
            }
            let mut rows = SsimRows::new(range.1 - range.0);
            for j in 0..on.values.height {
                let (t, e) = row(j);
                rows.push(&t, &e);
            }
            rows.mean()
        };
        Components {
            east: part(&self.estimate.east, &self.truth.east, self.scale.0),
            north: part(&self.estimate.north, &self.truth.north, self.scale.1),
            up: self.estimate.up.as_ref().zip(self.truth.up.as_ref()).map(|(e, t)| part(&e.values, &t.values, 1.0)),
        }
    }

    /// Whether a map position lies in the border that is left out.
    fn in_border(&self, x: f64, y: f64) -> bool {
        let Some((c, r)) = self.truth.transform.pixel(x, y) else { return true };
        let (w, h) = (self.truth.east.width as f64, self.truth.east.height as f64);
        let (px, py) = self.truth.transform.pixel_size();
        let from_edge = (c.min(w - c) * px / self.pixel.0).min(r.min(h - r) * py / self.pixel.1);
        from_edge < self.border
    }

    fn nothing(&self, positions: usize) -> Error {
        let (e, t) = (self.extent(self.estimate), self.extent(self.truth));
        let apart = e[0] >= t[2] || t[0] >= e[2] || e[1] >= t[3] || t[1] >= e[3];
        Error::Data(match (apart, positions) {
            (true, _) => format!(
                "the estimate and the truth do not overlap: the estimate covers {} to {} east, {} to {} north, the truth {} to {}, {} to {}",
                e[0], e[2], e[1], e[3], t[0], t[2], t[1], t[3]
            ),
            (false, 0) => format!(
                "the truth has no value at any of the estimate's cells outside a border of {} pixels; lower --border",
                self.border
            ),
            (false, n) => {
                format!("the estimate has no value at any of the {n} positions where the truth has one; was it masked?")
            }
        })
    }

    fn extent(&self, field: &FieldRaster) -> [f64; 4] {
        let (w, h) = (field.east.width as f64, field.east.height as f64);
        let corners = [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)].map(|(c, r)| field.transform.map(c, r));
        let start = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        corners.iter().fold(start, |b, p| [b[0].min(p.0), b[1].min(p.1), b[2].max(p.0), b[3].max(p.1)])
    }
}

fn calibration(found: &[Position]) -> Option<Components<Calibration>> {
    let list = |f: fn(&Position) -> f64| found.iter().map(f).collect::<Vec<f64>>();
    let up: Vec<&Position> = found.iter().filter(|p| p.up.is_finite()).collect();
    let (errors, sigmas): (Vec<f64>, Vec<f64>) = up.iter().map(|p| (p.up, p.sigma[2])).unzip();
    Some(Components {
        east: Calibration::of(&list(|p| p.east), &list(|p| p.sigma[0]))?,
        north: Calibration::of(&list(|p| p.north), &list(|p| p.sigma[1]))?,
        up: Calibration::of(&errors, &sigmas),
    })
}

fn finite(values: Vec<f64>) -> Vec<f64> {
    values.into_iter().filter(|v| v.is_finite()).collect()
}

fn classes(distances: &[f64], pick: impl Fn(f64, f64) -> Option<Components<ErrorStats>>) -> Vec<DistanceClass> {
    let starts = std::iter::once(0.0).chain(distances.iter().copied());
    let ends = distances.iter().copied().map(Some).chain([None]);
    starts
        .zip(ends)
        .map(|(from, to)| {
            let label = match to {
                Some(to) if from == 0.0 => format!("<= {to} px"),
                Some(to) => format!("{from}-{to} px"),
                None => format!("> {from} px"),
            };
            DistanceClass { label, from, to, errors: pick(from, to.unwrap_or(f64::INFINITY)) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(width: usize, height: usize, cell: f64, east: impl Fn(f64) -> f32, north: f32) -> FieldRaster {
        FieldRaster {
            east: Grid::from_fn(width, height, |x, _| east((x as f64 + 0.5) * cell)),
            north: Grid::filled(width, height, north),
            up: None,
            sigma: None,
            transform: GeoTransform([0.0, cell, 0.0, 0.0, 0.0, -cell]),
        }
    }

    fn comparison<'a>(estimate: &'a FieldRaster, truth: &'a FieldRaster) -> Comparison<'a> {
        Comparison {
            estimate,
            truth,
            place: Place::Cells,
            pixel: (10.0, 10.0),
            scale: (0.1, 0.1),
            border: 0.0,
            trace: None,
            distances: &[5.0, 20.0, 100.0],
            outlier: (0.5, 0.5),
        }
    }

    #[test]
    fn a_coarse_estimate_of_a_linear_field_is_exact_between_the_truths_pixels() {
        // 10 m pixels, cells of 40 m, east = x / 100: bilinear truth is exact, the estimate is 2 m too large.
        let truth = field(16, 16, 10.0, |x| (x / 100.0) as f32, 3.0);
        let mut estimate = field(4, 4, 40.0, |x| (x / 100.0 + 2.0) as f32, 3.0);
        estimate.east.set(0, 0, f32::NAN);
        let got = comparison(&estimate, &truth).run().unwrap();
        assert_eq!((got.positions, got.compared), (16, 15));
        assert!((got.errors.east.mae - 0.2).abs() < 1e-6 && (got.errors.east.bias - 0.2).abs() < 1e-6);
        assert_eq!(got.errors.north.rmse, 0.0);
        let mut pixels = comparison(&estimate, &truth);
        pixels.place = Place::Pixels;
        let got = pixels.run().unwrap();
        assert_eq!(got.positions, 256);
        // Between the outer cell centres (12 × 12 pixels) without the quarter next to the gap (4 × 4).
        assert_eq!(got.compared, 144 - 16);
        assert!((got.errors.east.mae - 0.2).abs() < 1e-6);
    }

    #[test]
    fn border_and_distance_classes_count_in_pixels() {
        let truth = field(300, 20, 10.0, |_| 0.0, 0.0);
        // The error in metres is the distance from the left edge / 100: 0.1 px at 1000 m.
        let estimate = field(300, 20, 10.0, |x| (x / 1000.0) as f32, 0.0);
        let line = vec![vec![(0.0, 1000.0), (0.0, -1000.0)]];
        let mut c = comparison(&estimate, &truth);
        c.trace = Some(&line);
        let got = c.run().unwrap();
        let n: Vec<usize> = got.by_distance.iter().map(|k| k.errors.as_ref().unwrap().east.n / 20).collect();
        assert_eq!(n, [5, 15, 80, 200]);
        assert_eq!(got.by_distance[3].label, "> 100 px");
        // Mean of 0.05, 0.15 ... 0.45 m/100 ... in pixels: 25 m / 1000 / 10.
        assert!((got.by_distance[0].errors.as_ref().unwrap().east.mae - 0.0025).abs() < 1e-8);
        c.border = 3.0;
        assert_eq!(c.run().unwrap().positions, 294 * 14);
        c.border = 10.0;
        assert!(c.run().unwrap_err().to_string().contains("--border"));
    }

    #[test]
    fn sigma_is_used_and_apart_is_an_error() {
        let truth = field(8, 8, 10.0, |_| 1.0, -1.0);
        let mut estimate = field(8, 8, 10.0, |_| 1.5, -2.0);
        estimate.sigma = Some((Grid::filled(8, 8, 0.5), Grid::filled(8, 8, 0.25)));
        let got = comparison(&estimate, &truth).run().unwrap().calibration.unwrap();
        assert!((got.east.mean - 1.0).abs() < 1e-6 && (got.north.mean + 4.0).abs() < 1e-6);
        assert_eq!((got.east.within_68, got.north.within_95), (1.0, 0.0));
        estimate.transform = GeoTransform([5000.0, 10.0, 0.0, 0.0, 0.0, -10.0]);
        let text = comparison(&estimate, &truth).run().unwrap_err().to_string();
        assert!(text.contains("do not overlap") && text.contains("5000"), "{text}");
    }
}
