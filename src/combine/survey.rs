//! The places that long-wavelength errors are found from: stations, and a coarse lattice of pixels between them.

use super::kriging::Kriging;
use super::scene::{Frame, Scene, Station};

/// Lattice points along a side at most.
const LATTICE: usize = 24;
/// Displacement variance where nothing is known, m².
pub const UNKNOWN: f64 = 1e6;

/// One observation at one place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    pub value: f64,
    pub direction: [f64; 3],
    /// `None` where it is to be estimated.
    pub sigma: Option<f64>,
    /// Share of a single pixel's white noise variance that is in the value: less than 1 for a mean of pixels.
    pub white: f64,
}

/// One place, with what is known of its displacement without the observations.
#[derive(Debug, Clone)]
pub struct Sample {
    /// -1 to 1 across the grid.
    pub x: f64,
    pub y: f64,
    /// m; NaN when not known.
    pub height: f64,
    /// By observation.
    pub seen: Vec<Option<Seen>>,
    pub mean: [f64; 3],
    pub variance: [f64; 3],
    /// Whether a station stands here.
    pub station: bool,
}

/// A pixel to be looked at, and what was found there.
#[derive(Debug, Clone)]
struct Pixel {
    column: usize,
    row: usize,
    height: f64,
    seen: Vec<Option<Seen>>,
}

/// A station's share of its pixels.
#[derive(Debug, Clone)]
struct Place {
    station: usize,
    column: f64,
    row: f64,
    /// Index of the pixel and its bilinear weight.
    parts: Vec<(usize, f64)>,
}

/// Collects the samples from the strips of a scene.
#[derive(Debug, Clone)]
pub struct Survey {
    frame: Frame,
    stations: Vec<Station>,
    kriging: Option<Kriging>,
    pixels: Vec<Pixel>,
    places: Vec<Place>,
    /// Pixels of the lattice come first.
    lattice: usize,
}

impl Survey {
    /// Lays out the places.
    pub fn new(frame: Frame, stations: &[Station], kriging: Option<Kriging>, observations: usize) -> Survey {
        let mut survey =
            Survey { frame, stations: stations.to_vec(), kriging, pixels: vec![], places: vec![], lattice: 0 };
        let length = survey.kriging.as_ref().map_or(0.0, |k| k.length);
        let (px, py) = frame.transform.pixel_size();
        let spacing = |pixel: f64, side: usize| ((length / pixel).ceil() as usize).max(side.div_ceil(LATTICE)).max(1);
        let (sx, sy) = (spacing(px, frame.width), spacing(py, frame.height));
        // Errors next to a station are those of the station: it speaks for itself.
        let own = |x: f64, y: f64| stations.iter().any(|s| (s.x - x).hypot(s.y - y) < 0.5 * length);
        for row in (sy / 2..frame.height).step_by(sy) {
            for column in (sx / 2..frame.width).step_by(sx) {
                let (x, y) = frame.centre(column, row);
                if !own(x, y) {
                    survey.wanted(column, row, observations);
                }
            }
        }
        survey.lattice = survey.pixels.len();
        for (j, s) in stations.iter().enumerate() {
            survey.place(j, s, observations);
        }
        survey
    }

    fn wanted(&mut self, column: usize, row: usize, observations: usize) -> usize {
        self.pixels.push(Pixel { column, row, height: f64::NAN, seen: vec![None; observations] });
        self.pixels.len() - 1
    }

    /// The four pixels around a station inside the grid.
    fn place(&mut self, station: usize, s: &Station, observations: usize) {
        let Some((c, r)) = self.frame.transform.pixel(s.x, s.y).map(|(c, r)| (c - 0.5, r - 0.5)) else {
            return;
        };
        let (w, h) = (self.frame.width, self.frame.height);
        if !(c >= -0.5 && r >= -0.5 && c <= w as f64 - 0.5 && r <= h as f64 - 0.5) {
            return;
        }
        let mut parts = Vec::with_capacity(4);
        for (row, v) in [(r.floor(), 1.0 - (r - r.floor())), (r.floor() + 1.0, r - r.floor())] {
            for (column, u) in [(c.floor(), 1.0 - (c - c.floor())), (c.floor() + 1.0, c - c.floor())] {
                let inside = row >= 0.0 && column >= 0.0 && row < h as f64 && column < w as f64;
                if inside && u * v > 0.0 {
                    parts.push((self.wanted(column as usize, row as usize, observations), u * v));
                }
            }
        }
        self.places.push(Place { station, column: c, row: r, parts });
    }

    /// Takes what a strip shows.
    pub fn add(&mut self, strip: &Scene) {
        for pixel in &mut self.pixels {
            if pixel.row < strip.first_row || pixel.row >= strip.first_row + strip.rows {
                continue;
            }
            let i = (pixel.row - strip.first_row) * strip.frame.width + pixel.column;
            pixel.height = strip.dem.as_ref().map_or(f64::NAN, |d| f64::from(d[i]));
            for (seen, o) in pixel.seen.iter_mut().zip(&strip.observations) {
                let value = f64::from(o.values[i]);
                let estimated = o.sigma == super::Sigma::Estimated;
                let sigma = if estimated { Some(1.0) } else { o.sigma_at(i, 1.0) };
                *seen = match (value.is_finite(), o.direction_at(i), sigma) {
                    (true, Some(direction), Some(s)) => {
                        Some(Seen { value, direction, sigma: (!estimated).then_some(s), white: 1.0 })
                    }
                    _ => None,
                };
            }
        }
    }

    pub fn kriging(&self) -> Option<&Kriging> {
        self.kriging.as_ref()
    }

    /// The same places without station `j`, with another predictor.
    pub fn without(&self, j: usize, kriging: Option<Kriging>) -> Survey {
        let mut other = Survey { kriging, ..self.clone() };
        other.places.retain(|p| p.station != j);
        other.places.iter_mut().filter(|p| p.station > j).for_each(|p| p.station -= 1);
        other.stations.remove(j);
        other
    }

    /// Mean direction of every observation; `None` where it was seen nowhere.
    pub fn directions(&self) -> Vec<Option<[f64; 3]>> {
        let count = self.pixels.first().map_or(0, |p| p.seen.len());
        let of = |k: usize| {
            let seen: Vec<Seen> = self.pixels.iter().filter_map(|p| p.seen[k]).collect();
            let mean = |c: usize| seen.iter().map(|s| s.direction[c]).sum::<f64>() / seen.len() as f64;
            (!seen.is_empty()).then(|| [mean(0), mean(1), mean(2)])
        };
        (0..count).map(of).collect()
    }

    /// Observations without a value at any place.
    pub fn silent(&self) -> Vec<usize> {
        self.directions().iter().enumerate().filter(|(_, d)| d.is_none()).map(|(k, _)| k).collect()
    }

    /// The samples that show anything.
    pub fn finish(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for pixel in &self.pixels[..self.lattice] {
            let (x, y) = self.frame.scaled(pixel.column as f64, pixel.row as f64);
            let (mean, variance) = match &self.kriging {
                Some(k) => {
                    let (mx, my) = self.frame.centre(pixel.column, pixel.row);
                    let p = k.at(mx, my);
                    (p.mean, p.variance)
                }
                None => ([0.0; 3], [UNKNOWN; 3]),
            };
            let (height, seen) = (pixel.height, pixel.seen.clone());
            samples.push(Sample { x, y, height, seen, mean, variance, station: false });
        }
        samples.extend(self.places.iter().map(|place| self.at_station(place)));
        samples.retain(|s| s.seen.iter().any(Option::is_some));
        samples
    }

    /// Standard deviation of the noise of every observation that neighbouring pixels do not share, from the second
    /// differences `a - b - c + d` of the pixels around stations; 0 with fewer than five.
    pub fn white_noise(&self) -> Vec<f64> {
        let count = self.pixels.first().map_or(0, |p| p.seen.len());
        let of = |k: usize| {
            let full = self.places.iter().filter(|p| p.parts.len() == 4);
            let mut second: Vec<f64> = full
                .filter_map(|p| {
                    let v = |i: usize| self.pixels[p.parts[i].0].seen[k].map(|s| s.value);
                    Some((v(0)? - v(1)? - v(2)? + v(3)?).abs())
                })
                .collect();
            if second.len() < 5 {
                return 0.0;
            }
            second.sort_by(f64::total_cmp);
            // The median of the absolute value of a normal number of variance 4.
            second[second.len() / 2] / (2.0 * 0.6745)
        };
        (0..count).map(of).collect()
    }

    fn at_station(&self, place: &Place) -> Sample {
        let station = &self.stations[place.station];
        let count = self.pixels.first().map_or(0, |p| p.seen.len());
        let seen = (0..count).map(|k| {
            let parts = place.parts.iter().filter_map(|&(i, w)| self.pixels[i].seen[k].map(|s| (s, w)));
            let parts: Vec<(Seen, f64)> = parts.collect();
            let weight: f64 = parts.iter().map(|p| p.1).sum();
            if weight < 0.5 {
                return None;
            }
            let mean = |f: &dyn Fn(&Seen) -> f64| parts.iter().map(|(s, w)| w * f(s)).sum::<f64>() / weight;
            let sigma = parts[0].0.sigma.map(|_| mean(&|s| s.sigma.unwrap_or(0.0)));
            let direction = [0, 1, 2].map(|c| mean(&|s| s.direction[c]));
            let white = parts.iter().map(|(_, w)| w * w).sum::<f64>() / (weight * weight);
            Some(Seen { value: mean(&|s| s.value), direction, sigma, white })
        });
        let seen = seen.collect();
        let (x, y) = self.frame.scaled(place.column, place.row);
        // Where the station lacks a component its neighbours tell.
        let predicted = self.kriging.as_ref().map(|k| k.at(station.x, station.y));
        let measured = [0, 1, 2].map(|c| station.displacement[c].is_finite());
        let pick =
            |own: f64, c: usize, other: Option<f64>, none: f64| if measured[c] { own } else { other.unwrap_or(none) };
        let mean = [0, 1, 2].map(|c| pick(station.displacement[c], c, predicted.map(|p| p.mean[c]), 0.0));
        let variance = [0, 1, 2].map(|c| pick(station.sigma[c].powi(2), c, predicted.map(|p| p.variance[c]), UNKNOWN));
        // The heights of the pixels are what the observations saw; the station's own where they are not known.
        let heights = place.parts.iter().filter(|(i, _)| self.pixels[*i].height.is_finite());
        let (sum, weight) = heights.fold((0.0, 0.0), |a, &(i, w)| (a.0 + w * self.pixels[i].height, a.1 + w));
        let height = if weight > 0.0 { sum / weight } else { station.height };
        Sample { x, y, height, seen, mean, variance, station: true }
    }
}
