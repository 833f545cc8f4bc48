//! The post image as it would look without a distortion, computed while it is read.
//!
//! Quintic B-spline on the grid of twice the sampling rate ([`Warper`]). The image is made in tiles anchored at its first
//! pixel, each as a whole from a fixed part of the source, so that a pixel does not depend on how it is read.

use crate::Result;
use crate::correlate::fill::fill_invalid;
use crate::distortion::Distortion;
use crate::grid::{Grid, Image, ImageFile, ImageReader, Window};
use crate::synth::warp::Warper;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Side of a tile in pixels.
const TILE: usize = 256;
/// Pixels around a tile that its values depend on: the reach of the doubling and of the spline.
const MARGIN: usize = 64;
/// Tiles kept for other readers.
const KEPT: usize = 48;

/// An image on the pre grid whose pixel x is the source's at x + origin + distortion(x).
pub struct Aligned<'a> {
    source: &'a dyn ImageFile,
    size: (usize, usize),
    origin: (f64, f64),
    distortion: &'a Distortion,
    tiles: Mutex<Kept>,
}

/// Tiles by column and row.
type Kept = VecDeque<((i64, i64), Arc<Image>)>;

impl<'a> Aligned<'a> {
    /// `size` is the pre image's, `origin` where its pixel (0, 0) lies in the source.
    pub fn new(
        source: &'a dyn ImageFile,
        size: (usize, usize),
        origin: (f64, f64),
        distortion: &'a Distortion,
    ) -> Self {
        Aligned { source, size, origin, distortion, tiles: Mutex::default() }
    }

    fn kept(&self, at: (i64, i64)) -> Option<Arc<Image>> {
        let tiles = self.tiles.lock().unwrap_or_else(PoisonError::into_inner);
        tiles.iter().find(|t| t.0 == at).map(|t| t.1.clone())
    }

    fn keep(&self, at: (i64, i64), tile: &Arc<Image>) {
        let mut tiles = self.tiles.lock().unwrap_or_else(PoisonError::into_inner);
        tiles.push_back((at, tile.clone()));
        if tiles.len() > KEPT {
            tiles.pop_front();
        }
    }

    /// Computes a tile.
    fn make(&self, at: (i64, i64), reader: &mut (dyn ImageReader + '_)) -> Result<Image> {
        let side = TILE as i64;
        let place = |x: usize, y: usize| {
            let (x, y) = ((at.0 * side) as f64 + x as f64, (at.1 * side) as f64 + y as f64);
            let d = self.distortion.at(x, y);
            (x + self.origin.0 + d[0], y + self.origin.1 + d[1])
        };
        let places = Grid::from_fn(TILE, TILE, place);
        let range = |pick: fn(&(f64, f64)) -> f64| {
            let values = places.data.iter().map(pick);
            let low = values.clone().fold(f64::INFINITY, f64::min).floor() as i64 - MARGIN as i64;
            let high = values.fold(f64::NEG_INFINITY, f64::max).ceil() as i64 + MARGIN as i64;
            (low, (high - low + 1) as usize)
        };
        let ((left, width), (top, height)) = (range(|p| p.0), range(|p| p.1));
        let mut out = Image::invalid(TILE, TILE);
        let extent = Window::new(0, 0, self.source.size().0, self.source.size().1);
        let window = Window::new(left, top, width, height);
        if window.intersect(&extent).is_none() {
            return Ok(out);
        }
        let image = reader.read(window)?;
        let Some(filled) = fill_invalid(&image) else { return Ok(out) };
        // A worker of the pipeline that waited for others here could take up a tile that waits for this one.
        let warper = Warper::mirrored_alone(&filled.map(f64::from));
        for (i, (x, y)) in places.data.iter().enumerate() {
            let (x, y) = (x - left as f64, y - top as f64);
            if known(&image.valid, x, y) {
                out.values.data[i] = warper.at(x, y) as f32;
                out.valid.data[i] = true;
            }
        }
        Ok(out)
    }
}

/// Whether all pixels next to the position are valid.
fn known(valid: &Grid<bool>, x: f64, y: f64) -> bool {
    let near = |v: f64| {
        // Rounding does not make a whole position reach for its neighbour.
        let whole = v.round();
        if (v - whole).abs() < 1e-6 {
            (whole as usize, whole as usize)
        } else {
            (v.floor() as usize, v.ceil() as usize)
        }
    };
    let ((x0, x1), (y0, y1)) = (near(x), near(y));
    valid.get(x0, y0) && valid.get(x1, y0) && valid.get(x0, y1) && valid.get(x1, y1)
}

impl ImageFile for Aligned<'_> {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn open(&self) -> Result<Box<dyn ImageReader + '_>> {
        Ok(Box::new(Reader { image: self, source: self.source.open()? }))
    }

    fn name(&self) -> String {
        self.source.name()
    }

    fn well_sampled(&self) -> bool {
        self.source.well_sampled()
    }
}

struct Reader<'a> {
    image: &'a Aligned<'a>,
    source: Box<dyn ImageReader + 'a>,
}

impl ImageReader for Reader<'_> {
    fn read(&mut self, window: Window) -> Result<Image> {
        let mut out = Image::invalid(window.width, window.height);
        let whole = Window::new(0, 0, self.image.size.0, self.image.size.1);
        let Some(part) = window.intersect(&whole) else { return Ok(out) };
        let side = TILE as i64;
        for ty in part.y / side..=(part.bottom() - 1) / side {
            for tx in part.x / side..=(part.right() - 1) / side {
                let tile = match self.image.kept((tx, ty)) {
                    Some(tile) => tile,
                    None => {
                        let tile = Arc::new(self.image.make((tx, ty), &mut *self.source)?);
                        self.image.keep((tx, ty), &tile);
                        tile
                    }
                };
                let place = Window::new(tx * side, ty * side, TILE, TILE);
                let Some(common) = part.intersect(&place) else { continue };
                for y in common.y..common.bottom() {
                    let from = (y - place.y) as usize * TILE + (common.x - place.x) as usize;
                    let to = (y - window.y) as usize * window.width + (common.x - window.x) as usize;
                    let n = common.width;
                    out.values.data[to..to + n].copy_from_slice(&tile.values.data[from..from + n]);
                    out.valid.data[to..to + n].copy_from_slice(&tile.valid.data[from..from + n]);
                }
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distortion::{Direction, Lines};
    use crate::grid::MemoryImage;
    use crate::synth::field::FieldSpec;
    use crate::synth::pair::{PairSpec, make_pair};

    #[test]
    fn a_shift_is_undone_whatever_the_window() {
        let pair = make_pair(&PairSpec::plain(400, 300, 3, FieldSpec::uniform(1.3, -0.4))).unwrap();
        let post = MemoryImage(Image::from_values(pair.post));
        let lines = Lines {
            direction: Direction::ROWS,
            first: 0.0,
            spacing: 400.0,
            values: [vec![0.3, 0.3], vec![-0.4, -0.4]],
        };
        let distortion = Distortion { shift: [1.0, 0.0], lines: Some(lines), ..Default::default() };
        let aligned = Aligned::new(&post, (400, 300), (0.0, 0.0), &distortion);
        let whole = aligned.open().unwrap().read(Window::new(0, 0, 400, 300)).unwrap();
        let (mut error, mut n, mut texture) = (0.0f64, 0, 0.0);
        for y in 60..240 {
            for x in 60..340 {
                assert!(whole.valid.get(x, y));
                let d = f64::from(whole.values.get(x, y) - pair.pre.get(x, y));
                error += d * d;
                texture += (f64::from(pair.pre.get(x, y)) - 3000.0).powi(2);
                n += 1;
            }
        }
        assert!((error / f64::from(n)).sqrt() < 0.01 * (texture / f64::from(n)).sqrt(), "{}", error / texture);
        // The last columns and the first row have no source.
        assert!(!whole.valid.get(398, 150) && !whole.valid.get(150, 0) && whole.valid.get(397, 1));
        let again = Aligned::new(&post, (400, 300), (0.0, 0.0), &distortion);
        let part = again.open().unwrap().read(Window::new(251, 77, 40, 200)).unwrap();
        for y in 0..200 {
            for x in 0..40 {
                assert_eq!(part.values.get(x, y), whole.values.get(251 + x, 77 + y));
            }
        }
    }
}
