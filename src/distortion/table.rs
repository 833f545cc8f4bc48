//! A displacement field by scan lines: one row of the table for each line, blocks along it.

use super::direction::Direction;

/// Most blocks along a line. Finer fields are averaged along the lines: the table grows with the number of lines, never with
/// the area.
pub const BLOCKS: usize = 256;

/// Sums over the values in a block of a line.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    weight: f64,
    along: f64,
    values: [f64; 2],
    /// Weight on ground that may be used for what is the same over the whole scene.
    stable: f64,
}

/// One block of one line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block {
    /// Position along and across the lines.
    pub along: f64,
    pub across: f64,
    pub values: [f64; 2],
    /// Lies on stable ground, or stable ground is not known.
    pub stable: bool,
}

/// Collects values in any order and hands out the blocks.
#[derive(Debug, Clone)]
pub struct LineTable {
    pub direction: Direction,
    /// Position across of line 0, distance of lines.
    pub first: f64,
    pub spacing: f64,
    /// Position along of the start of block 0, length of a block.
    pub start: f64,
    pub length: f64,
    pub lines: usize,
    pub blocks: usize,
    sums: Vec<Sums>,
}

impl LineTable {
    /// For values at the positions `origin + (i, j) * step`, i below `size.0`, j below `size.1`.
    pub fn new(direction: Direction, origin: (f64, f64), step: (f64, f64), size: (usize, usize)) -> LineTable {
        let last = ((size.0.max(1) - 1) as f64 * step.0, (size.1.max(1) - 1) as f64 * step.1);
        let (along, across) = direction.extent(last.0, last.1);
        let zero = direction.split(origin.0, origin.1);
        // The distance of neighbouring values along and across the lines.
        let spacing = (direction.y * step.0).hypot(direction.x * step.1);
        let pace = (direction.x * step.0).hypot(direction.y * step.1);
        let lines = ((across.1 - across.0) / spacing).round() as usize + 1;
        let places = ((along.1 - along.0) / pace).round() as usize + 1;
        let length = places.div_ceil(BLOCKS) as f64 * pace;
        let blocks = ((along.1 - along.0 + pace) / length).ceil() as usize;
        LineTable {
            direction,
            first: zero.1 + across.0,
            spacing,
            start: zero.0 + along.0 - 0.5 * pace,
            length,
            lines,
            blocks,
            sums: vec![Sums::default(); lines * blocks],
        }
    }

    /// Adds a value at (x, y).
    pub fn add(&mut self, x: f64, y: f64, values: [f64; 2], stable: bool) {
        let (along, across) = self.direction.split(x, y);
        let line = ((across - self.first) / self.spacing).round();
        let block = ((along - self.start) / self.length).floor();
        let line = (line.max(0.0) as usize).min(self.lines - 1);
        let block = (block.max(0.0) as usize).min(self.blocks - 1);
        let sums = &mut self.sums[line * self.blocks + block];
        sums.weight += 1.0;
        sums.along += along;
        sums.values[0] += values[0];
        sums.values[1] += values[1];
        sums.stable += f64::from(u8::from(stable));
    }

    /// The block, where it has values.
    pub fn block(&self, line: usize, block: usize) -> Option<Block> {
        let s = &self.sums[line * self.blocks + block];
        (s.weight > 0.0).then(|| Block {
            along: s.along / s.weight,
            across: self.across(line),
            values: s.values.map(|v| v / s.weight),
            stable: 2.0 * s.stable > s.weight,
        })
    }

    /// Position of a line.
    pub fn across(&self, line: usize) -> f64 {
        self.first + line as f64 * self.spacing
    }

    /// Number of blocks with values.
    pub fn filled(&self) -> usize {
        self.sums.iter().filter(|s| s.weight > 0.0).count()
    }

    /// Number of those on stable ground.
    pub fn stable(&self) -> usize {
        self.sums.iter().filter(|s| s.weight > 0.0 && 2.0 * s.stable > s.weight).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_are_taken_as_they_are() {
        for (direction, lines, blocks) in [(Direction::ROWS, 5, 7), (Direction::COLUMNS, 7, 5)] {
            let mut table = LineTable::new(direction, (16.0, 8.0), (8.0, 4.0), (7, 5));
            assert_eq!((table.lines, table.blocks), (lines, blocks));
            for j in 0..5 {
                for i in 0..7 {
                    let (x, y) = (16.0 + 8.0 * i as f64, 8.0 + 4.0 * j as f64);
                    table.add(x, y, [x, y], true);
                }
            }
            for line in 0..lines {
                for block in 0..blocks {
                    let b = table.block(line, block).unwrap();
                    let (x, y) = direction.join(b.along, b.across);
                    assert_eq!([x, y], b.values);
                }
            }
        }
    }

    #[test]
    fn long_lines_are_averaged_and_every_value_counts_once() {
        let d = Direction { x: 0.6, y: 0.8 };
        let mut table = LineTable::new(d, (0.0, 0.0), (1.0, 1.0), (700, 500));
        assert!(table.blocks <= BLOCKS && table.lines >= 700, "{} x {}", table.lines, table.blocks);
        for j in 0..500 {
            for i in 0..700 {
                table.add(i as f64, j as f64, [1.0, 0.0], i < 350);
            }
        }
        let total: f64 = table.sums.iter().map(|s| s.weight).sum();
        assert_eq!(total, 350_000.0);
        let stable: f64 = table.sums.iter().map(|s| s.stable).sum();
        assert_eq!(stable, 175_000.0);
    }
}
