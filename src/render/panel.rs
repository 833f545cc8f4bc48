//! One map with title and scale bar, and several of them in one picture.

use super::canvas::{Canvas, text_size};
use super::colour::{Rgb, Scale};
use crate::grid::Grid;

const INK: Rgb = [25, 25, 25];
const PAPER: Rgb = [255, 255, 255];
const TRACE: Rgb = [0, 0, 0];
const TITLE: usize = 2;
/// Space around and between the parts of a panel.
const GAP: usize = 12;
const BAR: usize = 14;

/// A map to draw.
pub struct Panel<'a> {
    pub title: &'a str,
    pub values: &'a Grid<f32>,
    pub scale: Scale,
    /// Unit at the scale bar; `None`: no scale bar.
    pub unit: Option<&'a str>,
    /// Lines to draw, in pixels of `values` (centre of the first pixel at (0, 0)).
    pub lines: &'a [Vec<(f64, f64)>],
}

impl Panel<'_> {
    /// Draws the map `width` pixels wide.
    pub fn draw(&self, width: usize) -> Canvas {
        let map = resampled(self.values, width);
        let title = text_size("0", TITLE).1 + GAP / 2;
        let bar = if self.unit.is_some() { GAP + BAR + 6 + text_size("0", TITLE).1 } else { 0 };
        let mut canvas = Canvas::new(width + 2 * GAP, GAP / 2 + title + map.height + bar + GAP, PAPER);
        let (x0, y0) = (GAP as i64, (GAP / 2 + title) as i64);
        canvas.text(x0, (GAP / 2) as i64, self.title, TITLE, INK);
        for y in 0..map.height {
            for x in 0..map.width {
                canvas.set(x0 + x as i64, y0 + y as i64, self.scale.colour(f64::from(map.get(x, y))));
            }
        }
        canvas.frame(x0, y0, map.width, map.height, INK);
        let zoom = (map.width as f64 / self.values.width as f64, map.height as f64 / self.values.height as f64);
        for line in self.lines {
            let place =
                |p: &(f64, f64)| ((p.0 + 0.5) * zoom.0 - 0.5 + x0 as f64, (p.1 + 0.5) * zoom.1 - 0.5 + y0 as f64);
            let points: Vec<(f64, f64)> = line.iter().map(place).collect();
            let clip = (x0, y0, map.width, map.height);
            if let Scale::Grey { .. } = self.scale {
                // Seen on any image.
                canvas.polyline(&points, 3.2, [255, 235, 60], clip);
            }
            canvas.polyline(&points, 1.2, TRACE, clip);
        }
        if let Some(unit) = self.unit {
            self.scale_bar(&mut canvas, x0, y0 + (map.height + GAP) as i64, width, unit);
        }
        canvas
    }

    fn scale_bar(&self, canvas: &mut Canvas, x0: i64, y0: i64, width: usize, unit: &str) {
        let (low, high) = self.scale.range();
        for x in 0..width {
            let value = low + (high - low) * (x as f64 + 0.5) / width as f64;
            canvas.fill(x0 + x as i64, y0, 1, BAR, self.scale.colour(value));
        }
        canvas.frame(x0, y0, width, BAR, INK);
        let y = y0 + (BAR + 6) as i64;
        let signed = low < 0.0;
        for (share, value) in [(0.0, low), (0.5, (low + high) / 2.0), (1.0, high)] {
            let mut text = number(value, signed);
            if share == 1.0 {
                text = format!("{text} {unit}");
            }
            let (w, _) = text_size(&text, TITLE);
            let x = x0 + ((width - 1) as f64 * share) as i64 - (w as f64 * share) as i64;
            canvas.text(x, y, &text, TITLE, INK);
        }
    }
}

/// A number for a scale bar.
fn number(v: f64, signed: bool) -> String {
    let text = format!("{v:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match (v == 0.0, signed && v > 0.0) {
        (true, _) => "0".into(),
        (_, true) => format!("+{text}"),
        _ => text.into(),
    }
}

/// The map at another width: averages of the values under a pixel, or the nearest value when enlarged.
fn resampled(values: &Grid<f32>, width: usize) -> Grid<f32> {
    let zoom = width as f64 / values.width as f64;
    let height = ((values.height as f64 * zoom).round() as usize).max(1);
    let span = |k: usize, n: usize, total: usize| {
        let from = (k * total / n).min(total - 1);
        (from, ((k + 1) * total / n).max(from + 1).min(total))
    };
    Grid::from_fn(width, height, |x, y| {
        let ((x0, x1), (y0, y1)) = (span(x, width, values.width), span(y, height, values.height));
        let (mut sum, mut n) = (0.0, 0);
        for j in y0..y1 {
            for v in values.row(j)[x0..x1].iter().filter(|v| v.is_finite()) {
                sum += v;
                n += 1;
            }
        }
        if n == 0 { f32::NAN } else { sum / n as f32 }
    })
}

/// Panels in rows, as one picture with a heading.
pub fn figure(heading: &str, rows: &[Vec<Canvas>]) -> Canvas {
    let height = |row: &Vec<Canvas>| row.iter().map(|c| c.height).max().unwrap_or(0);
    let width = |row: &Vec<Canvas>| row.iter().map(|c| c.width).sum::<usize>();
    let top = if heading.is_empty() { 0 } else { text_size("0", 3).1 + 2 * GAP };
    let total = (rows.iter().map(width).max().unwrap_or(0), rows.iter().map(height).sum::<usize>() + top);
    let mut canvas = Canvas::new(total.0, total.1, PAPER);
    canvas.text(GAP as i64, GAP as i64, heading, 3, INK);
    let mut y = top;
    for row in rows {
        let mut x = 0;
        for panel in row {
            canvas.paste(panel, x, y);
            x += panel.width;
        }
        y += height(row);
    }
    canvas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_scale_bar() {
        assert_eq!(number(-0.5, true), "-0.5");
        assert_eq!(number(0.0, true), "0");
        assert_eq!(number(0.05, true), "+0.05");
        assert_eq!(number(0.02, false), "0.02");
        assert_eq!(number(20.0, true), "+20");
    }

    #[test]
    fn shrinking_averages_what_is_there() {
        let values = Grid::from_vec(4, 2, vec![1.0, 3.0, f32::NAN, f32::NAN, 5.0, 7.0, f32::NAN, 9.0]);
        assert_eq!(resampled(&values, 2).data, vec![4.0, 9.0]);
        assert_eq!(
            resampled(&Grid::from_vec(2, 1, vec![1.0, 2.0]), 4).data,
            vec![1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]
        );
    }

    #[test]
    fn a_panel_has_its_colours_where_the_values_are() {
        let values = Grid::from_vec(2, 1, vec![-1.0, 1.0]);
        let scale = Scale::Diverging { limit: 1.0 };
        let panel = Panel { title: "East", values: &values, scale, unit: Some("m"), lines: &[] };
        let canvas = panel.draw(200);
        let at = |x: usize, y: usize| <[u8; 3]>::try_from(&canvas.rgb[3 * (y * canvas.width + x)..][..3]).unwrap();
        let y = GAP / 2 + text_size("0", TITLE).1 + GAP / 2 + 50;
        assert_eq!(at(GAP + 50, y), scale.colour(-1.0));
        assert_eq!(at(GAP + 150, y), scale.colour(1.0));
        assert_eq!(at(2, 2), PAPER);
    }
}
