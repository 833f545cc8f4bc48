//! Faults found inside windows (`--split`), written as a line layer piece by piece.

use super::check::Probe;
use super::georef::{GeoReference, Ground};
use super::output::Output;
use super::reason;
use super::writer::write_error;
use crate::engine::Jump;
use crate::{Error, Result};
use gdal::config::{clear_thread_local_config_option, set_thread_local_config_option};
use gdal::vector::{Feature, Geometry, LayerAccess, LayerOptions, OGRFieldType, OGRwkbGeometryType};
use gdal::{Dataset, DriverManager};

/// Name of the layer.
pub const LAYER: &str = "faults";
/// Its attributes: slip (right side minus left, seen along the line) and standard deviations in the product's unit,
/// strike in degrees clockwise from up, and the gain of the information criterion.
const FIELDS: [&str; 6] = ["slip_east", "slip_north", "sigma_east", "sigma_north", "strike", "bic_gain"];

/// A GeoPackage of fault pieces under construction.
pub struct JumpWriter {
    output: Output,
    dataset: Dataset,
    probe: Probe,
    georef: GeoReference,
    ground: Ground,
}

impl JumpWriter {
    /// Checks the output and creates it under a temporary name. `georef` is that of the pre image, `ground` the unit.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Write`].
    pub fn create(path: &str, georef: &GeoReference, ground: Ground, overwrite: bool) -> Result<JumpWriter> {
        let srs = georef.crs.as_ref().map(super::georef::Crs::srs).transpose()?;
        let output = Output::new(path, overwrite)?;
        let probe = Probe::new().map_err(|e| Error::Write { path: path.into(), why: reason(e) })?;
        let create = || -> gdal::errors::Result<Dataset> {
            let dataset = DriverManager::get_driver_by_name("GPKG")?.create_vector_only(output.path())?;
            let ty = OGRwkbGeometryType::wkbLineString;
            let options = LayerOptions { name: LAYER, srs: srs.as_ref(), ty, options: None };
            let mut dataset = dataset;
            let layer = dataset.create_layer(options)?;
            layer.create_defn_fields(&FIELDS.map(|name| (name, OGRFieldType::OFTReal)))?;
            Ok(dataset)
        };
        let dataset = dated(create).map_err(|e| Error::Write { path: path.into(), why: reason(e) })?;
        probe.clear();
        Ok(JumpWriter { output, dataset, probe, georef: georef.clone(), ground })
    }

    /// Adds pieces.
    pub fn write(&mut self, jumps: &[Jump]) -> Result<()> {
        if jumps.is_empty() {
            return Ok(());
        }
        let (georef, ground) = (&self.georef, &self.ground);
        let dataset = &mut self.dataset;
        let write = || -> gdal::errors::Result<()> {
            let transaction = dataset.start_transaction()?;
            {
                let layer = transaction.layer(0)?;
                for jump in jumps {
                    let mut feature = Feature::new(layer.defn())?;
                    let (points, values) = on_ground(jump, georef, ground);
                    let mut geometry = Geometry::empty(OGRwkbGeometryType::wkbLineString)?;
                    points.iter().for_each(|&p| geometry.add_point_2d(p));
                    feature.set_geometry(geometry)?;
                    for (name, value) in FIELDS.iter().zip(values) {
                        feature.set_field_double(feature.field_index(name)?, value)?;
                    }
                    feature.create(&layer)?;
                }
            }
            transaction.commit()
        };
        dated(write).map_err(|e| write_error(self.output.target(), reason(e)))
    }

    /// Completes the file and gives it its name.
    pub fn finish(self) -> Result<()> {
        let JumpWriter { output, dataset, probe, .. } = self;
        let path = output.target().to_string();
        dated(|| dataset.close()).map_err(|e| write_error(&path, reason(e)))?;
        let message = probe.message();
        if !message.is_empty() {
            return Err(Error::Write { path, why: format!("{message}; is the disk full?") });
        }
        output.commit()
    }
}

/// GeoPackages carry the time of their making; the same job gives the same file.
pub(super) fn dated<T>(work: impl FnOnce() -> T) -> T {
    const KEY: &str = "OGR_CURRENT_DATE";
    // Without it the file differs in its date only.
    let _ = set_thread_local_config_option(KEY, "2000-01-01T00:00:00.000Z");
    let done = work();
    let _ = clear_thread_local_config_option(KEY);
    done
}

/// Map positions and attribute values of a piece; its strike is brought to 0 to 180 degrees.
fn on_ground(jump: &Jump, georef: &GeoReference, ground: &Ground) -> ([(f64, f64); 2], [f64; 6]) {
    let mut points = jump.points.map(|(x, y)| georef.transform.map(x + 0.5, y + 0.5));
    let mut slip = ground.transform.ground(jump.slip);
    let (east, north) = ground.transform.ground_sigma(jump.covariance);
    // A mirrored grid swaps left and right.
    let t = &georef.transform.0;
    let mirrored = t[1] * t[5] - t[2] * t[4] > 0.0;
    let heading = |p: &[(f64, f64); 2]| (p[1].0 - p[0].0).atan2(p[1].1 - p[0].1).to_degrees().rem_euclid(360.0);
    let backwards = heading(&points) >= 180.0;
    if backwards {
        points.swap(0, 1);
    }
    if backwards != mirrored {
        (slip.east, slip.north) = (-slip.east, -slip.north);
    }
    (points, [slip.east, slip.north, east, north, heading(&points), jump.gain])
}
