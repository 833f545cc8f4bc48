//! The table that people read.

use std::fmt::Write;

use super::compare::Place;
use super::files::FileEvaluation;
use super::stats::{Calibration, ErrorStats};

/// A table of at most 100 columns.
pub fn table(e: &FileEvaluation) -> String {
    let r = &e.result;
    let mut out = String::new();
    let place = match e.place {
        Place::Cells => "cells of the estimate",
        Place::Pixels => "pixels of the truth",
    };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{} against {}", e.estimate, e.truth);
    let _ = writeln!(
        out,
        "{} of {} {place} have a value ({:.1} %); errors in {}, pixel {} x {} m",
        r.compared,
        r.positions,
        100.0 * r.compared as f64 / r.positions as f64,
        e.unit,
        short(e.pixel.0),
        short(e.pixel.1)
    );
    let limit = format!(">{} px", short(e.outlier_px));
    let _ = writeln!(
        out,
        "\n{:<17}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "component", "n", "MAE", "RMSE", "bias", "median", "NMAD", "|e| 90%", "|e| 99%", limit
    );
    row(&mut out, "East", &r.errors.east);
    row(&mut out, "North", &r.errors.north);
    if !r.by_distance.is_empty() {
        let _ = writeln!(out, "distance to the trace");
    }
    for class in &r.by_distance {
        match &class.errors {
            Some(c) => {
                row(&mut out, &format!("{:<11}East", class.label), &c.east);
                row(&mut out, &format!("{:<11}North", class.label), &c.north);
            }
            None => {
                let _ = writeln!(out, "{:<17}{:>9}", class.label, 0);
            }
        }
    }
    if let Some(c) = &r.calibration {
        let _ = writeln!(
            out,
            "\n{:<17}{:>9}{:>9}{:>9}{:>9}{:>12}{:>12}",
            "z = error/sigma", "n", "mean", "std", "robust", "in 1 sigma", "in 1.96"
        );
        z_row(&mut out, "East", &c.east);
        z_row(&mut out, "North", &c.north);
        let _ =
            writeln!(out, "{:<17}{:>9}{:>9}{:>9}{:>9}{:>12}{:>12}", "(right sigma)", "", 0, 1, 1, "68.3 %", "95.0 %");
    }
    out.trim_end().to_string()
}

fn row(out: &mut String, label: &str, s: &ErrorStats) {
    let _ = writeln!(
        out,
        "{label:<17}{:>9}{:>9.4}{:>9.4}{:>+9.4}{:>+9.4}{:>9.4}{:>9.4}{:>9.4}{:>8.2}%",
        s.n,
        s.mae,
        s.rmse,
        s.bias,
        s.median,
        s.nmad,
        s.p90,
        s.p99,
        100.0 * s.outliers
    );
}

fn z_row(out: &mut String, label: &str, c: &Calibration) {
    let percent = |v: f64| format!("{:.1} %", 100.0 * v);
    let _ = writeln!(
        out,
        "{label:<17}{:>9}{:>+9.3}{:>9.3}{:>9.3}{:>12}{:>12}",
        c.n,
        c.mean,
        c.std,
        c.robust_std,
        percent(c.within_68),
        percent(c.within_95)
    );
}

/// A number without useless zeros.
fn short(v: f64) -> String {
    let text = format!("{v:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}
