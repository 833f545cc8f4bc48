//! Strain and rotation of a displacement map (`shiftmap strain`).
//!
//! In a window around every cell a plane is fitted to each component by least squares, weighted by the map's sigma; its
//! slopes are the displacement gradient. From it: dilatation e_xx + e_yy, maximum shear (engineering, the difference of the
//! principal strains) sqrt((e_xx - e_yy)^2 + (2 e_xy)^2), and rotation (dN/dx - dE/dy) / 2 in radians, anticlockwise
//! positive. Infinitesimal strain: Malvern (1969), Introduction to the mechanics of a continuous medium, section 4.2.
//!
//! Errors of cells whose matching windows overlap are correlated by the share that they have in common; sigma contains it.
//! Maps without sigma get it from the scatter about the planes.
//!
//! Memory: strips of rows, whatever the size of the map.

use rayon::prelude::*;

use crate::field::GeoTransform;
use crate::map::reader::{DisplacementMap, MapBlock};
use crate::progress::Progress;
use crate::raster::{BandSpec, DOMAIN, PixelType, RasterSpec, RasterWriter, WriteOptions};
use crate::{Error, Result};

/// What `shiftmap strain` is told.
#[derive(Debug, Clone)]
pub struct StrainJob {
    pub map: String,
    pub out: String,
    /// Side of the window in cells, odd.
    pub window: usize,
    /// Least share of the window's cells with a value.
    pub min_valid: f64,
    pub write: WriteOptions,
    pub threads: usize,
}

impl StrainJob {
    /// With the command line's defaults.
    pub fn new(map: &str, out: &str) -> StrainJob {
        StrainJob {
            map: map.into(),
            out: out.into(),
            window: 5,
            min_valid: 0.5,
            write: WriteOptions::default(),
            threads: 1,
        }
    }
}

/// Band descriptions, in order; Float32 with NaN as nodata. x is east (or right), y north (or up).
pub const BANDS: [&str; 11] = [
    "Dilatation",
    "Maximum shear",
    "Rotation",
    "East gradient x",
    "East gradient y",
    "North gradient x",
    "North gradient y",
    "Dilatation sigma",
    "Maximum shear sigma",
    "Rotation sigma",
    "Status",
];

/// What was written.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary {
    pub output: String,
    /// Columns and rows.
    pub size: (usize, usize),
    /// Side of the window in cells, and in the unit of the map.
    pub window: usize,
    pub window_length: (f64, f64),
    pub unit: &'static str,
    /// Cells with a value.
    pub valid: usize,
}

/// Rows computed and written at once.
const ROWS: usize = 128;

/// Writes the strain map on the grid of the displacement map.
///
/// # Errors
/// Files that cannot be read or written; a window that is even, below 3 or larger than the map.
pub fn run(job: &StrainJob, progress: &mut dyn Progress) -> Result<Summary> {
    let map = DisplacementMap::open(&job.map)?;
    let (width, height) = map.size();
    if job.window < 3 || job.window.is_multiple_of(2) || job.window > 501 {
        return Err(Error::option("--window", job.window, "give an odd number of cells from 3 to 501"));
    }
    if job.window > width.min(height) {
        let why = format!("{} has {width} x {height} cells; give a smaller window", job.map);
        return Err(Error::option("--window", job.window, why));
    }
    if !(job.min_valid > 0.0 && job.min_valid <= 1.0) {
        return Err(Error::option("--min-valid", job.min_valid, "give a share above 0, up to 1"));
    }
    let grid = map.plane().transform(&map.georef.transform);
    let (cx, cy) = grid.pixel_size();
    let length = (cx * job.window as f64, cy * job.window as f64);
    let mut metadata = vec![
        (DOMAIN.to_string(), "VERSION".to_string(), crate::VERSION.to_string()),
        (
            DOMAIN.into(),
            "COMMAND".into(),
            format!("shiftmap strain {} OUT --window {} --min-valid {}", job.map, job.window, job.min_valid),
        ),
        (DOMAIN.into(), "STRAIN_WINDOW_CELLS".into(), job.window.to_string()),
        (DOMAIN.into(), "STRAIN_WINDOW".into(), format!("{}x{} {}", length.0, length.1, map.unit.name())),
    ];
    let source = map.metadata.iter().filter(|(k, _)| ["METHOD", "WINDOW", "STEP"].contains(&k.as_str()));
    metadata.extend(source.map(|(k, v)| (DOMAIN.into(), format!("MAP_{k}"), v.clone())));
    let spec = RasterSpec {
        size: (width, height),
        pixel: PixelType::F32,
        bands: (0..BANDS.len()).map(band).collect(),
        georef: map.georef.clone(),
        block: (256, ROWS),
        metadata,
    };
    let mut writer = RasterWriter::create(&job.out, spec, &job.write)?;
    let fit = PlaneFit::new(&map, &grid, job)?;
    let mut reader = map.reader()?;
    let pool = crate::threads::pool(job.threads)?;
    let half = job.window / 2;
    let mut valid = 0;
    for strip in map.strips(ROWS) {
        if !progress.report(0.99 * strip.y as f64 / height as f64, "fitting planes") {
            return Err(Error::Cancelled);
        }
        let block = reader.read(strip.grown(half))?;
        let rows: Vec<Vec<[f32; 11]>> = pool.install(|| {
            (0..strip.height)
                .into_par_iter()
                .map(|j| (0..width).map(|i| fit.cell(&block, i + half, j + half)).collect())
                .collect()
        });
        let mut bands = vec![Vec::with_capacity(width * strip.height); BANDS.len()];
        for cell in rows.iter().flatten() {
            valid += usize::from(cell[10] == 0.0);
            bands.iter_mut().zip(cell).for_each(|(band, v)| band.push(*v));
        }
        let bands: Vec<&[f32]> = bands.iter().map(Vec::as_slice).collect();
        writer.write(0, strip.y as usize, width, strip.height, &bands)?;
    }
    if valid == 0 {
        return Err(Error::Data(format!(
            "{} has no window of {} x {} cells with {} of its values; lower --min-valid or --window",
            job.map, job.window, job.window, job.min_valid
        )));
    }
    writer.finish()?;
    progress.report(1.0, "done");
    Ok(Summary {
        output: job.out.clone(),
        size: (width, height),
        window: job.window,
        window_length: length,
        unit: map.unit.name(),
        valid,
    })
}

fn band(i: usize) -> BandSpec {
    let metadata = match i {
        10 => vec![("STATUS_0".to_string(), "valid".to_string()), ("STATUS_1".into(), "too few values".into())],
        _ => Vec::new(),
    };
    let unit = if matches!(i, 2 | 9) { "rad" } else { "" };
    BandSpec { description: BANDS[i].into(), unit: unit.into(), nodata: Some(f64::NAN), metadata }
}

/// Plane fits on one map.
struct PlaneFit {
    half: i64,
    /// Least number of values.
    least: usize,
    /// From gradients along columns and rows to gradients along x and y.
    turn: [f64; 4],
    /// How much larger the variance of the two slopes is than that of independent cells.
    inflation: (f64, f64),
}

/// Sums of a weighted plane fit: w, wx, wy, wxx, wxy, wyy, wu, wxu, wyu, wuu.
type Sums = [f64; 10];

/// Slopes along columns and rows, and their covariance (xx, xy, yy).
struct Slopes {
    x: f64,
    y: f64,
    covariance: [f64; 3],
}

impl PlaneFit {
    fn new(map: &DisplacementMap, grid: &GeoTransform, job: &StrainJob) -> Result<PlaneFit> {
        let c = grid.0;
        let det = c[1] * c[5] - c[2] * c[4];
        if det == 0.0 || !det.is_finite() {
            return Err(Error::GridMismatch(format!("{} has a singular geotransform", map.path())));
        }
        let overlap = map.window.zip(map.step).map_or((1.0, 1.0), |(w, s)| (w.0 / s.0, w.1 / s.1));
        Ok(PlaneFit {
            half: (job.window / 2) as i64,
            least: ((job.min_valid * (job.window * job.window) as f64).ceil() as usize).max(4),
            // Transposed inverse of the grid's linear part.
            turn: [c[5] / det, -c[4] / det, -c[2] / det, c[1] / det],
            inflation: (inflation(job.window, overlap), inflation(job.window, (overlap.1, overlap.0))),
        })
    }

    /// The bands of the cell at (`i`, `j`) of the block.
    fn cell(&self, block: &MapBlock, i: usize, j: usize) -> [f32; 11] {
        let (mut sums, mut n) = ([[0.0; 10]; 2], 0);
        let known = block.sigma.as_ref();
        for dy in -self.half..=self.half {
            let row = (j as i64 + dy) as usize;
            let first = (i as i64 - self.half) as usize;
            for dx in -self.half..=self.half {
                let column = (first as i64 + dx + self.half) as usize;
                let u = [block.east.get(column, row), block.north.get(column, row)];
                let s = known.map_or([1.0, 1.0], |(e, n)| [e.get(column, row), n.get(column, row)]);
                if !(u[0].is_finite() && s[0] > 0.0 && s[1] > 0.0) {
                    continue;
                }
                n += 1;
                for k in 0..2 {
                    let (w, u, x, y) = (f64::from(s[k]).powi(-2), f64::from(u[k]), dx as f64, dy as f64);
                    let terms = [1.0, x, y, x * x, x * y, y * y, u, x * u, y * u, u * u];
                    sums[k].iter_mut().zip(terms).for_each(|(sum, t)| *sum += w * t);
                }
            }
        }
        let mut out = [f32::NAN; 11];
        out[10] = 1.0;
        if n < self.least {
            return out;
        }
        let (Some(e), Some(v)) = (self.solve(&sums[0], n, known.is_some()), self.solve(&sums[1], n, known.is_some()))
        else {
            return out;
        };
        let (ex, ey, nx, ny) = (e.x, e.y, v.x, v.y);
        let (a, b) = (ex - ny, ey + nx);
        let shear = a.hypot(b);
        let [exx, exy, eyy] = e.covariance;
        let [nxx, nxy, nyy] = v.covariance;
        let (va, vb, cab) = (exx + nyy, eyy + nxx, exy - nxy);
        let shear_variance = match shear * shear > va.max(vb) {
            true => (a * a * va + b * b * vb + 2.0 * a * b * cab) / (shear * shear),
            // The direction is not known.
            false => va.max(vb),
        };
        let values = [
            ex + ny,
            shear,
            0.5 * (nx - ey),
            ex,
            ey,
            nx,
            ny,
            va.max(0.0).sqrt(),
            shear_variance.max(0.0).sqrt(),
            0.5 * (eyy + nxx).max(0.0).sqrt(),
            0.0,
        ];
        values.map(|v| v as f32)
    }

    /// Slopes on the ground, `None` for cells in a line.
    fn solve(&self, s: &Sums, n: usize, known: bool) -> Option<Slopes> {
        let [w, wx, wy, wxx, wxy, wyy, wu, wxu, wyu, wuu] = *s;
        // About the weighted mean.
        let (mx, my, mu) = (wx / w, wy / w, wu / w);
        let (xx, xy, yy) = (wxx - wx * mx, wxy - wx * my, wyy - wy * my);
        let (xu, yu, uu) = (wxu - wx * mu, wyu - wy * mu, wuu - wu * mu);
        let det = xx * yy - xy * xy;
        if det <= 1e-9 * xx * yy || det <= 0.0 {
            return None;
        }
        let (gx, gy) = ((yy * xu - xy * yu) / det, (xx * yu - xy * xu) / det);
        let scale = if known { 1.0 } else { (uu - gx * xu - gy * yu).max(0.0) / (n as f64 - 3.0) };
        let root = (self.inflation.0 * self.inflation.1).sqrt();
        let c = [yy / det * scale * self.inflation.0, -xy / det * scale * root, xx / det * scale * self.inflation.1];
        let t = &self.turn;
        let form =
            |a: [f64; 2], b: [f64; 2]| a[0] * b[0] * c[0] + (a[0] * b[1] + a[1] * b[0]) * c[1] + a[1] * b[1] * c[2];
        let (p, q) = ([t[0], t[1]], [t[2], t[3]]);
        Some(Slopes {
            x: t[0] * gx + t[1] * gy,
            y: t[2] * gx + t[3] * gy,
            covariance: [form(p, p), form(p, q), form(q, q)],
        })
    }
}

/// Variance of the slope along the first axis of a full window whose cells are correlated over `overlap` cells along the
/// two axes, over that of independent cells.
fn inflation(window: usize, overlap: (f64, f64)) -> f64 {
    let half = (window / 2) as i64;
    let rho = |lag: i64, span: f64| (1.0 - lag.abs() as f64 / span.max(1e-9)).max(0.0);
    // The correlation is a product of the two axes, and so is the sum over pairs.
    let (mut first, mut second, mut plain) = (0.0, 0.0, 0.0);
    for a in -half..=half {
        plain += (a * a) as f64;
        for b in -half..=half {
            let lag = a - b;
            first += (a * b) as f64 * if lag == 0 { 1.0 } else { rho(lag, overlap.0) };
            second += if lag == 0 { 1.0 } else { rho(lag, overlap.1) };
        }
    }
    first / plain * second / window as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn independent_cells_are_not_inflated_and_full_overlap_is_bounded() {
        assert!((inflation(5, (1.0, 1.0)) - 1.0).abs() < 1e-12);
        // Rows that are all the same count as one row.
        assert!((inflation(5, (1.0, 1e12)) - 5.0).abs() < 1e-6);
        assert!(inflation(5, (4.0, 4.0)) > 2.0);
    }
}
