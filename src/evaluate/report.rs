//! The table that people read.

use std::fmt::Write;

use super::compare::{Components, Place};
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
    let limit = e.outlier_m.map_or(format!(">{} px", short(e.outlier_px)), |m| format!(">{} m", short(m)));
    let digits = digits(e);
    let _ = writeln!(
        out,
        "\n{:<17}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
        "component", "n", "MAE", "RMSE", "bias", "median", "NMAD", "|e| 90%", "|e| 99%", limit
    );
    for (name, s) in r.errors.named() {
        row(&mut out, name, s, digits);
    }
    if !r.by_distance.is_empty() {
        let _ = writeln!(out, "distance to the trace");
    }
    for class in &r.by_distance {
        match &class.errors {
            Some(c) => {
                for (name, s) in c.named() {
                    row(&mut out, &format!("{:<11}{name}", class.label), s, digits);
                }
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
        c.named().for_each(|(name, z)| z_row(&mut out, name, z));
        let _ =
            writeln!(out, "{:<17}{:>9}{:>9}{:>9}{:>9}{:>12}{:>12}", "(right sigma)", "", 0, 1, 1, "68.3 %", "95.0 %");
    }
    if let Some(text) = similarity(e) {
        let _ = writeln!(out, "\nmean SSIM (11 x 11), {}: {text}", names(&r.ssim));
    }
    if let Some(s) = &e.sharpness {
        let _ = writeln!(
            out,
            "10-90 % rise across the trace: {:.2} px, truth {:.2} px (median of {} sections)",
            s.estimate_rise, s.truth_rise, s.sections
        );
    }
    if let Some(s) = &e.stable {
        let (v, n) = (&s.values, s.values.east.n);
        let _ = writeln!(
            out,
            "stable ground, {n} cells: NMAD {:.digits$} / {:.digits$}, median {:+.digits$} / {:+.digits$}",
            v.east.nmad, v.north.nmad, v.east.median, v.north.median
        );
        if let Some(c) = &s.calibration {
            let _ = writeln!(
                out,
                "stable ground, robust scatter over sigma: {:.2} / {:.2}",
                c.east.robust_std, c.north.robust_std
            );
        }
    }
    out.trim_end().to_string()
}

/// Structural similarity of both components; none where neither has one.
fn similarity(e: &FileEvaluation) -> Option<String> {
    let s = &e.result.ssim;
    let text = |v: &Option<super::ssim::MeanSsim>| v.map_or("-".into(), |v| format!("{:.4}", v.mean));
    s.east.or(s.north).map(|_| s.named().map(|(_, v)| text(v)).collect::<Vec<_>>().join(" / "))
}

/// Digits after the point: a tenth of a millimetre would be too coarse for metres.
fn digits(e: &FileEvaluation) -> usize {
    if e.unit == "m" { 5 } else { 4 }
}

fn names<T>(c: &Components<T>) -> &'static str {
    if c.up.is_some() { "east / north / up" } else { "east / north" }
}

/// Figures of several estimates side by side, as Markdown.
pub fn comparison(list: &[FileEvaluation]) -> String {
    let mut rows: Vec<Vec<String>> = vec![vec!["".into()]];
    rows[0].extend(list.iter().map(|e| e.estimate.clone()));
    let mut add = |name: String, pick: &dyn Fn(&FileEvaluation) -> Option<String>| {
        if list.iter().any(|e| pick(e).is_some()) {
            let mut row = vec![name];
            row.extend(list.iter().map(|e| pick(e).unwrap_or_else(|| "-".into())));
            rows.push(row);
        }
    };
    let unit = list.first().map_or("px", |e| e.unit);
    // Those of the map that has up, if one has.
    let names = list.iter().map(|e| names(&e.result.errors)).max_by_key(|n| n.len()).unwrap_or("");
    let part = |name: &str, f: fn(&ErrorStats) -> f64| {
        (format!("{name} ({unit}, {names})"), move |e: &FileEvaluation| Some(joined(&e.result.errors, f, digits(e))))
    };
    add("positions compared".into(), &|e| {
        Some(format!("{} ({:.1} %)", e.result.compared, 100.0 * e.result.compared as f64 / e.result.positions as f64))
    });
    for (name, pick) in [
        part("MAE", |s| s.mae),
        part("RMSE", |s| s.rmse),
        part("bias", |s| s.bias),
        part("NMAD", |s| s.nmad),
        part("90 % of errors below", |s| s.p90),
        part("99 % of errors below", |s| s.p99),
    ] {
        add(name, &pick);
    }
    let labels: Vec<String> =
        list.first().map_or(vec![], |e| e.result.by_distance.iter().map(|c| c.label.clone()).collect());
    for (k, label) in labels.iter().enumerate() {
        add(format!("MAE {label} from the trace ({unit})"), &|e| {
            let c = e.result.by_distance.get(k)?.errors.as_ref()?;
            Some(joined(c, |s| s.mae, digits(e)))
        });
    }
    add("10-90 % rise (px; truth)".into(), &|e| {
        e.sharpness.map(|s| format!("{:.2} ({:.2})", s.estimate_rise, s.truth_rise))
    });
    add(format!("mean SSIM ({names})"), &similarity);
    add("std of error / sigma".into(), &|e| e.result.calibration.map(|c| joined(&c, |c| c.std, 4)));
    for (name, f) in [
        ("within 1 sigma (68.3 % when right)", (|c| c.within_68) as fn(&Calibration) -> f64),
        ("within 1.96 sigma (95 % when right)", |c| c.within_95),
    ] {
        add(name.into(), &|e| {
            let c = e.result.calibration?;
            Some(c.named().map(|(_, c)| format!("{:.1} %", 100.0 * f(c))).collect::<Vec<_>>().join(" / "))
        });
    }
    add(format!("stable ground NMAD ({unit})"), &|e| {
        e.stable.as_ref().map(|s| joined(&s.values, |s| s.nmad, digits(e)))
    });
    let widths: Vec<usize> =
        (0..=list.len()).map(|k| rows.iter().map(|r| r[k].chars().count()).max().unwrap_or(0).max(3)).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(c, w)| format!("{c}{}", " ".repeat(w - c.chars().count())));
        format!("| {} |\n", padded.collect::<Vec<_>>().join(" | "))
    };
    let mut out = line(&rows[0]);
    out += &format!("|{}|\n", widths.iter().map(|w| "-".repeat(w + 2)).collect::<Vec<_>>().join("|"));
    rows[1..].iter().for_each(|r| out += &line(r));
    out
}

/// A figure of every component.
fn joined<T>(c: &Components<T>, f: impl Fn(&T) -> f64, digits: usize) -> String {
    c.named().map(|(_, s)| format!("{:.digits$}", f(s))).collect::<Vec<_>>().join(" / ")
}

fn row(out: &mut String, label: &str, s: &ErrorStats, digits: usize) {
    let _ = writeln!(
        out,
        "{label:<17}{:>9}{:>9.digits$}{:>9.digits$}{:>+9.digits$}{:>+9.digits$}{:>9.digits$}{:>9.digits$}{:>9.digits$}{:>8.2}%",
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
