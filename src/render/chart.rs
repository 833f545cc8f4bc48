//! Graphs: lines, points with error bars and bands on two axes, as SVG or as pixels.

use super::canvas::{Canvas, text_size};
use super::colour::Rgb;

/// What is drawn in a graph, in the order given.
#[derive(Debug, Clone)]
pub enum Series {
    Line {
        points: Vec<(f64, f64)>,
        colour: Rgb,
        width: f64,
    },
    /// Points with error bars of ± the third number; 0 for none.
    Points {
        points: Vec<(f64, f64, f64)>,
        colour: Rgb,
        size: f64,
    },
    /// The area between two curves: x, low, high.
    Band {
        points: Vec<(f64, f64, f64)>,
        colour: Rgb,
    },
    /// A range of x over the whole height.
    Span {
        from: f64,
        to: f64,
        colour: Rgb,
    },
}

/// One graph. Infinite and NaN values are left out.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub series: Vec<Series>,
    /// Name and colour.
    pub legend: Vec<(String, Rgb)>,
}

/// Something that graphs can be drawn on. Coordinates are pixels from the top left corner.
trait Pen {
    fn line(&mut self, points: &[(f64, f64)], width: f64, colour: Rgb);
    fn area(&mut self, points: &[(f64, f64, f64)], colour: Rgb);
    fn dot(&mut self, at: (f64, f64), radius: f64, colour: Rgb);
    /// `anchor`: 0 starts at `at`, 0.5 is centred, 1 ends there; `at` is the middle of the text's height.
    fn text(&mut self, at: (f64, f64), text: &str, anchor: f64, colour: Rgb);
    /// Width of a text, nearly.
    fn width(&self, text: &str) -> f64;
}

const INK: Rgb = [30, 30, 30];
const FAINT: Rgb = [222, 222, 222];
/// Margins: left, top, right, bottom.
const MARGIN: [f64; 4] = [92.0, 44.0, 22.0, 58.0];

/// Colours that the colour-blind can tell apart (Okabe and Ito 2008).
pub const BLUE: Rgb = [0, 114, 178];
pub const ORANGE: Rgb = [213, 94, 0];
pub const GREEN: Rgb = [0, 158, 115];
pub const PURPLE: Rgb = [170, 80, 140];
pub const GREY: Rgb = [120, 120, 120];

/// A colour mixed with white; `strength` 1 is the colour itself.
pub fn pale(colour: Rgb, strength: f64) -> Rgb {
    colour.map(|c| (255.0 - (255.0 - f64::from(c)) * strength).round() as u8)
}

impl Chart {
    /// The graph as an SVG document.
    pub fn svg(&self, width: usize, height: usize) -> String {
        let mut pen = SvgPen { body: String::new() };
        self.draw(&mut pen, width as f64, height as f64);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{}</svg>\n",
            pen.body
        )
    }

    /// The graph as a picture.
    pub fn canvas(&self, width: usize, height: usize) -> Canvas {
        let mut pen = CanvasPen { canvas: Canvas::new(width, height, [255, 255, 255]) };
        self.draw(&mut pen, width as f64, height as f64);
        pen.canvas
    }

    fn draw(&self, pen: &mut dyn Pen, width: f64, height: f64) {
        let (x_range, y_range) = self.ranges();
        let (left, top, right, bottom) = (MARGIN[0], MARGIN[1], width - MARGIN[2], height - MARGIN[3]);
        let x_of = |x: f64| left + (x - x_range.0) / (x_range.1 - x_range.0) * (right - left);
        let y_of = |y: f64| bottom - (y - y_range.0) / (y_range.1 - y_range.0) * (bottom - top);
        let clamp = |(x, y): (f64, f64)| (x.clamp(left, right), y.clamp(top, bottom));
        for series in &self.series {
            if let Series::Span { from, to, colour } = series {
                let (a, b) = (x_of(*from).clamp(left, right), x_of(*to).clamp(left, right));
                pen.area(&[(a, bottom, top), (b, bottom, top)], *colour);
            }
        }
        for x in ticks(x_range) {
            pen.line(&[(x_of(x), top), (x_of(x), bottom)], 1.0, FAINT);
            pen.text((x_of(x), bottom + 14.0), &label(x), 0.5, INK);
        }
        for y in ticks(y_range) {
            let heavy = y == 0.0;
            pen.line(&[(left, y_of(y)), (right, y_of(y))], 1.0, if heavy { GREY } else { FAINT });
            pen.text((left - 8.0, y_of(y)), &label(y), 1.0, INK);
        }
        for series in &self.series {
            match series {
                Series::Span { .. } => {}
                Series::Band { points, colour } => {
                    let finite = points.iter().filter(|p| p.0.is_finite() && p.1.is_finite() && p.2.is_finite());
                    let inside: Vec<_> = finite
                        .map(|p| (x_of(p.0), y_of(p.1).clamp(top, bottom), y_of(p.2).clamp(top, bottom)))
                        .collect();
                    pen.area(&inside, *colour);
                }
                Series::Line { points, colour, width } => {
                    let place = |p: &(f64, f64)| clamp((x_of(p.0), y_of(p.1)));
                    for run in points.split(|p| !(p.0.is_finite() && p.1.is_finite())).filter(|r| r.len() > 1) {
                        pen.line(&run.iter().map(place).collect::<Vec<_>>(), *width, *colour);
                    }
                }
                Series::Points { points, colour, size } => {
                    for &(x, y, error) in points.iter().filter(|p| p.0.is_finite() && p.1.is_finite()) {
                        if error > 0.0 && error.is_finite() {
                            let ends = [clamp((x_of(x), y_of(y - error))), clamp((x_of(x), y_of(y + error)))];
                            pen.line(&ends, 1.2, *colour);
                        }
                        pen.dot(clamp((x_of(x), y_of(y))), *size, *colour);
                    }
                }
            }
        }
        pen.line(&[(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], 1.0, INK);
        pen.text((left, 14.0), &self.title, 0.0, INK);
        pen.text(((left + right) / 2.0, height - 16.0), &self.x_label, 0.5, INK);
        pen.text((8.0, top - 14.0), &self.y_label, 0.0, INK);
        let mut x = right;
        for (name, colour) in self.legend.iter().rev() {
            pen.text((x, top - 14.0), name, 1.0, INK);
            x -= pen.width(name) + 10.0;
            pen.dot((x, top - 14.0), 4.0, *colour);
            x -= 16.0;
        }
    }

    /// The ranges of x and y, with some air above and below.
    fn ranges(&self) -> ((f64, f64), (f64, f64)) {
        let (mut x, mut y) = (Extent::new(), Extent::new());
        for series in &self.series {
            match series {
                Series::Line { points, .. } => points
                    .iter()
                    .filter(|p| p.0.is_finite() && p.1.is_finite())
                    .for_each(|p| (x.add(p.0), y.add(p.1), ()).2),
                Series::Points { points, .. } => {
                    points.iter().filter(|p| p.0.is_finite() && p.1.is_finite()).for_each(|p| {
                        let error = if p.2.is_finite() { p.2 } else { 0.0 };
                        (x.add(p.0), y.add(p.1 - error), y.add(p.1 + error), ()).3
                    })
                }
                Series::Band { points, .. } => points.iter().for_each(|p| (x.add(p.0), y.add(p.1), y.add(p.2), ()).3),
                Series::Span { .. } => {}
            }
        }
        (x.range(0.015), y.range(0.06))
    }
}

/// Smallest and largest finite number.
struct Extent(f64, f64);

impl Extent {
    fn new() -> Extent {
        Extent(f64::INFINITY, f64::NEG_INFINITY)
    }

    fn add(&mut self, v: f64) {
        if v.is_finite() {
            (self.0, self.1) = (self.0.min(v), self.1.max(v));
        }
    }

    fn range(&self, air: f64) -> (f64, f64) {
        match self.1 - self.0 {
            span if span > 0.0 => (self.0 - air * span, self.1 + air * span),
            0.0 => (self.0 - 1.0, self.1 + 1.0),
            _ => (0.0, 1.0),
        }
    }
}

/// Round numbers within a range, about six.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let raw = (high - low) / 6.0;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|k| k * power).find(|s| *s >= raw * 0.999).unwrap_or(10.0 * power);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|k| k as f64 * step).collect()
}

/// A tick's number without rounding noise.
fn label(v: f64) -> String {
    let text = format!("{v:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

struct SvgPen {
    body: String,
}

impl SvgPen {
    fn add(&mut self, text: &str) {
        self.body.push_str(text);
        self.body.push('\n');
    }
}

fn hex(c: Rgb) -> String {
    format!("#{:02x}{:02x}{:02x}", c[0], c[1], c[2])
}

impl Pen for SvgPen {
    fn line(&mut self, points: &[(f64, f64)], width: f64, colour: Rgb) {
        let list: Vec<String> = points.iter().map(|p| format!("{:.2},{:.2}", p.0, p.1)).collect();
        self.add(&format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\"/>",
            list.join(" "),
            hex(colour)
        ));
    }

    fn area(&mut self, points: &[(f64, f64, f64)], colour: Rgb) {
        let low = points.iter().map(|p| format!("{:.2},{:.2}", p.0, p.1));
        let high = points.iter().rev().map(|p| format!("{:.2},{:.2}", p.0, p.2));
        let list: Vec<String> = low.chain(high).collect();
        self.add(&format!("<polygon points=\"{}\" fill=\"{}\" stroke=\"none\"/>", list.join(" "), hex(colour)));
    }

    fn dot(&mut self, at: (f64, f64), radius: f64, colour: Rgb) {
        self.add(&format!("<circle cx=\"{:.2}\" cy=\"{:.2}\" r=\"{radius}\" fill=\"{}\"/>", at.0, at.1, hex(colour)));
    }

    fn text(&mut self, at: (f64, f64), text: &str, anchor: f64, colour: Rgb) {
        let anchor = ["start", "middle", "end"][(2.0 * anchor).round() as usize];
        self.add(&format!(
            "<text x=\"{:.2}\" y=\"{:.2}\" text-anchor=\"{anchor}\" fill=\"{}\">{}</text>",
            at.0,
            at.1 + 4.5,
            hex(colour),
            crate::raster::xml::escaped(text)
        ));
    }

    fn width(&self, text: &str) -> f64 {
        7.2 * text.chars().count() as f64
    }
}

struct CanvasPen {
    canvas: Canvas,
}

impl Pen for CanvasPen {
    fn line(&mut self, points: &[(f64, f64)], width: f64, colour: Rgb) {
        let clip = (0, 0, self.canvas.width, self.canvas.height);
        // Piece by piece: a polyline looks at every pixel of its bounding box.
        for piece in points.windows(2) {
            self.canvas.polyline(piece, width, colour, clip);
        }
    }

    fn area(&mut self, points: &[(f64, f64, f64)], colour: Rgb) {
        for pair in points.windows(2) {
            let ((x0, l0, h0), (x1, l1, h1)) = (pair[0], pair[1]);
            for x in x0.round() as i64..x1.round() as i64 {
                let t = ((x as f64 + 0.5 - x0) / (x1 - x0)).clamp(0.0, 1.0);
                let (low, high) = (l0 + t * (l1 - l0), h0 + t * (h1 - h0));
                let (y0, y1) = (low.min(high).round() as i64, low.max(high).round() as i64);
                self.canvas.fill(x, y0, 1, (y1 - y0).max(0) as usize, colour);
            }
        }
    }

    fn dot(&mut self, (x, y): (f64, f64), radius: f64, colour: Rgb) {
        let reach = radius.ceil() as i64 + 1;
        for j in -reach..=reach {
            for i in -reach..=reach {
                let (px, py) = (x.round() + i as f64, y.round() + j as f64);
                let opacity = (radius + 0.5 - (px - x).hypot(py - y)).clamp(0.0, 1.0);
                self.canvas.mix(px as i64, py as i64, colour, opacity);
            }
        }
    }

    fn text(&mut self, (x, y): (f64, f64), text: &str, anchor: f64, colour: Rgb) {
        let (w, h) = text_size(text, SIZE);
        let (x, y) = (x - anchor * w as f64, y - 0.5 * (h as f64 - 2.0 * SIZE as f64));
        self.canvas.text(x.round() as i64, y.round() as i64, text, SIZE, colour);
    }

    fn width(&self, text: &str) -> f64 {
        text_size(text, SIZE).0 as f64
    }
}

/// Dots of a font pixel.
const SIZE: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((0.0, 6.0)), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(ticks((-0.31, 0.31)).first(), Some(&-0.2));
        assert!(label(0.1 + 0.2).len() <= 4 && label(-0.0) == "0");
    }

    #[test]
    fn both_forms_show_the_data_where_they_are() {
        let chart = Chart {
            title: "a < b".into(),
            series: vec![
                Series::Line { points: vec![(0.0, 0.0), (1.0, 1.0), (f64::NAN, 2.0)], colour: BLUE, width: 2.0 },
                Series::Points { points: vec![(0.5, 0.5, 0.1), (0.7, f64::NAN, 0.0)], colour: ORANGE, size: 4.0 },
            ],
            ..Chart::default()
        };
        let svg = chart.svg(400, 300);
        assert!(svg.contains("a &lt; b") && svg.matches("<circle").count() == 1 && !svg.contains("NaN"));
        let canvas = chart.canvas(400, 300);
        // The dot lies in the middle of the axes.
        let (x, y) = ((MARGIN[0] + 400.0 - MARGIN[2]) / 2.0, (MARGIN[1] + 300.0 - MARGIN[3]) / 2.0);
        let at = 3 * (y as usize * 400 + x as usize);
        assert_eq!(canvas.rgb[at..at + 3], ORANGE);
    }
}
