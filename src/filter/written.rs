//! The filtered map and the map of what was removed.

use super::cells::{Cells, Step};
use super::{FilterJob, ROWS, Summary};
use crate::Result;
use crate::grid::Window;
use crate::map::{DisplacementMap, MapUnit};
use crate::raster::{BandSpec, DOMAIN, PixelType, RasterSpec, RasterWriter, WriteOptions, band_specs};

/// Both files.
pub(super) struct Outputs {
    map: RasterWriter,
    removed: Option<RasterWriter>,
}

impl Outputs {
    pub(super) fn create(job: &FilterJob, map: &DisplacementMap) -> Result<Outputs> {
        let unit = match map.unit {
            MapUnit::Metres => "m",
            MapUnit::Pixels => "px",
        };
        let netcdf = job.write.format.as_deref().is_some_and(|f| f.eq_ignore_ascii_case("netCDF"))
            || job.write.format.is_none() && job.out.ends_with(".nc");
        let own = ["VERSION", "COMMAND", "WINDOW"];
        let mut metadata = vec![
            (DOMAIN.to_string(), "VERSION".to_string(), crate::VERSION.to_string()),
            (DOMAIN.into(), "COMMAND".into(), command(job)),
        ];
        if let Some(made) = map.find("COMMAND") {
            metadata.push((DOMAIN.into(), "MAP_COMMAND".into(), made.into()));
        }
        if let Some(window) = map.find("WINDOW") {
            metadata.push((DOMAIN.into(), "WINDOW".into(), widened(job, map, window)));
        }
        let kept = map.metadata.iter().filter(|(k, _)| !own.contains(&k.as_str()));
        metadata.extend(kept.map(|(k, v)| (DOMAIN.into(), k.clone(), v.clone())));
        let spec = |bands: Vec<BandSpec>| RasterSpec {
            size: map.size(),
            pixel: PixelType::F32,
            bands,
            georef: map.georef.clone(),
            block: (256, ROWS),
            metadata: metadata.clone(),
        };
        let file = RasterWriter::create(&job.out, spec(band_specs(unit, netcdf).into()), &job.write)?;
        let removed = match &job.removed {
            Some(path) => {
                let options = WriteOptions { format: None, ..job.write.clone() };
                Some(RasterWriter::create(path, spec(removed_bands(unit)), &options)?)
            }
            None => None,
        };
        Ok(Outputs { map: file, removed })
    }

    pub(super) fn write(&mut self, strip: Window, before: &Cells, after: &Cells) -> Result<()> {
        let status: Vec<f32> = after.status.data.iter().map(|s| f32::from(*s)).collect();
        let bands: [&[f32]; 6] = [
            &after.values[0].data,
            &after.values[1].data,
            &after.quality.data,
            &after.sigma[0].data,
            &after.sigma[1].data,
            &status,
        ];
        let (x, y) = (strip.x as usize, strip.y as usize);
        self.map.write(x, y, strip.width, strip.height, &bands)?;
        if let Some(file) = &mut self.removed {
            // What is in the map before and not after: all of a removed cell, the difference otherwise.
            let gone = [0, 1].map(|k| -> Vec<f32> {
                let both = before.values[k].data.iter().zip(&after.values[k].data);
                both.map(|(a, b)| if b.is_finite() { a - b } else { *a }).collect()
            });
            let step: Vec<f32> = after.step.data.iter().map(|s| f32::from(*s as u8)).collect();
            file.write(x, y, strip.width, strip.height, &[&gone[0], &gone[1], &step])?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self, summary: &Summary) -> Result<()> {
        for (i, done) in summary.steps.iter().enumerate() {
            self.map.set_metadata(DOMAIN, &format!("FILTER_{}", i + 1), &done.text)?;
        }
        if let Some(model) = &summary.model {
            let text = serde_json::to_string(model).map_err(|e| crate::Error::Internal(format!("model: {e}")))?;
            self.map.set_metadata(DOMAIN, "FILTER_MODEL", &text)?;
        }
        if let Some(file) = self.removed {
            file.finish()?;
        }
        self.map.finish()
    }
}

fn removed_bands(unit: &str) -> Vec<BandSpec> {
    let band = |description: &str, unit: &str, metadata| BandSpec {
        description: description.into(),
        unit: unit.into(),
        nodata: Some(f64::NAN),
        metadata,
    };
    let steps = Step::ALL.iter().map(|s| (format!("STEP_{}", *s as u8), s.text().to_string())).collect();
    vec![band("East removed", unit, Vec::new()), band("North removed", unit, Vec::new()), band("Step", "", steps)]
}

/// Neighbouring values share what they are made of over the window of the smoothing too.
fn widened(job: &FilterJob, map: &DisplacementMap, window: &str) -> String {
    let cells = job.median.map_or(0, |n| n - 1) + job.nlm.map_or(0, |n| n.patch - 1);
    match (map.window, map.step) {
        (Some(w), Some(s)) if cells > 0 => {
            format!("{}x{}", w.0 + cells as f64 * s.0, w.1 + cells as f64 * s.1)
        }
        _ => window.into(),
    }
}

/// The command that repeats the job.
fn command(job: &FilterJob) -> String {
    let mut text = format!("shiftmap filter {} OUT", job.map);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text += &format!(" {name}={value}");
        }
    };
    let number = |v: Option<f64>| v.map(|v| v.to_string());
    add("--max-sigma", number(job.max_sigma));
    add("--min-quality", number(job.min_quality));
    add("--max-magnitude", number(job.max_magnitude));
    add("--ndc", job.ndc.and_then(|n| n.distance).map(|d| d.to_string()));
    add("--outliers", number(job.outliers));
    add("--subtract", job.subtract.clone());
    add("--detrend", job.detrend.map(|n| if n == 6 { "quadratic".into() } else { "plane".into() }));
    add("--destripe", job.destripe.map(|g| g.to_string()));
    add("--longest", number(job.longest));
    add("--ccd", job.seams.map(|g| g.to_string()));
    let edges = job.edges.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    add("--ccd-edges", (!edges.is_empty()).then_some(edges));
    add("--stable", job.stable.clone());
    add("--moving", job.moving.clone());
    add("--median", job.median.map(|n| n.to_string()));
    if let Some(nlm) = job.nlm {
        add("--nlm", Some(nlm.strength.to_string()));
        add("--nlm-search", Some(nlm.search.to_string()));
        add("--nlm-patch", Some(nlm.patch.to_string()));
    }
    add("--fill", job.fill.map(|n| n.to_string()));
    if job.ndc.is_some_and(|n| n.distance.is_none()) {
        text += " --ndc";
    }
    text
}
