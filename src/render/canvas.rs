//! A picture being drawn.

use super::colour::Rgb;
use super::font::{ADVANCE, HEIGHT, glyph};

/// An RGB picture.
#[derive(Debug, Clone)]
pub struct Canvas {
    pub width: usize,
    pub height: usize,
    /// Three bytes a pixel, row by row.
    pub rgb: Vec<u8>,
}

impl Canvas {
    pub fn new(width: usize, height: usize, background: Rgb) -> Canvas {
        Canvas { width, height, rgb: background.repeat(width * height) }
    }

    /// Sets a pixel; outside the picture nothing happens.
    pub fn set(&mut self, x: i64, y: i64, colour: Rgb) {
        self.mix(x, y, colour, 1.0);
    }

    /// Lays a colour over a pixel with the given opacity.
    pub fn mix(&mut self, x: i64, y: i64, colour: Rgb, opacity: f64) {
        if x < 0 || y < 0 || x >= self.width as i64 || y >= self.height as i64 {
            return;
        }
        let at = 3 * (y as usize * self.width + x as usize);
        for (old, new) in self.rgb[at..at + 3].iter_mut().zip(colour) {
            *old = (f64::from(*old) * (1.0 - opacity) + f64::from(new) * opacity).round() as u8;
        }
    }

    /// A filled rectangle.
    pub fn fill(&mut self, x: i64, y: i64, width: usize, height: usize, colour: Rgb) {
        for j in y..y + height as i64 {
            for i in x..x + width as i64 {
                self.set(i, j, colour);
            }
        }
    }

    /// A rectangle's outline, one pixel wide, just outside `width` × `height`.
    pub fn frame(&mut self, x: i64, y: i64, width: usize, height: usize, colour: Rgb) {
        self.fill(x - 1, y - 1, width + 2, 1, colour);
        self.fill(x - 1, y + height as i64, width + 2, 1, colour);
        self.fill(x - 1, y - 1, 1, height + 2, colour);
        self.fill(x + width as i64, y - 1, 1, height + 2, colour);
    }

    /// A smooth line of the given width through points of the picture, cut at the rectangle `clip` (x, y, width,
    /// height).
    pub fn polyline(&mut self, points: &[(f64, f64)], width: f64, colour: Rgb, clip: (i64, i64, usize, usize)) {
        let distance = crate::synth::trace::Distance::new(std::slice::from_ref(&points.to_vec()));
        let reach = width / 2.0 + 1.0;
        let bound =
            |f: fn(f64, f64) -> f64, pick: fn(&(f64, f64)) -> f64, start: f64| points.iter().map(pick).fold(start, f);
        let x0 = (bound(f64::min, |p| p.0, f64::INFINITY) - reach).floor().max(clip.0 as f64);
        let y0 = (bound(f64::min, |p| p.1, f64::INFINITY) - reach).floor().max(clip.1 as f64);
        let x1 =
            (bound(f64::max, |p| p.0, f64::NEG_INFINITY) + reach).ceil().min((clip.0 + clip.2 as i64) as f64 - 1.0);
        let y1 =
            (bound(f64::max, |p| p.1, f64::NEG_INFINITY) + reach).ceil().min((clip.1 + clip.3 as i64) as f64 - 1.0);
        for y in y0 as i64..=y1 as i64 {
            for x in x0 as i64..=x1 as i64 {
                // Coverage of a pixel by the line, nearly.
                let opacity = (width / 2.0 + 0.5 - distance.at(x as f64, y as f64)).clamp(0.0, 1.0);
                if opacity > 0.0 {
                    self.mix(x, y, colour, opacity);
                }
            }
        }
    }

    /// Text with its top left corner at (x, y), dots of `size` pixels.
    pub fn text(&mut self, x: i64, y: i64, text: &str, size: usize, colour: Rgb) {
        for (k, c) in text.chars().enumerate() {
            let left = x + (k * ADVANCE * size) as i64;
            for (j, row) in glyph(c).iter().enumerate() {
                for i in (0..5).filter(|i| row & (0b10000 >> i) != 0) {
                    self.fill(left + (i * size) as i64, y + (j * size) as i64, size, size, colour);
                }
            }
        }
    }

    /// Puts another picture at (x, y).
    pub fn paste(&mut self, other: &Canvas, x: usize, y: usize) {
        for j in 0..other.height.min(self.height.saturating_sub(y)) {
            let width = other.width.min(self.width.saturating_sub(x));
            let (from, to) = (3 * j * other.width, 3 * ((y + j) * self.width + x));
            self.rgb[to..to + 3 * width].copy_from_slice(&other.rgb[from..from + 3 * width]);
        }
    }
}

/// Width and height of a text in pixels.
pub fn text_size(text: &str, size: usize) -> (usize, usize) {
    ((text.chars().count() * ADVANCE).saturating_sub(1) * size, HEIGHT * size)
}
