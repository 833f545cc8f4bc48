//! The bands of a stack.

use super::dates::Day;
use super::inputs::{Extent, Target};
use super::network::Network;
use super::solve::{REJECTED, Solution, Value};
use super::survey::Correction;
use super::{Dates, SigmaFrom, StackJob};
use crate::field::Status;
use crate::map::DisplacementMap;
use crate::raster::{BandSpec, DOMAIN, PixelType, RasterSpec, band_specs};

/// Rows of a block, and of a strip at most.
pub const BLOCK: usize = 128;

/// What the result holds. Bands 1 to 6 are those of every displacement map, so that all commands take it: the event, or of
/// a time series the displacement between its first and last date. Then `Maps used`, `Disagreement`; of a time series
/// also velocity and displacement since the reference date with sigma.
pub struct Bands {
    pub names: Vec<String>,
    unit: &'static str,
    /// Dates of the total displacement.
    ends: (usize, usize),
    /// Contribution of each unknown to the velocity.
    slope: Vec<f64>,
}

/// Bands before those of the dates.
const HEAD: usize = 8;
const VELOCITY: [&str; 4] = ["East velocity", "North velocity", "East velocity sigma", "North velocity sigma"];

impl Bands {
    pub fn new(net: &Network, unit: &'static str) -> Bands {
        let mut names: Vec<String> = crate::raster::BANDS.iter().map(|b| b.to_string()).collect();
        names.extend(["Maps used", "Disagreement"].map(String::from));
        let last = net.days.len() - 1;
        if net.dated {
            names.extend(VELOCITY.map(String::from));
            for day in &net.days {
                for what in ["East displacement", "North displacement", "East sigma", "North sigma"] {
                    names.push(format!("{what} {day}"));
                }
            }
        }
        Bands { names, unit, ends: (0, last), slope: slope(net) }
    }

    /// Size, georeference, bands and metadata of the file.
    pub fn spec(
        &self,
        job: &StackJob,
        maps: &[DisplacementMap],
        net: &Network,
        target: &Target,
        corrections: &[Correction],
        keep: &[bool],
    ) -> RasterSpec {
        let product = band_specs(self.unit, false);
        let band = |(k, name): (usize, &String)| match product.get(k) {
            Some(spec) => spec.clone(),
            None => {
                let unit = match k {
                    6 | 7 => String::new(),
                    k if net.dated && k < HEAD + VELOCITY.len() => format!("{}/yr", self.unit),
                    _ => self.unit.into(),
                };
                BandSpec { description: name.clone(), unit, nodata: Some(f64::NAN), metadata: Vec::new() }
            }
        };
        let mut metadata = vec![
            ("VERSION".to_string(), crate::VERSION.to_string()),
            ("COMMAND".into(), command(job)),
            ("METHOD".into(), "stack".into()),
            ("UNITS".into(), self.unit.into()),
        ];
        // Cells and windows as the maps have them, for commands that ask how far neighbours share their errors.
        let cell = target.georef.transform.pixel_size();
        if let Some(first) = maps[0].step {
            metadata.push(("STEP".into(), format!("{}x{}", first.0, first.1)));
            let pixel = (cell.0 / first.0, cell.1 / first.1);
            let windows = maps.iter().filter_map(|m| {
                let (w, own) = (m.window?, m.pixel_size());
                Some((w.0 * own.0 / pixel.0, w.1 * own.1 / pixel.1))
            });
            if let Some(w) = windows.max_by(|a, b| (a.0 * a.1).total_cmp(&(b.0 * b.1))) {
                metadata.push(("WINDOW".into(), format!("{}x{}", w.0, w.1)));
            }
        }
        if net.dated {
            let list = net.days.iter().map(Day::to_string).collect::<Vec<_>>().join(" ");
            metadata.push(("DATES".into(), list));
            metadata.push(("REFERENCE_DATE".into(), net.days[net.reference].to_string()));
            metadata.push(("PRE_DATE".into(), net.days[self.ends.0].to_string()));
            metadata.push(("POST_DATE".into(), net.days[self.ends.1].to_string()));
        }
        for (k, map) in maps.iter().enumerate() {
            let c = &corrections[k];
            let dates = match net.dated {
                true => format!(" {} {}", net.days[net.pairs[k].0], net.days[net.pairs[k].1]),
                false => String::new(),
            };
            let text = match keep[k] {
                true => format!("sigma times {:.4}, minus {:.5} {:.5}", c.sigma_factor, c.offset[0], c.offset[1]),
                false => "left out: it breaks loops".into(),
            };
            metadata.push((format!("MAP_{:03}", k + 1), format!("{}{dates} ({text})", map.path())));
        }
        RasterSpec {
            size: target.size,
            pixel: PixelType::F32,
            bands: self.names.iter().enumerate().map(band).collect(),
            georef: target.georef.clone(),
            block: (256, BLOCK),
            metadata: metadata.into_iter().map(|(k, v)| (DOMAIN.to_string(), k, v)).collect(),
        }
    }

    /// Fills the bands of a cell; `false` where its total displacement is not known. Dates that are known are written in any case.
    pub fn fill(
        &self,
        cell: &mut [f32],
        net: &Network,
        values: &[Value],
        quality: &[f64],
        s: &Solution,
        rho: f64,
    ) -> bool {
        let at = |day: usize, c: usize| net.unknown(day).map_or(0.0, |u| s.displacement[u][c]);
        let used = s.kept.iter().filter(|w| **w >= REJECTED).count();
        cell[6] = used as f32;
        cell[7] = s.disagreement as f32;
        if net.dated {
            for day in 0..net.days.len() {
                let first = HEAD + VELOCITY.len() + 4 * day;
                for c in 0..2 {
                    cell[first + c] = at(day, c) as f32;
                    cell[first + 2 + c] = net.unknown(day).map_or(0.0, |u| s.sigma[u][c]) as f32;
                }
            }
            // A velocity needs all dates.
            if s.displacement.iter().all(|d| d[0].is_finite()) {
                for c in 0..2 {
                    let sum: f64 = self.slope.iter().zip(&s.displacement).map(|(g, d)| g * d[c]).sum();
                    cell[HEAD + c] = sum as f32;
                    cell[HEAD + 2 + c] = s.sigma_of(net, values, &self.slope, c, rho) as f32;
                }
            }
        }
        let total = [0, 1].map(|c| at(self.ends.1, c) - at(self.ends.0, c));
        if !total.iter().all(|t| t.is_finite()) {
            return false;
        }
        let mut combination = vec![0.0; net.unknowns()];
        for (day, sign) in [(self.ends.1, 1.0), (self.ends.0, -1.0)] {
            if let Some(u) = net.unknown(day) {
                combination[u] += sign;
            }
        }
        for c in 0..2 {
            cell[c] = total[c] as f32;
            cell[3 + c] = s.sigma_of(net, values, &combination, c, rho) as f32;
        }
        let (mut sum, mut weight) = (0.0, 0.0);
        for ((q, w), v) in quality.iter().zip(&s.kept).zip(values) {
            let w = w / (v.sigma[0] * v.sigma[1]);
            if q.is_finite() && w > 0.0 {
                (sum, weight) = (sum + w * q, weight + w);
            }
        }
        cell[2] = if weight > 0.0 { (sum / weight) as f32 } else { f32::NAN };
        cell[5] = 0.0;
        true
    }

    /// A cell without a total displacement: why.
    pub fn empty(&self, cell: &mut [f32], contradiction: bool, status: impl Iterator<Item = f32>) {
        if contradiction {
            cell[5] = f32::from(Status::Outlier as u8);
            return;
        }
        const CODES: usize = Status::ALL.len();
        let mut counts = [0usize; CODES];
        for s in status.filter(|s| (1.0..CODES as f32).contains(s)) {
            counts[s as usize] += 1;
        }
        // The most frequent reason; no data where there is none.
        let most = counts.iter().copied().max().unwrap_or(0);
        let code = counts.iter().position(|n| *n == most && most > 0).unwrap_or(Status::NoData as usize);
        cell[5] = code as f32;
    }
}

/// Least-squares slope of the displacements over time, in years, as weights of the unknowns.
fn slope(net: &Network) -> Vec<f64> {
    if !net.dated {
        return Vec::new();
    }
    let times: Vec<f64> = net.days.iter().map(|d| d.years_since(net.days[0])).collect();
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    let squares: f64 = times.iter().map(|t| (t - mean).powi(2)).sum();
    let mut weights = vec![0.0; net.unknowns()];
    for (day, t) in times.iter().enumerate() {
        if let Some(u) = net.unknown(day) {
            weights[u] = (t - mean) / squares;
        }
    }
    weights
}

/// What repeats the run, without what does not change the numbers.
fn command(job: &StackJob) -> String {
    let mut text = format!("shiftmap stack {} OUT", job.maps.join(" "));
    match &job.dates {
        Dates::None => {}
        Dates::Auto => text += " --dates auto",
        Dates::Table(path) => text += &format!(" --dates {path}"),
    }
    if let Some(day) = job.reference {
        text += &format!(" --reference {day}");
    }
    text += match job.extent {
        Extent::Union => "",
        Extent::First => " --extent first",
        Extent::Intersection => " --extent intersection",
    };
    text += match job.sigma {
        SigmaFrom::Scatter => "",
        SigmaFrom::Stable => " --sigma stable",
        SigmaFrom::Stated => " --sigma stated",
    };
    if job.correlation > 0.0 {
        text += &format!(" --correlation {}", job.correlation);
    }
    text += if job.align { " --align" } else { "" };
    if let Some(places) = &job.stable {
        text += &format!(" --stable {places}");
    }
    text += &format!(" --least {}", job.least);
    text += if job.plain { " --plain" } else { "" };
    text + if job.keep_broken { " --keep-broken" } else { "" }
}
