//! One earthquake as seen in one image: which part of it the image shows, and its displacement there in pixels.

use rand::RngExt;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::elastic::{PixelGrid, on_grid};
use super::fault_model::{FaultGeometry, FaultModel, Trace};
use super::faulted::{FaultedField, PixelLine};
use super::frame::{Frame, RadarGeometry};
use super::mesh::MeshSize;
use super::off_fault::spread;
use super::random::{Purpose, stream};
use super::rupture::{RuptureSpec, Wishes};
use super::tde::{Loops, Triangle};
use crate::Result;
use crate::field::PixelShift;
use crate::grid::Grid;

/// Which part of the earthquake the image shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// The fault crosses the image.
    Trace,
    /// One end of the rupture.
    Tip,
    /// Ground beside the fault.
    Far,
}

/// The image to be made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    pub width: usize,
    pub height: usize,
    /// Pixels around it in which the displacement is known too.
    pub margin: usize,
    /// Side of a pixel in metres; of radar images the geometry counts.
    pub pixel: f64,
    pub radar: Option<RadarGeometry>,
    /// `None`: drawn.
    pub view: Option<View>,
}

/// How a displacement field came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    pub rupture: RuptureSpec,
    pub view: View,
    /// The image without its margin.
    pub frame: Frame,
    pub triangles: usize,
    /// Largest slip in metres.
    pub largest_slip: f64,
    /// Largest displacement in the image in pixels.
    pub largest_shift: f64,
}

/// A displacement field in pixels with its margin.
#[derive(Debug, Clone)]
pub struct EventField {
    pub grid: Grid<PixelShift>,
    /// Fault traces with their jumps; pixel (0, 0) of the grid, not of the image inside its margin, is the origin.
    pub lines: Vec<PixelLine>,
    pub margin: usize,
}

/// Pixels between the points of a fault's trace.
const EDGE: f64 = 2.0;
/// Smallest jump of a trace as a share of the largest displacement in the image.
const VISIBLE: f64 = 5e-3;
/// Growth of the edges per metre of distance.
const GROWTH: f64 = 0.2;

/// Draws the earthquake of a seed and computes its displacement field.
///
/// # Errors
/// A wish out of range; [`crate::Error::Internal`] when the mesh fails.
pub fn make_event(scene: &Scene, wishes: Wishes, seed: u64) -> Result<(EventField, EventRecord)> {
    let spec = RuptureSpec::draw(seed, wishes)?;
    let rng = &mut stream(seed, Purpose::Patch);
    // Radar pixels are not square: the fault is sampled for their mean size.
    let size = match &scene.radar {
        Some(r) => {
            r.check()?;
            (r.range_spacing / r.incidence_deg.to_radians().sin() * r.azimuth_spacing).sqrt()
        }
        None => scene.pixel,
    };
    let geometry = FaultGeometry::new(&spec, 0.5 * EDGE * size);
    let view = scene.view.unwrap_or_else(|| draw_view(rng));
    let side = scene.width.min(scene.height) as f64 * size;
    let centre = centre(&geometry, view, side, rng);
    let frame = match &scene.radar {
        Some(radar) => Frame::radar(scene.width, scene.height, radar, centre),
        None => Frame::optical(scene.width, scene.height, scene.pixel, centre),
    };
    let padded = frame.grown(scene.margin);
    let model = geometry.model(MeshSize { finest: EDGE * size, growth: GROWTH }, centre, padded.radius())?;
    let motion = ground_motion(&model, &padded)?;
    let mut grid = motion.map(|u| padded.shift(u));
    let mut traces = model.traces.clone();
    if let Some(off_fault) = &spec.off_fault {
        spread(&mut grid, &mut traces, &padded, off_fault);
    }
    let mut field = EventField { lines: pixel_lines(&traces, &padded), grid, margin: scene.margin };
    let largest_shift = field.largest();
    // A break that no one could see is none.
    let visible = VISIBLE * largest_shift;
    field.lines.retain(|l| l.jump.iter().any(|j| j[0].hypot(j[1]) > visible));
    let record = EventRecord {
        triangles: model.triangles.len(),
        largest_slip: model.largest_slip(),
        rupture: spec,
        view,
        frame,
        largest_shift,
    };
    Ok((field, record))
}

/// Poisson's ratio of the crust.
pub const POISSON: f64 = 0.25;

/// Motion of the ground (east, north, up in metres) at the pixel centres.
fn ground_motion(model: &FaultModel, frame: &Frame) -> Result<Grid<[f64; 3]>> {
    let triangles: Vec<Triangle> =
        model.triangles.iter().map(|t| Triangle { vertices: t.vertices, slip: t.slip }).collect();
    let grid = PixelGrid {
        width: frame.width,
        height: frame.height,
        origin: frame.origin,
        column: frame.column,
        row: frame.row,
    };
    on_grid(&Loops::new(&triangles, POISSON)?, &grid)
}

fn draw_view(rng: &mut Pcg64) -> View {
    match rng.random_range(0..10) {
        0..7 => View::Trace,
        7 | 8 => View::Tip,
        _ => View::Far,
    }
}

/// Middle of the image on the map.
fn centre(geometry: &FaultGeometry, view: View, side: f64, rng: &mut Pcg64) -> (f64, f64) {
    let traces = geometry.main_traces();
    let trace = &traces[rng.random_range(0..traces.len())];
    let near = (0.45 * side).min(3000.0);
    let mut beside = |p: (f64, f64), least: f64, most: f64| {
        let (sin, cos) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
        let distance = rng.random_range(least..most);
        (p.0 + distance * sin, p.1 + distance * cos)
    };
    match view {
        View::Trace => {
            let p = beside((0.0, 0.0), 0.0, near);
            let k = rng.random_range(trace.len() / 10..trace.len() * 9 / 10);
            (trace[k].0 + p.0, trace[k].1 + p.1)
        }
        View::Tip => {
            // An end of the whole rupture, and as much of it as there is slip to be seen: it fades towards the end.
            let inwards = |mut points: Box<dyn Iterator<Item = &(f64, f64)> + '_>| {
                let first = points.next().copied().unwrap_or_default();
                let far = |p: &(f64, f64)| (p.0 - first.0).hypot(p.1 - first.1) > 0.35 * side;
                points.find(|p| far(p)).copied().unwrap_or(first)
            };
            let p = beside((0.0, 0.0), 0.0, 0.2 * side);
            let end = match rng.random_range(0..2) {
                0 => inwards(Box::new(traces.iter().flatten())),
                _ => inwards(Box::new(traces.iter().rev().flat_map(|t| t.iter().rev()))),
            };
            (end.0 + p.0, end.1 + p.1)
        }
        View::Far => {
            let p = beside((0.0, 0.0), side.max(5e3), side.max(5e3) + 10e3);
            let k = rng.random_range(0..trace.len());
            (trace[k].0 + p.0, trace[k].1 + p.1)
        }
    }
}

/// The traces in pixels of an image; those that stay clear of it are left out.
fn pixel_lines(traces: &[Trace], frame: &Frame) -> Vec<PixelLine> {
    const CLEAR: f64 = 64.0;
    let sign = if frame.mirrored() { -1.0 } else { 1.0 };
    let lines = traces.iter().map(|t| {
        let points: Vec<(f64, f64)> = t.points.iter().map(|&(e, n)| frame.pixel(e, n)).collect();
        let jump = t.jump.iter().map(|&j| {
            let d = frame.shift(j);
            [sign * d.dx, sign * d.dy]
        });
        PixelLine { points, jump: jump.collect() }
    });
    let (w, h) = (frame.width as f64, frame.height as f64);
    let inside = |p: &(f64, f64)| p.0 > -CLEAR && p.1 > -CLEAR && p.0 < w + CLEAR && p.1 < h + CLEAR;
    lines.filter(|l| l.points.iter().any(inside)).map(|l| cut(l, inside)).collect()
}

/// Keeps the part of a line from its first to its last point inside. What is cut off keeps its jump at the cut: the ground
/// there is far from the image.
pub(super) fn cut(line: PixelLine, inside: impl Fn(&(f64, f64)) -> bool) -> PixelLine {
    let first = line.points.iter().position(&inside).unwrap_or(0).saturating_sub(1);
    let last = line.points.iter().rposition(&inside).map_or(0, |k| (k + 1).min(line.points.len() - 1));
    PixelLine { points: line.points[first..=last].to_vec(), jump: line.jump[first..=last].to_vec() }
}

impl EventField {
    /// Largest displacement inside the margin.
    pub fn largest(&self) -> f64 {
        let (m, g) = (self.margin, &self.grid);
        let rows = m..g.height - m;
        rows.flat_map(|y| &g.row(y)[m..g.width - m]).map(|d| d.dx.hypot(d.dy)).fold(0.0, f64::max)
    }

    /// The field times a factor.
    pub fn scale(&mut self, factor: f64) {
        for d in &mut self.grid.data {
            (d.dx, d.dy) = (factor * d.dx, factor * d.dy);
        }
        self.lines.iter_mut().flat_map(|l| &mut l.jump).flatten().for_each(|v| *v *= factor);
    }

    /// Adds the same shift everywhere.
    pub fn shift(&mut self, dx: f64, dy: f64) {
        for d in &mut self.grid.data {
            (d.dx, d.dy) = (d.dx + dx, d.dy + dy);
        }
    }

    /// A part of the field of `width` × `height` pixels and a margin around them; (x, y): its corner including the margin.
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize, margin: usize) -> EventField {
        let window = crate::grid::Window::new(x as i64, y as i64, width + 2 * margin, height + 2 * margin);
        let moved = |p: &(f64, f64)| (p.0 - x as f64, p.1 - y as f64);
        let (w, h) = (window.width as f64, window.height as f64);
        let inside = |p: &(f64, f64)| p.0 > -64.0 && p.1 > -64.0 && p.0 < w + 64.0 && p.1 < h + 64.0;
        let lines =
            self.lines.iter().map(|l| PixelLine { points: l.points.iter().map(moved).collect(), jump: l.jump.clone() });
        let lines = lines.filter(|l| l.points.iter().any(inside)).map(|l| cut(l, inside)).collect();
        EventField { grid: self.grid.crop(window), lines, margin }
    }

    /// One of the eight symmetries of the square, applied to the picture and to the vectors: bit 0 mirrors left and right, bit
    /// 1 top and bottom, bit 2 swaps rows and columns (first).
    pub fn turned(&self, symmetry: u8) -> EventField {
        let (swap, mirror_x, mirror_y) = (symmetry & 4 != 0, symmetry & 1 != 0, symmetry & 2 != 0);
        let (w, h) = if swap { (self.grid.height, self.grid.width) } else { (self.grid.width, self.grid.height) };
        let vector = |v: (f64, f64)| {
            let (a, b) = if swap { (v.1, v.0) } else { v };
            (if mirror_x { -a } else { a }, if mirror_y { -b } else { b })
        };
        let place = |p: &(f64, f64)| {
            let (a, b) = if swap { (p.1, p.0) } else { *p };
            (if mirror_x { (w - 1) as f64 - a } else { a }, if mirror_y { (h - 1) as f64 - b } else { b })
        };
        let grid = Grid::from_fn(w, h, |x, y| {
            let (a, b) = (if mirror_x { w - 1 - x } else { x }, if mirror_y { h - 1 - y } else { y });
            let d = if swap { self.grid.get(b, a) } else { self.grid.get(a, b) };
            let (dx, dy) = vector((d.dx, d.dy));
            PixelShift::new(dx, dy)
        });
        // A mirror image turns right into left.
        let sign = if swap ^ mirror_x ^ mirror_y { -1.0 } else { 1.0 };
        let lines = self.lines.iter().map(|l| PixelLine {
            points: l.points.iter().map(place).collect(),
            jump: l.jump.iter().map(|j| vector((sign * j[0], sign * j[1]))).map(|v| [v.0, v.1]).collect(),
        });
        EventField { grid, lines: lines.collect(), margin: self.margin }
    }

    /// Ready for evaluation between the pixels and for the inverse.
    pub fn faulted(&self) -> FaultedField {
        FaultedField::new(self.grid.clone(), self.lines.clone())
    }
}
