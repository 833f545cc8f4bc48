//! What was found, for people and programs.

use std::fmt::Write;

use serde::Serialize;

use super::Kriging;
use super::left_out::{LeftOut, rms};
use super::nuisance::Correction;
use super::scene::{COMPONENTS, Ramp, Station};
use super::solve::Solver;
use crate::raster::write_text;
use crate::{Error, Result};

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub output: String,
    pub method: &'static str,
    pub unit: &'static str,
    /// Columns and rows.
    pub size: (usize, usize),
    pub pixels: usize,
    /// Pixels with east, north, up.
    pub valid: [usize; 3],
    /// Pixels of every status.
    pub status: Vec<(&'static str, usize)>,
    pub maps: Vec<MapReport>,
    pub stations: StationReport,
    /// Angle from true north to the grid's, degrees.
    pub convergence: f64,
    pub left_out: Vec<LeftOut>,
    pub notes: Vec<String>,
}

/// One map's errors.
#[derive(Debug, Clone, Serialize)]
pub struct MapReport {
    #[serde(flatten)]
    pub correction: Correction,
    pub ramp: &'static str,
    pub topography: bool,
}

impl MapReport {
    pub(super) fn of(c: &Correction, solver: &Solver) -> MapReport {
        let k = solver.nuisance.corrections.iter().position(|o| o == c).unwrap_or(0);
        let terms = solver.nuisance.terms[k];
        let ramp = match terms.ramp {
            Ramp::None => "none",
            Ramp::Constant => "constant",
            Ramp::Plane => "plane",
            Ramp::Bilinear => "bilinear",
        };
        MapReport { correction: c.clone(), ramp, topography: terms.topography }
    }
}

/// The stations.
#[derive(Debug, Clone, Serialize)]
pub struct StationReport {
    pub used: usize,
    /// Correlation length of the displacement, m.
    pub length: Option<f64>,
    /// Standard deviation of east, north, up between stations far apart, m.
    pub sigma: Option<[f64; 3]>,
}

impl StationReport {
    pub(super) fn of(stations: &[Station], kriging: Option<&Kriging>) -> StationReport {
        StationReport {
            used: stations.len(),
            length: kriging.map(|k| k.length),
            sigma: kriging.map(|k| k.variance().map(f64::sqrt)),
        }
    }
}

/// Tables of the maps and of stations that were left out.
pub fn table(s: &Summary) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    for m in &s.maps {
        let c = &m.correction;
        let mm = |v: f64, e: f64| format!("{:.1} +- {:.1}", 1e3 * v, 1e3 * e);
        let terms: Vec<String> = c.coefficients.iter().zip(&c.sigma).map(|(v, e)| mm(*v, *e)).collect();
        let last = m.topography.then(|| terms.last().cloned()).flatten();
        let ramp = &terms[..terms.len() - usize::from(last.is_some())];
        let _ = writeln!(out, "{}: {} stations inside", c.name, c.stations);
        if let Some(sigma) = c.estimated_sigma {
            let _ = writeln!(out, "  sigma {:.1} mm (estimated)", 1e3 * sigma);
        }
        if !ramp.is_empty() {
            let _ = writeln!(out, "  ramp ({}) {} mm", m.ramp, ramp.join(", "));
        }
        if let Some(k) = last {
            let _ = writeln!(out, "  topography {k} mm per km");
        }
    }
    if let (Some(length), Some(sigma)) = (s.stations.length, s.stations.sigma) {
        let _ = writeln!(
            out,
            "{} stations; displacement between them: {:.1}, {:.1}, {:.1} mm (east, north, up), correlated over {:.0} km",
            s.stations.used,
            1e3 * sigma[0],
            1e3 * sigma[1],
            1e3 * sigma[2],
            length / 1e3
        );
    }
    if !s.left_out.is_empty() {
        let _ = writeln!(out, "\nmap minus station, mm, at stations left out (in brackets: in sigma)");
        let _ = writeln!(out, "{:<12}{:>18}{:>18}{:>18}", "station", "east", "north", "up");
        for l in &s.left_out {
            let cell = |c: usize| format!("{:.1} ({:.1})", 1e3 * l.difference[c], l.z[c]);
            let _ = writeln!(out, "{:<12}{:>18}{:>18}{:>18}", l.station, cell(0), cell(1), cell(2));
        }
        let all = |c: usize| {
            let (difference, n) = rms(s.left_out.iter().map(|l| l.difference[c]));
            let (z, _) = rms(s.left_out.iter().map(|l| l.z[c]));
            if n == 0 { "-".to_string() } else { format!("{:.1} ({z:.2})", 1e3 * difference) }
        };
        let _ = writeln!(out, "{:<12}{:>18}{:>18}{:>18}", "rms", all(0), all(1), all(2));
    }
    let share = |c: usize| format!("{} {:.1} %", COMPONENTS[c], 100.0 * s.valid[c] as f64 / s.pixels.max(1) as f64);
    let _ = writeln!(out, "\npixels with a value: {}, {}, {}", share(0), share(1), share(2));
    out.trim().to_string()
}

/// Refuses a name that [`write()`] would refuse, before any work is done.
///
/// # Errors
/// [`Error::Option`].
pub fn check(path: &str) -> Result<()> {
    match path.ends_with(".md") || path.ends_with(".json") {
        true => Ok(()),
        false => Err(Error::option("--report", path, "the name must end in .md, .json or .png")),
    }
}

/// Writes the summary as Markdown or JSON.
///
/// # Errors
/// [`Error::Exists`], [`Error::Write`].
pub fn write(path: &str, s: &Summary, overwrite: bool) -> Result<()> {
    let text = match path.ends_with(".json") {
        true => serde_json::to_string_pretty(s).map_err(|e| Error::Internal(format!("{path}: {e}")))? + "\n",
        false => {
            let notes: String = s.notes.iter().map(|n| format!("- {n}\n")).collect();
            format!("# Displacement in three dimensions\n\n```text\n{}\n```\n\n{notes}", table(s))
        }
    };
    write_text(path, &text, overwrite)
}
