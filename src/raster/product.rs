//! The displacement product: six bands in ground units, with everything that made them in its metadata.

use super::georef::{GeoReference, Ground};
use super::jumps::JumpWriter;
use super::memory::MemoryProduct;
use super::writer::{BandSpec, PixelType, RasterSpec, RasterWriter, WriteOptions};
use crate::Result;
use crate::engine::Jump;
use crate::field::{Measurement, Status};
use crate::grid::{Grid, Window};
use crate::layout::Layout;
use crate::pipeline::FieldSink;

/// Metadata domain of everything shiftmap says about a product.
pub const DOMAIN: &str = "SHIFTMAP";

/// Band descriptions of a product, in order. All bands are Float32 with NaN as nodata.
pub const BANDS: [&str; 6] =
    ["East displacement", "North displacement", "Quality", "East sigma", "North sigma", "Status"];

/// Takes measurements from the pipeline and writes them as a product.
pub struct ProductWriter {
    target: Target,
    ground: Ground,
    region: Window,
    /// Where the faults found inside windows go.
    jumps: Option<JumpWriter>,
}

enum Target {
    File(Box<RasterWriter>),
    Memory(MemoryProduct),
}

impl ProductWriter {
    /// Checks the output and creates it under a temporary name.
    ///
    /// `pre` is the georeference of the pre image, `ground` says in which unit displacements are written, `metadata`
    /// are keys and values for the domain [`DOMAIN`].
    ///
    /// # Errors
    /// Those of [`RasterWriter::create`].
    pub fn create(
        path: &str,
        layout: &Layout,
        pre: &GeoReference,
        ground: Ground,
        metadata: &[(String, String)],
        options: &WriteOptions,
    ) -> Result<Self> {
        if let Some(memory) = &options.memory {
            memory.reserve(layout.region.width, layout.region.height);
            return Ok(ProductWriter {
                target: Target::Memory(memory.clone()),
                ground,
                region: layout.region,
                jumps: None,
            });
        }
        let netcdf = options.format.as_deref().is_some_and(|f| f.eq_ignore_ascii_case("netCDF"))
            || options.format.is_none() && path.ends_with(".nc");
        let spec = RasterSpec {
            size: (layout.region.width, layout.region.height),
            pixel: PixelType::F32,
            bands: band_specs(ground.unit, netcdf).into(),
            georef: pre.with_transform(layout.geotransform(&pre.transform)),
            block: layout.tile_cells(),
            metadata: metadata.iter().map(|(k, v)| (DOMAIN.into(), k.clone(), v.clone())).collect(),
        };
        let target = Target::File(Box::new(RasterWriter::create(path, spec, options)?));
        Ok(ProductWriter { target, ground, region: layout.region, jumps: None })
    }

    /// Writes the faults found inside windows to `jumps`, which is finished with the product.
    pub fn with_jumps(mut self, jumps: JumpWriter) -> Self {
        self.jumps = Some(jumps);
        self
    }

    /// Adds an item to the metadata domain [`DOMAIN`].
    pub fn set_metadata(&mut self, key: &str, value: &str) -> Result<()> {
        match &mut self.target {
            Target::File(writer) => writer.set_metadata(DOMAIN, key, value),
            Target::Memory(_) => Ok(()),
        }
    }

    /// Completes the file and gives it its name; a writer dropped before leaves nothing behind.
    pub fn finish(self) -> Result<()> {
        if let Some(jumps) = self.jumps {
            jumps.finish()?;
        }
        match self.target {
            Target::File(writer) => writer.finish(),
            Target::Memory(_) => Ok(()),
        }
    }
}

impl FieldSink for ProductWriter {
    fn write(&mut self, cells: Window, measurements: &Grid<Measurement>) -> Result<()> {
        let bands = band_values(measurements, &self.ground);
        let (x, y) = ((cells.x - self.region.x) as usize, (cells.y - self.region.y) as usize);
        let bands: Vec<&[f32]> = bands.iter().map(Vec::as_slice).collect();
        match &mut self.target {
            Target::File(writer) => writer.write(x, y, cells.width, cells.height, &bands),
            Target::Memory(memory) => {
                memory.write(x, y, cells.width, &bands);
                Ok(())
            }
        }
    }

    fn write_jumps(&mut self, jumps: &[Jump]) -> Result<()> {
        self.jumps.as_mut().map_or(Ok(()), |writer| writer.write(jumps))
    }
}

/// What the bands of a product in the given unit say about themselves; netCDF has names of its own besides.
pub fn band_specs(displacement: &'static str, netcdf: bool) -> [BandSpec; 6] {
    std::array::from_fn(|i| BandSpec {
        description: BANDS[i].to_string(),
        unit: unit(i, displacement).into(),
        nodata: Some(f64::NAN),
        metadata: band_metadata(i, netcdf),
    })
}

/// The six bands of measurements, row-major.
pub fn band_values(measurements: &Grid<Measurement>, ground: &Ground) -> [Vec<f32>; 6] {
    let mut bands: [Vec<f32>; 6] = std::array::from_fn(|_| Vec::with_capacity(measurements.data.len()));
    for m in &measurements.data {
        for (band, value) in bands.iter_mut().zip(values(m, ground)) {
            band.push(value);
        }
    }
    bands
}

/// The six numbers of a cell.
fn values(m: &Measurement, ground: &Ground) -> [f32; 6] {
    let status = f32::from(m.status as u8);
    if m.status != Status::Valid {
        return [f32::NAN, f32::NAN, f32::NAN, f32::NAN, f32::NAN, status];
    }
    let d = ground.transform.ground(m.shift);
    let (east, north) = ground.transform.ground_sigma(m.covariance);
    [d.east as f32, d.north as f32, m.quality, east as f32, north as f32, status]
}

fn unit(band: usize, displacement: &'static str) -> &'static str {
    match band {
        0 | 1 | 3 | 4 => displacement,
        _ => "",
    }
}

/// The status codes and their meaning, as band metadata.
pub fn status_metadata() -> Vec<(String, String)> {
    Status::ALL.iter().map(|(s, text)| (format!("STATUS_{}", *s as u8), text.to_string())).collect()
}

/// Status codes, and for netCDF the variable names; the two `long_name`s are those that QGIS draws as arrows.
fn band_metadata(band: usize, netcdf: bool) -> Vec<(String, String)> {
    let mut items: Vec<(String, String)> = Vec::new();
    let mut add = |k: &str, v: &str| items.push((k.into(), v.into()));
    if band == 5 {
        status_metadata().iter().for_each(|(k, v)| add(k, v));
    }
    if netcdf {
        add("NETCDF_VARNAME", &BANDS[band].to_lowercase().replace(' ', "_"));
        match band {
            0 => add("long_name", "u-component of displacement"),
            1 => add("long_name", "v-component of displacement"),
            _ => add("long_name", BANDS[band]),
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::{Covariance, GeoTransform, PixelShift};

    #[test]
    fn a_failed_cell_keeps_nothing_but_its_status() {
        let ground = Ground { transform: GeoTransform([0.0, 10.0, 0.0, 0.0, 0.0, -10.0]), unit: "m" };
        let found = Measurement {
            shift: PixelShift::new(0.5, 0.25),
            covariance: Covariance { xx: 0.01, xy: 0.0, yy: 0.04 },
            quality: 0.9,
            status: Status::Valid,
        };
        assert_eq!(values(&found, &ground), [5.0, -2.5, 0.9, 1.0, 2.0, 0.0]);
        let lost = values(&Measurement { status: Status::SearchEdge, ..found }, &ground);
        assert!(lost[..5].iter().all(|v| v.is_nan()));
        assert_eq!(lost[5], 3.0);
    }
}
