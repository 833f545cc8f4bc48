//! The motion of one date's image against the other's, measured once for a base and taken out of its samples.

use crate::field::Status;
use crate::grid::{Grid, ImageFile, Window};
use crate::layout::Layout;
use crate::pipeline::{self, FieldSink, MethodName, Pair, Params};
use crate::progress::Progress;
use crate::robust;
use crate::{Error, Result};

/// Keeps the displacements of valid windows.
#[derive(Default)]
struct Collect {
    dx: Vec<f64>,
    dy: Vec<f64>,
}

impl FieldSink for Collect {
    fn write(&mut self, _: Window, measurements: &Grid<crate::field::Measurement>) -> Result<()> {
        for m in measurements.data.iter().filter(|m| m.status == Status::Valid) {
            self.dx.push(m.shift.dx);
            self.dy.push(m.shift.dy);
        }
        Ok(())
    }
}

/// Windows of this side are matched.
const WINDOW: usize = 64;

/// Where the second image has what the first has at its pixel (0, 0): `origin`, the offset of the two grids, plus the median
/// displacement over the whole scene; and the scatter of that (1.48 × median absolute deviation). Columns and rows in pixels.
///
/// # Errors
/// Unreadable images; [`Error::Data`] when nothing matches.
pub fn measure(
    first: &dyn ImageFile,
    second: &dyn ImageFile,
    origin: (f64, f64),
    threads: usize,
    progress: &mut dyn Progress,
) -> Result<((f64, f64), (f64, f64))> {
    let params = Params {
        method: MethodName::Lsm,
        window: (WINDOW, WINDOW),
        step: (WINDOW / 2, WINDOW / 2),
        search: (5.0, 5.0),
        ..Params::default()
    };
    let layout = Layout::new(first.size(), params.window, params.step, None)?;
    let mut found = Collect::default();
    let pair = Pair::new(first, second, origin);
    pipeline::run(&pair, &layout, &params, threads, &mut found, progress)?;
    if found.dx.len() < 8 {
        return Err(Error::Data(format!(
            "{} and {} do not match: too few windows agree; remove one of them from the folder",
            first.name(),
            second.name()
        )));
    }
    let ((x, sx), (y, sy)) = (middle(found.dx), middle(found.dy));
    Ok(((origin.0 + x, origin.1 + y), (sx, sy)))
}

fn middle(mut values: Vec<f64>) -> (f64, f64) {
    let centre = robust::median(&mut values);
    (centre, robust::scale(&values, centre))
}
