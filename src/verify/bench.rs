//! The part of the images that is measured, as it is and after the simulated earthquake, and how the results are judged.

use super::part::{Part, PartImage, PartPoints};
use super::smooth::{Quadratic, median};
use super::{AsIs, Away, VerifyJob};
use crate::evaluate::compare::{Comparison, Components, Evaluation, FieldRaster, Place};
use crate::evaluate::stats::{Calibration, ErrorStats};
use crate::field::{GeoTransform, Measurement, PixelShift, Status};
use crate::grid::{Grid, ImageFile, MemoryImage, PointFile, Window};
use crate::job::Prepared;
use crate::layout::Layout;
use crate::pipeline::{self, FieldSink, Pair};
use crate::progress::Progress;
use crate::raster::ProductWriter;
use crate::{Error, Result};

/// Measurements of all cells, and the product they go to as well.
pub struct Cells {
    pub values: Grid<Measurement>,
    pub product: Option<ProductWriter>,
}

impl Cells {
    pub fn new(size: (usize, usize)) -> Cells {
        Cells { values: Grid::filled(size.0, size.1, Measurement::failed(Status::NoData)), product: None }
    }
}

impl FieldSink for Cells {
    fn write(&mut self, cells: Window, measurements: &Grid<Measurement>) -> Result<()> {
        for y in 0..cells.height {
            let at = cells.x as usize;
            let row = self.values.row_mut(cells.y as usize + y);
            row[at..at + cells.width].copy_from_slice(measurements.row(y));
        }
        self.product.as_mut().map_or(Ok(()), |p| p.write(cells, measurements))
    }
}

/// Earlier and later images, band by band, and where pixel (0, 0) of the earlier lies in the later.
type Images = (Vec<MemoryImage>, Vec<MemoryImage>, (f64, f64));

/// The part with its cells and its surroundings.
pub struct Bench<'a> {
    verify: &'a VerifyJob,
    prepared: &'a Prepared,
    pub part: Part,
    pub layout: Layout,
    /// Pixels of the later image around the part.
    margin: usize,
}

impl<'a> Bench<'a> {
    pub fn new(verify: &'a VerifyJob, prepared: &'a Prepared, part: Part) -> Result<Bench<'a>> {
        let params = &prepared.params;
        let layout = Layout::new((part.width, part.height), params.window, params.step, None)?;
        let reach = params.auto_search.unwrap_or(params.search.0.max(params.search.1));
        let largest = params.larger_windows.iter().chain([&params.window]).map(|w| w.0.max(w.1)).max().unwrap_or(0);
        let margin = (reach.ceil() as usize + largest / 2 + 16).min(512);
        Ok(Bench { verify, prepared, part, layout, margin })
    }

    pub fn size(&self) -> (usize, usize) {
        (self.part.width, self.part.height)
    }

    /// The part of the pre image and its surroundings in the post image, band by band, and where pixel (0, 0) of the part lies
    /// in the latter.
    pub fn images(&self, scene: &Pair) -> Result<Images> {
        let window = self.part.window();
        let corner = (scene.origin.0.floor() as i64, scene.origin.1.floor() as i64);
        let around = window.shifted(corner.0, corner.1).grown(self.margin);
        let (mut pre, mut post) = (Vec::new(), Vec::new());
        for (a, b) in &scene.bands {
            pre.push(MemoryImage(a.open()?.read(window)?));
            post.push(MemoryImage(b.open()?.read(around)?));
        }
        if !pre.iter().zip(&post).any(|(a, b)| a.0.valid.data.contains(&true) && b.0.valid.data.contains(&true)) {
            return Err(Error::Data(format!(
                "{} has no valid pixel in the part {} {} {} {}; give another --region",
                scene.pre().name(),
                window.x,
                window.y,
                window.width,
                window.height
            )));
        }
        let m = self.margin as f64;
        Ok((pre, post, (scene.origin.0 - corner.0 as f64 + m, scene.origin.1 - corner.1 as f64 + m)))
    }

    /// Measures all cells of the part. `images`: those of [`Bench::images`]; `cuts` are added to the job's own.
    pub fn measure(
        &self,
        (pre, post, origin): (&[MemoryImage], &[MemoryImage], (f64, f64)),
        cuts: &[Vec<(f64, f64)>],
        cells: &mut Cells,
        progress: &mut dyn Progress,
    ) -> Result<pipeline::Report> {
        let corner = (self.part.x as f64, self.part.y as f64);
        let scene = self.prepared.pair();
        let prior = scene.prior.map(|file| PartPoints { file, corner });
        let stable = scene.stable.map(|file| PartPoints { file, corner });
        let own = scene.cuts.iter().map(|l| l.iter().map(|p| (p.0 - corner.0, p.1 - corner.1)).collect());
        let cuts: Vec<Vec<(f64, f64)>> = own.chain(cuts.iter().cloned()).collect();
        let copies = pre.iter().zip(post).zip(&scene.bands);
        let images: Vec<[PartImage; 2]> =
            copies.map(|((a, b), of)| [PartImage { copy: a, of: of.0 }, PartImage { copy: b, of: of.1 }]).collect();
        let pair = Pair {
            bands: images.iter().map(|[a, b]| (a as &dyn ImageFile, b as &dyn ImageFile)).collect(),
            origin,
            prior: prior.as_ref().map(|p| p as &dyn PointFile),
            stable: stable.as_ref().map(|p| p as &dyn PointFile),
            cuts: &cuts,
        };
        pipeline::run(&pair, &self.layout, &self.prepared.params, self.verify.job.threads, cells, progress)
    }

    /// Half of the largest window, and how far it reaches from its centre.
    fn half(&self) -> (f64, f64) {
        let params = &self.prepared.params;
        let all = params.larger_windows.iter().chain([&params.window]);
        let (w, h) = all.fold((0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1)));
        (w.max(h) as f64 / 2.0, 0.5 * (w as f64).hypot(h as f64))
    }

    /// Whether the window of a cell lies in the part.
    fn inside(&self, i: usize, j: usize) -> bool {
        let (c, (half, _)) = (self.layout.centre(i, j), self.half());
        let (w, h) = (self.part.width as f64 - 0.5, self.part.height as f64 - 0.5);
        c.dx - half >= -1.0 && c.dy - half >= -1.0 && c.dx + half <= w + 0.5 && c.dy + half <= h + 0.5
    }

    /// A displacement, north up, at the cells whose windows lie in the part.
    pub fn field(&self, value: impl Fn(f64, f64) -> PixelShift) -> FieldRaster {
        let (w, h) = self.layout.cells;
        let mut field = FieldRaster {
            east: Grid::filled(w, h, f32::NAN),
            north: Grid::filled(w, h, f32::NAN),
            up: None,
            sigma: None,
            transform: self.layout.geotransform(&GeoTransform::PIXELS),
        };
        for j in 0..h {
            for i in (0..w).filter(|&i| self.inside(i, j)) {
                let c = self.layout.centre(i, j);
                let d = value(c.dx, c.dy);
                field.east.set(i, j, d.dx as f32);
                field.north.set(i, j, -d.dy as f32);
            }
        }
        field
    }

    pub fn estimate(&self, cells: &Grid<Measurement>) -> FieldRaster {
        let (w, h) = self.layout.cells;
        let mut field = self.field(|_, _| PixelShift::new(f64::NAN, f64::NAN));
        let mut sigma = (Grid::filled(w, h, f32::NAN), Grid::filled(w, h, f32::NAN));
        for j in 0..h {
            for i in (0..w).filter(|&i| self.inside(i, j)) {
                let m = cells.get(i, j);
                if m.status == Status::Valid {
                    field.east.set(i, j, m.shift.dx as f32);
                    field.north.set(i, j, -m.shift.dy as f32);
                    let (e, n) = GeoTransform::PIXELS.ground_sigma(m.covariance);
                    sigma.0.set(i, j, e as f32);
                    sigma.1.set(i, j, n as f32);
                }
            }
        }
        field.sigma = Some(sigma);
        field
    }

    pub fn compare(
        &self,
        estimate: &FieldRaster,
        truth: &FieldRaster,
        traces: &[Vec<(f64, f64)>],
        distances: &[f64],
    ) -> Result<(Evaluation, Option<Away>)> {
        let on_map = |l: &Vec<(f64, f64)>| l.iter().map(|p| (p.0 + 0.5, -(p.1 + 0.5))).collect();
        let lines: Vec<Vec<(f64, f64)>> = traces.iter().map(on_map).collect();
        let reach = self.half().1;
        let mut distances = distances.to_vec();
        if distances.iter().all(|d| *d < reach) {
            distances.push(reach.ceil());
        }
        let compare = |estimate: &FieldRaster| {
            Comparison {
                estimate,
                truth,
                place: Place::Cells,
                pixel: (1.0, 1.0),
                scale: (1.0, 1.0),
                border: 0.0,
                trace: (!lines.is_empty()).then_some(&lines),
                distances: &distances,
                outlier: (0.5, 0.5),
            }
            .run()
        };
        let all = compare(estimate)?;
        let mut kept = estimate.clone();
        if !lines.is_empty() {
            let distance = crate::synth::trace::Distance::new(&lines);
            for j in 0..kept.east.height {
                for i in 0..kept.east.width {
                    let (x, y) = kept.transform.map(i as f64 + 0.5, j as f64 + 0.5);
                    if distance.at(x, y) <= reach {
                        kept.east.set(i, j, f32::NAN);
                        kept.north.set(i, j, f32::NAN);
                    }
                }
            }
        }
        let Ok(found) = compare(&kept) else { return Ok((all, None)) };
        let middle = |grid: &Grid<f32>| {
            let of = |(s, e): (&f32, &f32)| (s.is_finite() && e.is_finite()).then_some(f64::from(*s));
            median(grid.data.iter().zip(&kept.east.data).filter_map(of).collect())
        };
        let stated = kept.sigma.as_ref().map(|(e, n)| (middle(e), middle(n)));
        let factor = found.calibration.as_ref().map(|c| (c.east.robust_std, c.north.robust_std));
        let away = Away {
            distance: if lines.is_empty() { 0.0 } else { reach },
            errors: found.errors,
            calibration: found.calibration,
            stated_sigma: stated,
            expected_sigma: stated.zip(factor).map(|(s, f)| (s.0 * f.0, s.1 * f.1)),
        };
        Ok((all, Some(away)))
    }

    /// What the pair shows as it is, and its smooth misregistration.
    pub fn stable(&self, cells: &Grid<Measurement>) -> Result<(AsIs, Quadratic)> {
        let estimate = self.estimate(cells);
        let mut points = Vec::new();
        for j in 0..cells.height {
            for i in 0..cells.width {
                let (e, n) = (f64::from(estimate.east.get(i, j)), f64::from(estimate.north.get(i, j)));
                if e.is_finite() {
                    let c = self.layout.centre(i, j);
                    points.push(((c.dx, c.dy), PixelShift::new(e, -n)));
                }
            }
        }
        let fitted = Quadratic::fit(self.size(), &points);
        let component = |values: &Grid<f32>, expected: &dyn Fn(PixelShift) -> f64| {
            Grid::from_fn(cells.width, cells.height, |i, j| {
                let c = self.layout.centre(i, j);
                f64::from(values.get(i, j)) - expected(fitted.at(c.dx, c.dy))
            })
        };
        let rest = [component(&estimate.east, &|d| d.dx), component(&estimate.north, &|d| -d.dy)];
        let stats = |g: &Grid<f64>| {
            let finite: Vec<f64> = g.data.iter().copied().filter(|v| v.is_finite()).collect();
            ErrorStats::of(&finite, 0.5).ok_or_else(|| {
                Error::Data(
                    "no cell could be measured on the two images as they are; larger --window or --search?".into(),
                )
            })
        };
        let scatter = Components::horizontal(stats(&rest[0])?, stats(&rest[1])?);
        let z = |k: usize| {
            let sigma = estimate.sigma.as_ref()?;
            let sigma = if k == 0 { &sigma.0 } else { &sigma.1 };
            let both = rest[k].data.iter().zip(&sigma.data).filter(|(v, _)| v.is_finite());
            let (errors, sigmas): (Vec<f64>, Vec<f64>) = both.map(|(v, s)| (*v, f64::from(*s))).unzip();
            Calibration::of(&errors, &sigmas)
        };
        let calibration = z(0).zip(z(1)).map(|(east, north)| Components::horizontal(east, north));
        let lag = (self.half().0 * 2.0 / self.layout.step.0 as f64).ceil().max(1.0) as usize;
        let noise = |g: &Grid<f64>| {
            let mut differences = Vec::new();
            for j in 0..g.height {
                differences
                    .extend((lag..g.width).map(|i| (g.get(i, j) - g.get(i - lag, j)).abs()).filter(|d| d.is_finite()));
            }
            1.4826 * median(differences) / std::f64::consts::SQRT_2
        };
        let structure = |k: usize, nmad: f64| {
            let local = noise(&rest[k]);
            if local > 0.0 { nmad / local } else { 1.0 }
        };
        let shifts: Vec<PixelShift> = points.iter().map(|(p, _)| fitted.at(p.0, p.1)).collect();
        let n = shifts.len().max(1) as f64;
        let mean = shifts.iter().fold((0.0, 0.0), |s, d| (s.0 + d.dx / n, s.1 - d.dy / n));
        let found = AsIs {
            misregistration: mean,
            largest_misregistration: shifts.iter().map(|d| d.dx.hypot(d.dy)).fold(0.0, f64::max),
            structure: (structure(0, scatter.east.nmad), structure(1, scatter.north.nmad)),
            scatter,
            calibration,
        };
        Ok((found, fitted))
    }
}
