//! The files of a profile: tables, layers, pictures.

use super::trace::Swath;
use super::{Offset, Profile, Station, draw};
use crate::map::reader::DisplacementMap;
use crate::raster::{LayerSpec, LayerWriter, OutputFolder, Placed, Shape, Value, write_png};
use crate::{Error, Result};

/// Writes everything but the report.
pub fn write(folder: &OutputFolder, profile: &Profile, swaths: &[Swath], map: &DisplacementMap) -> Result<()> {
    text(folder, "offsets.csv", &offsets(profile))?;
    text(folder, "stack.csv", &stack(profile))?;
    let json = serde_json::to_string_pretty(profile).map_err(|e| Error::Internal(format!("profile.json: {e}")))?;
    text(folder, "profile.json", &(json + "\n"))?;
    layers(folder, profile, swaths, map)?;
    for (name, chart) in [("stack", draw::stack(profile)), ("slip", draw::slip(profile))] {
        text(folder, &format!("{name}.svg"), &chart.svg(900, 480))?;
        let canvas = chart.canvas(1200, 640);
        write_png(&folder.file(&format!("{name}.png")), canvas.width, canvas.height, &canvas.rgb, false)?;
    }
    Ok(())
}

/// Writes a text file of the folder.
pub fn text(folder: &OutputFolder, name: &str, content: &str) -> Result<()> {
    let path = folder.file(name);
    std::fs::write(&path, content).map_err(|e| Error::Write { path: name.into(), why: e.to_string() })
}

/// A number of a table; empty where there is none.
fn cell(v: Option<f64>) -> String {
    v.filter(|v| v.is_finite()).map_or(String::new(), |v| format!("{v:.6}"))
}

fn value(o: Option<Offset>) -> Option<f64> {
    o.map(|o| o.value)
}

fn sigma(o: Option<Offset>) -> Option<f64> {
    o.map(|o| o.sigma)
}

fn offsets(profile: &Profile) -> String {
    let mut out = String::from(
        "strand,along,x,y,strike,cells_left,cells_right,parallel,parallel_sigma,normal,normal_sigma,east,east_sigma,north,\
         north_sigma,rise_width,rise_width_sigma,slope_left,slope_right\n",
    );
    for s in &profile.stations {
        let head = format!("{},{:.3},{:.3},{:.3},{:.3},{},{}", s.strand, s.along, s.x, s.y, s.strike, s.left, s.right);
        let pairs = [s.parallel, s.normal, s.east, s.north];
        let mut list: Vec<String> = pairs.iter().flat_map(|o| [cell(value(*o)), cell(sigma(*o))]).collect();
        list.extend([s.rise.map(|r| r.width), s.rise.map(|r| r.width_sigma)].map(cell));
        list.extend([s.slope_left, s.slope_right].map(|v| v.map_or(String::new(), |v| format!("{v:.6e}"))));
        out += &format!("{head},{}\n", list.join(","));
    }
    out
}

fn stack(profile: &Profile) -> String {
    let mut out = String::from(
        "distance,n,share_excluded,parallel_median,parallel_mean,parallel_nmad,normal_median,normal_mean,normal_nmad\n",
    );
    for b in &profile.stack {
        out += &format!(
            "{:.4},{},{:.3},{:.6},{:.6},{:.6},{:.6},{:.6},{:.6}\n",
            b.distance,
            b.n,
            b.excluded,
            b.parallel_median,
            b.parallel_mean,
            b.parallel_nmad,
            b.normal_median,
            b.normal_mean,
            b.normal_nmad
        );
    }
    out
}

/// `profile.gpkg`: the layer `offsets` with a point a swath, and `swaths` with the line across it.
fn layers(folder: &OutputFolder, profile: &Profile, swaths: &[Swath], map: &DisplacementMap) -> Result<()> {
    let real = |v: Option<f64>| Value::Real(v.unwrap_or(f64::NAN));
    let fields = |s: &Station| -> Vec<(String, Value)> {
        let mut list = vec![
            ("along".to_string(), Value::Real(s.along)),
            ("strike".into(), Value::Real(s.strike)),
            ("unit".into(), Value::Text(profile.unit.into())),
        ];
        for (name, o) in [("parallel", s.parallel), ("normal", s.normal), ("east", s.east), ("north", s.north)] {
            list.push((name.into(), real(value(o))));
            list.push((format!("{name}_sigma"), real(sigma(o))));
        }
        list.push(("rise_width".into(), real(s.rise.map(|r| r.width))));
        list
    };
    let Some(first) = profile.stations.first() else { return Err(Error::Internal("no swaths".into())) };
    let spec = |name: &str, shape| LayerSpec { name: name.into(), shape, fields: fields(first) };
    let path = folder.file("profile.gpkg");
    let layers = vec![spec("offsets", Shape::Points), spec("swaths", Shape::Lines)];
    let mut writer = LayerWriter::create(&path, layers, map.georef.crs.as_ref(), false)?;
    let values = |s: &Station| fields(s).into_iter().map(|f| f.1).collect::<Vec<Value>>();
    let points: Vec<Placed> =
        profile.stations.iter().map(|s| Placed { points: vec![(s.x, s.y)], values: values(s) }).collect();
    let back = map.plane().inverse();
    let line = |(swath, s): (&Swath, &Station)| Placed {
        points: [-profile.length, profile.length].map(|d| back.apply(swath.global(0.0, d))).to_vec(),
        values: values(s),
    };
    let lines: Vec<Placed> = swaths.iter().zip(&profile.stations).map(line).collect();
    writer.write(0, &points)?;
    writer.write(1, &lines)?;
    writer.finish()
}
