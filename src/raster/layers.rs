//! Vector results: several layers of points and lines with attributes in one file.

use super::check::Probe;
use super::georef::Crs;
use super::jumps::dated;
use super::output::Output;
use super::reason;
use super::vector::{Value, field_type, set_fields};
use super::writer::write_error;
use crate::{Error, Result};
use gdal::vector::{Feature, Geometry, LayerAccess, LayerOptions, OGRwkbGeometryType};
use gdal::{Dataset, DriverManager, DriverType};

/// What the features of a layer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Points,
    Lines,
}

/// A feature: one position for a point, two or more for a line, in map coordinates.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Placed {
    pub points: Vec<(f64, f64)>,
    /// In the order of the layer's fields; a NaN becomes an empty field.
    pub values: Vec<Value>,
}

/// Name, shape and fields of a layer; the values of `fields` only tell their type.
#[derive(Debug, Clone)]
pub struct LayerSpec {
    pub name: String,
    pub shape: Shape,
    pub fields: Vec<(String, Value)>,
}

/// A vector file under construction; the same features give the same bytes.
pub struct LayerWriter {
    output: Output,
    dataset: Dataset,
    probe: Probe,
    layers: Vec<LayerSpec>,
}

impl LayerWriter {
    /// Checks the output and creates it with its layers under a temporary name. The format follows from the extension,
    /// GeoPackage without one.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Write`].
    pub fn create(path: &str, layers: Vec<LayerSpec>, crs: Option<&Crs>, overwrite: bool) -> Result<LayerWriter> {
        let fail = |why: String| Error::Write { path: path.into(), why };
        let srs = crs.map(Crs::srs).transpose()?;
        let name = path.rsplit('/').next().unwrap_or(path);
        let driver = match name.contains('.') {
            true => DriverManager::get_output_driver_for_dataset_name(path, DriverType::Vector)
                .ok_or_else(|| fail("no vector format goes with this extension; use .gpkg".into()))?,
            false => DriverManager::get_driver_by_name("GPKG").map_err(|e| fail(reason(e)))?,
        };
        let output = Output::new(path, overwrite)?;
        let probe = Probe::new().map_err(|e| fail(reason(e)))?;
        let create = || -> gdal::errors::Result<Dataset> {
            let mut dataset = driver.create_vector_only(output.path())?;
            for spec in &layers {
                let ty = match spec.shape {
                    Shape::Points => OGRwkbGeometryType::wkbPoint,
                    Shape::Lines => OGRwkbGeometryType::wkbLineString,
                };
                let layer =
                    dataset.create_layer(LayerOptions { name: &spec.name, srs: srs.as_ref(), ty, options: None })?;
                let fields: Vec<_> = spec.fields.iter().map(|(n, v)| (n.as_str(), field_type(v))).collect();
                layer.create_defn_fields(&fields)?;
            }
            Ok(dataset)
        };
        let dataset = dated(create).map_err(|e| fail(reason(e)))?;
        probe.clear();
        Ok(LayerWriter { output, dataset, probe, layers })
    }

    /// Adds features to the layer of that number.
    pub fn write(&mut self, layer: usize, features: &[Placed]) -> Result<()> {
        if features.is_empty() {
            return Ok(());
        }
        let (spec, dataset) = (&self.layers[layer], &mut self.dataset);
        let names: Vec<&str> = spec.fields.iter().map(|(n, _)| n.as_str()).collect();
        let fill = |target: &gdal::vector::Layer| -> gdal::errors::Result<()> {
            for placed in features {
                let mut feature = Feature::new(target.defn())?;
                let ty = match spec.shape {
                    Shape::Points => OGRwkbGeometryType::wkbPoint,
                    Shape::Lines => OGRwkbGeometryType::wkbLineString,
                };
                let mut geometry = Geometry::empty(ty)?;
                placed.points.iter().for_each(|&p| geometry.add_point_2d(p));
                feature.set_geometry(geometry)?;
                set_fields(&mut feature, names.iter().copied().zip(&placed.values))?;
                feature.create(target)?;
            }
            Ok(())
        };
        let write = || -> gdal::errors::Result<()> {
            // Formats without transactions are written directly.
            if dataset.layer(layer)?.has_capability(gdal::vector::LayerCaps::OLCTransactions) {
                let transaction = dataset.start_transaction()?;
                fill(&transaction.layer(layer)?)?;
                transaction.commit()
            } else {
                fill(&dataset.layer(layer)?)
            }
        };
        dated(write).map_err(|e| write_error(self.output.target(), reason(e)))
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn finish(self) -> Result<()> {
        let LayerWriter { output, dataset, probe, .. } = self;
        let path = output.target().to_string();
        dated(|| dataset.close()).map_err(|e| write_error(&path, reason(e)))?;
        let message = probe.message();
        if !message.is_empty() {
            return Err(Error::Write { path, why: format!("{message}; is the disk full?") });
        }
        output.commit()
    }
}
