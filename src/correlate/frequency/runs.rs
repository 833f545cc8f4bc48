//! Which windows above each other may be measured as one strip: those whose peaks are close together.

use crate::field::PixelShift;

/// Largest difference between the displacement of a strip and the peak of one of its windows, along each axis, pixels.
const CLOSE: f64 = 0.06;
/// Most pixels of a strip: what the cache holds.
const LARGEST: usize = 1 << 15;

/// Cells of a column, one below the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    pub first: usize,
    pub count: usize,
    /// Least and largest peak along x and along y.
    span: [(f64, f64); 2],
}

impl Run {
    fn new(first: usize, d: PixelShift) -> Run {
        Run { first, count: 1, span: [(d.dx, d.dx), (d.dy, d.dy)] }
    }

    /// With the cell below, `None` where its peak is too far from the others.
    fn with(&self, d: PixelShift) -> Option<Run> {
        let wider = |(least, most): (f64, f64), v: f64| (least.min(v), most.max(v));
        let span = [wider(self.span[0], d.dx), wider(self.span[1], d.dy)];
        let close = span.iter().all(|(least, most)| most - least <= 2.0 * CLOSE);
        close.then_some(Run { count: self.count + 1, span, ..*self })
    }

    /// Middle of what the peaks span.
    pub fn middle(&self) -> PixelShift {
        let [dx, dy] = self.span.map(|(least, most)| 0.5 * (least + most));
        PixelShift::new(dx, dy)
    }
}

/// The runs of a column of `cells`, `most` cells each at most; `start(k)` is the peak of the k-th cell, `None` where it has to be
/// measured by itself.
pub fn runs(cells: usize, most: usize, start: impl Fn(usize) -> Option<PixelShift>) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    for cell in 0..cells {
        let Some(d) = start(cell) else { continue };
        let open = out.last_mut().filter(|run| run.first + run.count == cell && run.count < most);
        match open.and_then(|run| Some((run.with(d)?, run))) {
            Some((longer, run)) => *run = longer,
            None => out.push(Run::new(cell, d)),
        }
    }
    out
}

/// Windows in a strip at most, for windows of a size, `step` rows apart.
pub fn most(window: (usize, usize), step: usize) -> usize {
    1 + (LARGEST / window.0).saturating_sub(window.1) / step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_hold_cells_whose_peaks_are_close() {
        let at = |dx: f64| Some(PixelShift::new(dx, 1.0));
        let starts = [at(0.0), at(0.05), at(0.1), at(0.2), None, at(0.2), at(0.21), at(0.2), at(0.2)];
        let found: Vec<(usize, usize)> = runs(9, 3, |k| starts[k]).iter().map(|run| (run.first, run.count)).collect();
        assert_eq!(found, [(0, 3), (3, 1), (5, 3), (8, 1)]);
        let three = [PixelShift::new(0.1, -1.0), PixelShift::new(0.0, -1.1), PixelShift::new(0.05, -1.0)];
        let d = runs(3, 3, |k| Some(three[k]))[0].middle();
        assert!((d.dx - 0.05).abs() < 1e-12 && (d.dy + 1.05).abs() < 1e-12);
        assert_eq!((most((64, 64), 16), most((512, 512), 16), most((64, 64), 64)), (29, 1, 8));
    }
}
