//! Lines with attributes in any vector format and CRS, and tables of numbers in any format with attributes.

use super::georef::Crs;
use super::reason;
use super::vector::{Line, Value};
use crate::{Error, Result};
use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform};
use gdal::vector::{FieldValue, Geometry, LayerAccess};
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};

/// The line features of every layer of a vector file with their attributes, reprojected to `target`; parts of
/// multi-lines come one by one. A layer without a CRS counts as being in `target` already.
///
/// # Errors
/// [`Error::Open`] when GDAL cannot open it, it holds no lines, or it cannot be reprojected.
pub fn read_line_features(path: &str, target: Option<&Crs>) -> Result<Vec<Line>> {
    let fail = |why: String| Error::Open { path: path.into(), why };
    let dataset = open(path)?;
    let mut lines = Vec::new();
    for mut layer in dataset.layers() {
        let transform = match (layer.spatial_ref(), target) {
            (Some(mut from), Some(to)) => {
                from.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
                let made = CoordTransform::new(&from, &to.srs()?);
                Some(made.map_err(|e| fail(format!("it cannot be brought to {}: {}", to.label, reason(e))))?)
            }
            _ => None,
        };
        for feature in layer.features() {
            let Some(geometry) = feature.geometry() else { continue };
            let mut parts = Vec::new();
            collect(geometry, &mut parts);
            let attributes: Vec<(String, Value)> =
                feature.fields().filter_map(|(name, value)| Some((name, number_or_text(value?)?))).collect();
            for mut points in parts {
                if let Some(transform) = &transform {
                    let (mut x, mut y): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
                    transform
                        .transform_coords(&mut x, &mut y, &mut [])
                        .map_err(|e| fail(format!("its coordinates cannot be reprojected: {}", reason(e))))?;
                    points = x.into_iter().zip(y).collect();
                }
                lines.push(Line { points, attributes: attributes.clone() });
            }
        }
    }
    match lines.is_empty() {
        true => Err(fail("it holds no lines; give a layer of line features".into())),
        false => Ok(lines),
    }
}

/// Rows of attributes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    pub names: Vec<String>,
    /// One value for each name; `None` where it is empty.
    pub rows: Vec<Vec<Option<Value>>>,
}

/// The attributes of the first layer that has all of the columns `wanted` (upper or lower case), `None` when there is no
/// such layer. Reads comma-separated text like any other format.
///
/// # Errors
/// [`Error::Open`] when GDAL cannot open it.
pub fn read_table(path: &str, wanted: &[&str]) -> Result<Option<Table>> {
    let dataset = open(path)?;
    for mut layer in dataset.layers() {
        let names: Vec<String> = layer.defn().fields().map(|f| f.name().trim().to_string()).collect();
        if !wanted.iter().all(|w| names.iter().any(|n| n.eq_ignore_ascii_case(w))) {
            continue;
        }
        let row = |feature: gdal::vector::Feature| feature.fields().map(|(_, v)| number_or_text(v?)).collect();
        let rows = layer.features().map(row).collect();
        return Ok(Some(Table { names, rows }));
    }
    Ok(None)
}

fn open(path: &str) -> Result<Dataset> {
    let flags = GdalOpenFlags::GDAL_OF_VECTOR | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR;
    Dataset::open_ex(path, DatasetOptions { open_flags: flags, ..Default::default() })
        .map_err(|e| Error::Open { path: path.into(), why: format!("{}; a vector layer is needed", reason(e)) })
}

fn number_or_text(value: FieldValue) -> Option<Value> {
    match value {
        FieldValue::IntegerValue(v) => Some(Value::Integer(v.into())),
        FieldValue::Integer64Value(v) => Some(Value::Integer(v)),
        FieldValue::RealValue(v) => Some(Value::Real(v)),
        FieldValue::StringValue(v) => Some(Value::Text(v)),
        _ => None,
    }
}

fn collect(geometry: &Geometry, lines: &mut Vec<Vec<(f64, f64)>>) {
    if geometry.geometry_count() > 0 {
        (0..geometry.geometry_count()).for_each(|i| collect(&geometry.get_geometry(i), lines));
    } else if geometry.point_count() >= 2 {
        let mut points = Vec::new();
        geometry.get_points(&mut points);
        lines.push(points.into_iter().map(|(x, y, _)| (x, y)).collect());
    }
}
