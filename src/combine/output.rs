//! Bands and metadata of the result.

use super::job::CombineJob;
use super::kriging::Kriging;
use super::solve::{Bands, Solver, status};
use super::sources::Sources;
use crate::raster::{BandSpec, DOMAIN, PixelType, RasterSpec};

/// Description and unit of every band.
pub const BANDS: [(&str, &str); 9] = [
    ("East displacement", "m"),
    ("North displacement", "m"),
    ("Up displacement", "m"),
    ("East sigma", "m"),
    ("North sigma", "m"),
    ("Up sigma", "m"),
    ("Status", ""),
    ("Maps used", ""),
    ("Disagreement", ""),
];

/// The bands of a strip as numbers.
#[derive(Debug, Clone)]
pub(super) struct Layers(pub Vec<Vec<f32>>);

impl Layers {
    pub fn of(b: &Bands) -> Layers {
        let codes = |v: &[u8]| v.iter().map(|c| f32::from(*c)).collect::<Vec<f32>>();
        let mut all: Vec<Vec<f32>> = b.displacement.iter().chain(&b.sigma).cloned().collect();
        all.extend([codes(&b.status), codes(&b.used), b.disagreement.clone()]);
        Layers(all)
    }

    pub fn slices(&self) -> Vec<&[f32]> {
        self.0.iter().map(Vec::as_slice).collect()
    }
}

/// The file to be written.
pub(super) fn spec(
    job: &CombineJob,
    sources: &Sources,
    solver: &Solver,
    kriging: Option<&Kriging>,
    facts: &[(String, String)],
) -> RasterSpec {
    let band = |&(name, unit): &(&str, &str)| {
        let metadata = match name {
            "Status" => status::ALL.iter().map(|(code, text)| (format!("CODE_{code}"), text.to_string())).collect(),
            _ => Vec::new(),
        };
        BandSpec { description: name.into(), unit: unit.into(), nodata: Some(f64::NAN), metadata }
    };
    let mut items = vec![
        ("VERSION".to_string(), crate::VERSION.to_string()),
        ("COMMAND".into(), "shiftmap combine".into()),
        ("METHOD".into(), job.method.name().into()),
        ("UNITS".into(), "m".into()),
        ("STEP".into(), "1x1".into()),
        ("NORTH".into(), if job.true_north { "true, turned to the grid's" } else { "the grid's" }.into()),
    ];
    for (k, (map, c)) in sources.names().iter().zip(&solver.nuisance.corrections).enumerate() {
        let list = |v: &[f64]| v.iter().map(|x| format!("{x:.6}")).collect::<Vec<_>>().join(" ");
        let sigma = c.estimated_sigma.map_or("as given".into(), |s| format!("{s:.6} m, estimated"));
        let text = format!(
            "{map} (sigma {sigma}; ramp and topography {}; their sigma {})",
            list(&c.coefficients),
            list(&c.sigma)
        );
        items.push((format!("MAP_{:03}", k + 1), text));
    }
    for path in &job.gnss {
        items.push((format!("GNSS_{:03}", items.len()), path.clone()));
    }
    items.push(("STATIONS".into(), sources.stations.len().to_string()));
    if !job.leave_out.is_empty() {
        items.push(("LEFT_OUT".into(), job.leave_out.join(" ")));
    }
    if let Some(k) = kriging {
        items.push(("KRIGING_LENGTH".into(), format!("{:.1}", k.length)));
        items.push(("KRIGING_SIGMA".into(), k.variance().map(|v| format!("{:.6}", v.sqrt())).join(" ")));
    }
    let given = [("DEM", &job.dem), ("MASK", &job.mask), ("LIKE", &job.like), ("CRS", &job.crs)];
    items.extend(given.into_iter().filter_map(|(k, v)| Some((k.to_string(), v.clone()?))));
    let o = &job.options;
    items.push(("RAMP_SIGMA".into(), o.ramp_sigma.to_string()));
    items.push(("TOPOGRAPHY_SIGMA".into(), o.topography_sigma.to_string()));
    items.extend(facts.iter().cloned());
    RasterSpec {
        size: sources.grid.size,
        pixel: PixelType::F32,
        bands: BANDS.iter().map(band).collect(),
        georef: sources.grid.georef.clone(),
        block: (256, 256),
        metadata: items.into_iter().map(|(k, v)| (DOMAIN.to_string(), k, v)).collect(),
    }
}
