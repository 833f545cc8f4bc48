//! Line layers: fault traces and the like.

use super::check::Probe;
use super::georef::Crs;
use super::jumps::dated;
use super::output::Output;
use super::reason;
use super::writer::write_error;
use crate::{Error, Result};
use gdal::vector::{Feature, Geometry, LayerAccess, LayerOptions, OGRFieldType, OGRwkbGeometryType};
use gdal::{Dataset, DatasetOptions, DriverManager, GdalOpenFlags};

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Real(f64),
    Integer(i64),
}

/// A line in map coordinates with its attributes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    pub points: Vec<(f64, f64)>,
    /// Names and values; all lines of a layer carry the same names.
    pub attributes: Vec<(String, Value)>,
}

/// Writes one layer of lines as a GeoPackage.
///
/// # Errors
/// [`Error::Exists`], [`Error::Write`].
pub fn write_lines(path: &str, layer: &str, lines: &[Line], crs: Option<&Crs>, overwrite: bool) -> Result<()> {
    let srs = crs.map(Crs::srs).transpose()?;
    let output = Output::new(path, overwrite)?;
    let fail = |why: String| Error::Write { path: path.into(), why };
    let write = || -> gdal::errors::Result<String> {
        let probe = Probe::new()?;
        let mut dataset = DriverManager::get_driver_by_name("GPKG")?.create_vector_only(output.path())?;
        probe.clear();
        {
            let mut transaction = dataset.start_transaction()?;
            let options =
                LayerOptions { name: layer, srs: srs.as_ref(), ty: OGRwkbGeometryType::wkbLineString, options: None };
            let target = transaction.create_layer(options)?;
            let fields: Vec<(&str, OGRFieldType::Type)> = lines.first().map_or(vec![], |line| {
                line.attributes.iter().map(|(name, value)| (name.as_str(), field_type(value))).collect()
            });
            target.create_defn_fields(&fields)?;
            for line in lines {
                let mut feature = Feature::new(target.defn())?;
                let mut geometry = Geometry::empty(OGRwkbGeometryType::wkbLineString)?;
                line.points.iter().for_each(|&p| geometry.add_point_2d(p));
                feature.set_geometry(geometry)?;
                set_fields(&mut feature, line.attributes.iter().map(|(name, value)| (name.as_str(), value)))?;
                feature.create(&target)?;
            }
            transaction.commit()?;
        }
        dataset.close()?;
        Ok(probe.message())
    };
    let message = dated(write).map_err(|e| write_error(path, reason(e)))?;
    if !message.is_empty() {
        return Err(fail(format!("{message}; is the disk full?")));
    }
    output.commit()
}

/// Sets attributes; a NaN leaves its field empty.
pub(super) fn set_fields<'a>(
    feature: &mut Feature,
    attributes: impl Iterator<Item = (&'a str, &'a Value)>,
) -> gdal::errors::Result<()> {
    for (name, value) in attributes {
        let field = feature.field_index(name)?;
        match value {
            Value::Text(v) => feature.set_field_string(field, v)?,
            Value::Real(v) if v.is_nan() => {}
            Value::Real(v) => feature.set_field_double(field, *v)?,
            Value::Integer(v) => feature.set_field_integer64(field, *v)?,
        }
    }
    Ok(())
}

pub(super) fn field_type(value: &Value) -> OGRFieldType::Type {
    match value {
        Value::Text(_) => OGRFieldType::OFTString,
        Value::Real(_) => OGRFieldType::OFTReal,
        Value::Integer(_) => OGRFieldType::OFTInteger64,
    }
}

/// The lines of every layer of a vector file, in map coordinates as stored; parts of multi-lines come one by one.
///
/// # Errors
/// [`Error::Open`] when GDAL cannot open it or it holds no lines.
pub fn read_lines(path: &str) -> Result<Vec<Vec<(f64, f64)>>> {
    let flags = GdalOpenFlags::GDAL_OF_VECTOR | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR;
    let dataset = Dataset::open_ex(path, DatasetOptions { open_flags: flags, ..Default::default() })
        .map_err(|e| Error::Open { path: path.into(), why: format!("{}; a vector layer is needed", reason(e)) })?;
    let mut lines = Vec::new();
    for mut layer in dataset.layers() {
        for feature in layer.features() {
            if let Some(geometry) = feature.geometry() {
                collect(geometry, &mut lines);
            }
        }
    }
    if lines.is_empty() {
        return Err(Error::Open { path: path.into(), why: "it holds no lines; give a layer of line features".into() });
    }
    Ok(lines)
}

/// The lines and outlines of a geometry.
pub(super) fn collect(geometry: &Geometry, lines: &mut Vec<Vec<(f64, f64)>>) {
    if geometry.geometry_count() > 0 {
        (0..geometry.geometry_count()).for_each(|i| collect(&geometry.get_geometry(i), lines));
    } else if geometry.point_count() >= 2 {
        let mut points = Vec::new();
        geometry.get_points(&mut points);
        lines.push(points.into_iter().map(|(x, y, _)| (x, y)).collect());
    }
}
