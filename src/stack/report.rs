//! What was found, for people: tables of the maps and of the loops.

use std::fmt::Write;

use super::Summary;
use crate::raster::write_text;
use crate::{Error, Result};

/// Loops that are shown, the worst first.
const SHOWN: usize = 20;

/// A table of the maps, and of the loops of a network.
pub fn table(s: &Summary) -> String {
    let mut out = String::new();
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_string();
    let width = s.maps.iter().map(|m| name(&m.map).chars().count()).max().unwrap_or(3).clamp(3, 40);
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "{:>3} {:<width$} {:<24}{:>12}{:>12}{:>14}{:>10}",
        "", "map", "dates", "east offset", "north", "sigma factor", "outlier"
    );
    for (k, m) in s.maps.iter().enumerate() {
        let dates = m.start.zip(m.end).map_or(String::new(), |(a, b)| format!("{a} {b}"));
        let end = match m.used {
            true => format!("{:>14.3}{:>9.1}%", m.correction.sigma_factor, 100.0 * m.rejected),
            false => "  left out: it breaks loops".to_string(),
        };
        let o = m.correction.offset;
        let _ = writeln!(out, "{:>3} {:<width$} {dates:<24}{:>12.4}{:>12.4}{end}", k + 1, name(&m.map), o[0], o[1]);
    }
    if !s.closure.is_empty() {
        let broken = s.closure.iter().filter(|c| c.broken).count();
        let _ =
            writeln!(out, "\n{} loops, {broken} broken (more than 25 % of the cells beyond 3 sigma)", s.closure.len());
        let _ = writeln!(
            out,
            "{:<16}{:<36}{:>9}{:>20}{:>20}{:>9}",
            "maps",
            "dates",
            "cells",
            format!("median ({})", s.unit),
            format!("NMAD ({})", s.unit),
            "open"
        );
        let mut order: Vec<&super::Closure> = s.closure.iter().collect();
        order.sort_by(|a, b| b.open.total_cmp(&a.open));
        for c in order.iter().take(SHOWN) {
            let maps = c.maps.iter().map(|m| (m + 1).to_string()).collect::<Vec<_>>().join(" ");
            let dates = c.days.iter().map(|d| d.to_string()).collect::<Vec<_>>().join(" ");
            let two = |v: [f64; 2]| format!("{:.4} / {:.4}", v[0], v[1]);
            let _ = writeln!(
                out,
                "{maps:<16}{dates:<36}{:>9}{:>20}{:>20}{:>8.1}%{}",
                c.cells,
                two(c.median),
                two(c.nmad),
                100.0 * c.open,
                if c.broken { " broken" } else { "" }
            );
        }
        if s.closure.len() > SHOWN {
            let _ = writeln!(out, "and {} more", s.closure.len() - SHOWN);
        }
    }
    let _ = writeln!(
        out,
        "\n{} of {} cells have a value ({:.1} %); displacements in {}{}",
        s.valid,
        s.cells,
        100.0 * s.valid as f64 / s.cells.max(1) as f64,
        s.unit,
        s.reference.map_or(String::new(), |d| format!(", zero on {d}"))
    );
    out.trim_end().to_string()
}

/// Refuses a name that [`write()`] would refuse, before any work is done.
///
/// # Errors
/// [`Error::Option`].
pub fn check(path: &str) -> Result<()> {
    match path.ends_with(".md") || path.ends_with(".json") {
        true => Ok(()),
        false => Err(Error::option("--report", path, "the name must end in .md or .json")),
    }
}

/// Writes the summary as Markdown or JSON.
///
/// # Errors
/// [`Error::Exists`], [`Error::Write`].
pub fn write(path: &str, s: &Summary, overwrite: bool) -> Result<()> {
    let text = match path.ends_with(".json") {
        true => serde_json::to_string_pretty(s).map_err(|e| Error::Internal(format!("{path}: {e}")))? + "\n",
        false => format!("# Stacked displacement maps\n\n```text\n{}\n```\n", table(s)),
    };
    write_text(path, &text, overwrite)
}
