//! The measured grid, kept in memory.

use crate::Result;
use crate::distortion::{Direction, Distortion, LineTable};
use crate::field::{Measurement, Status};
use crate::grid::{Grid, PointFile, Window};
use crate::layout::Layout;
use crate::pipeline::FieldSink;

/// Takes displacements and adds what the model had removed before they were measured.
pub(super) struct Measured<'a> {
    layout: Layout,
    removed: &'a Distortion,
    /// Whole displacement in pixels; NaN where there is none.
    values: Grid<[f32; 2]>,
    /// Ground that may be used.
    stable: Grid<bool>,
}

impl<'a> Measured<'a> {
    pub(super) fn new(layout: Layout, removed: &'a Distortion) -> Measured<'a> {
        let (width, height) = layout.cells;
        Measured {
            layout,
            removed,
            values: Grid::filled(width, height, [f32::NAN; 2]),
            stable: Grid::filled(width, height, true),
        }
    }

    /// Leaves out what does not lie on stable ground, and what lies on moving ground.
    pub(super) fn mark(&mut self, stable: Option<&dyn PointFile>, moving: Option<&dyn PointFile>) -> Result<()> {
        for (places, wanted) in [(stable, true), (moving, false)] {
            let Some(places) = places else { continue };
            let mut reader = places.open()?;
            for y in 0..self.stable.height {
                let centre = |x| {
                    let c = self.layout.centre(x, y);
                    (c.dx, c.dy)
                };
                let points: Vec<(f64, f64)> = (0..self.stable.width).map(centre).collect();
                for (flag, found) in self.stable.row_mut(y).iter_mut().zip(reader.sample(&points)?) {
                    *flag &= found.is_some_and(|f| f.0 != 0.0) == wanted;
                }
            }
        }
        Ok(())
    }

    /// Cells that have a value on ground that may be used.
    pub(super) fn used(&self) -> usize {
        self.values.data.iter().zip(&self.stable.data).filter(|(v, s)| **s && v[0].is_finite()).count()
    }

    /// By scan lines, less what `known` explains.
    pub(super) fn table(&self, direction: Direction, known: &Distortion) -> LineTable {
        let origin = self.layout.centre(0, 0);
        let step = (self.layout.step.0 as f64, self.layout.step.1 as f64);
        let size = (self.values.width, self.values.height);
        let mut table = LineTable::new(direction, (origin.dx, origin.dy), step, size);
        for y in 0..size.1 {
            for x in 0..size.0 {
                let v = self.values.get(x, y);
                if v[0].is_finite() {
                    let c = self.layout.centre(x, y);
                    let k = known.at(c.dx, c.dy);
                    let v = [f64::from(v[0]) - k[0], f64::from(v[1]) - k[1]];
                    table.add(c.dx, c.dy, v, self.stable.get(x, y));
                }
            }
        }
        table
    }
}

impl FieldSink for Measured<'_> {
    fn write(&mut self, cells: Window, measurements: &Grid<Measurement>) -> Result<()> {
        for y in 0..cells.height {
            for x in 0..cells.width {
                let m = measurements.get(x, y);
                if m.status == Status::Valid {
                    let (i, j) = (cells.x as usize + x, cells.y as usize + y);
                    let c = self.layout.centre(i, j);
                    let known = self.removed.at(c.dx, c.dy);
                    self.values.set(i, j, [(m.shift.dx + known[0]) as f32, (m.shift.dy + known[1]) as f32]);
                }
            }
        }
        Ok(())
    }
}
