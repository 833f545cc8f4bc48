//! Which windows above each other may be measured as one strip: those whose displacements are close together.

use crate::field::PixelShift;

/// Most pixels of a strip: what the cache holds.
const LARGEST: usize = 1 << 15;

/// How far strips reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// From the first to the last cell at most, cells.
    pub strip: usize,
    /// From one cell to the next at most, cells: they have rows in common.
    pub gap: usize,
    /// Largest difference between the displacement of a strip and that of one of its cells, along each axis, pixels.
    pub close: f64,
}

impl Reach {
    /// For windows of a size, `step` rows apart.
    pub fn new(window: (usize, usize), step: usize, close: f64) -> Reach {
        let strip = (LARGEST / window.0).saturating_sub(window.1) / step;
        Reach { strip, gap: (window.1 / 2 / step).max(1), close }
    }
}

/// Cells of a column, from above.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub cells: Vec<usize>,
    /// Least and largest displacement along x and along y.
    span: [(f64, f64); 2],
}

impl Run {
    fn new(cell: usize, d: PixelShift) -> Run {
        Run { cells: vec![cell], span: [(d.dx, d.dx), (d.dy, d.dy)] }
    }

    pub fn first(&self) -> usize {
        self.cells[0]
    }

    pub fn last(&self) -> usize {
        self.cells[self.cells.len() - 1]
    }

    /// The span with one more displacement, `None` where that is too far from the others.
    fn wider(&self, d: PixelShift, close: f64) -> Option<[(f64, f64); 2]> {
        let wider = |(least, most): (f64, f64), v: f64| (least.min(v), most.max(v));
        let span = [wider(self.span[0], d.dx), wider(self.span[1], d.dy)];
        span.iter().all(|(least, most)| most - least <= 2.0 * close).then_some(span)
    }

    /// Middle of what the displacements span.
    pub fn middle(&self) -> PixelShift {
        let [dx, dy] = self.span.map(|(least, most)| 0.5 * (least + most));
        PixelShift::new(dx, dy)
    }
}

/// The runs of a column of `cells`; `start(k)` is about the displacement of the k-th cell, `None` where it is not to be measured.
/// A cell that is far from its neighbours does not end their run.
pub fn runs(cells: usize, reach: Reach, start: impl Fn(usize) -> Option<PixelShift>) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    let mut open = 0;
    for cell in 0..cells {
        let Some(d) = start(cell) else { continue };
        let near = |run: &Run| cell - run.last() <= reach.gap && cell - run.first() <= reach.strip;
        while out.get(open).is_some_and(|run| !near(run)) {
            open += 1;
        }
        let fitting = out[open..]
            .iter_mut()
            .rev()
            .filter(|run| near(run))
            .find_map(|run| Some((run.wider(d, reach.close)?, run)));
        match fitting {
            Some((span, run)) => {
                run.span = span;
                run.cells.push(cell);
            }
            None => out.push(Run::new(cell, d)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSE: f64 = 0.06;

    fn at(dx: f64) -> Option<PixelShift> {
        Some(PixelShift::new(dx, 1.0))
    }

    #[test]
    fn runs_hold_cells_whose_displacements_are_close() {
        let starts = [at(0.0), at(0.05), at(0.1), at(0.2), None, at(0.2), at(0.21), at(0.2), at(0.2)];
        let of = |strip, gap| {
            let found = runs(9, Reach { strip, gap, close: CLOSE }, |k| starts[k]);
            found.into_iter().map(|run| run.cells).collect::<Vec<_>>()
        };
        assert_eq!(of(2, 1), [vec![0, 1, 2], vec![3], vec![5, 6, 7], vec![8]]);
        assert_eq!(of(8, 2), [vec![0, 1, 2], vec![3, 5, 6, 7, 8]]);
        let three = [PixelShift::new(0.1, -1.0), PixelShift::new(0.0, -1.1), PixelShift::new(0.05, -1.0)];
        let d = runs(3, Reach { strip: 9, gap: 1, close: CLOSE }, |k| Some(three[k]))[0].middle();
        assert!((d.dx - 0.05).abs() < 1e-12 && (d.dy + 1.05).abs() < 1e-12);
    }

    #[test]
    fn an_outlier_does_not_end_a_run() {
        let starts = [at(0.0), at(0.5), at(0.05), at(0.0), at(0.52), at(0.55)];
        let found = runs(6, Reach { strip: 9, gap: 3, close: CLOSE }, |k| starts[k]);
        let found: Vec<_> = found.into_iter().map(|run| run.cells).collect();
        assert_eq!(found, [vec![0, 2, 3], vec![1, 4, 5]]);
    }

    #[test]
    fn strips_fit_the_cache() {
        assert_eq!(Reach::new((64, 64), 16, CLOSE), Reach { strip: 28, gap: 2, close: CLOSE });
        assert_eq!(Reach::new((512, 512), 16, CLOSE).strip, 0);
        assert_eq!(Reach::new((64, 64), 64, CLOSE), Reach { strip: 7, gap: 1, close: CLOSE });
    }
}
