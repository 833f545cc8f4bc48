//! Polygons of a vector layer on the grid of an image.

use super::cut_layer::{open_layer, to_image};
use super::georef::GeoReference;
use crate::grid::{Grid, Window};
use crate::{Error, Result};
use gdal::vector::{Geometry, LayerAccess};

/// The outline of an area and of its holes: rings of (column, row) in pixel-centre coordinates.
struct Polygon {
    rings: Vec<Vec<(f64, f64)>>,
    /// First and last row that it may touch.
    rows: (f64, f64),
}

/// All polygons of a layer; what is inside of any of them is inside.
pub struct Polygons {
    polygons: Vec<Polygon>,
}

impl Polygons {
    /// Reads the polygons of `source`, a vector file with one layer or `FILE:LAYER`, into the pixels of an image.
    /// Another coordinate system is brought to the image's.
    ///
    /// # Errors
    /// [`Error::Open`]: no vector file, no polygons, coordinates that cannot be brought to the image's system.
    pub fn read(source: &str, image: &GeoReference) -> Result<Polygons> {
        let fail = |why: String| Error::Open { path: source.into(), why };
        let dataset = open_layer(source)?;
        let mut layer = dataset.layer()?;
        let transform = to_image(&layer, source, image)?;
        let (mut polygons, mut features) = (Vec::new(), 0);
        for feature in layer.features() {
            features += 1;
            if let Some(geometry) = feature.geometry() {
                collect(geometry, &mut polygons);
            }
        }
        if polygons.is_empty() {
            return Err(fail(format!("none of its {features} features is a polygon; give a layer of polygons")));
        }
        let polygons = polygons.into_iter().map(|rings| {
            let rings: Vec<_> = rings.into_iter().map(|ring| transform.line(ring)).collect::<Result<_>>()?;
            let row = |start: f64, pick: fn(f64, f64) -> f64| rings.iter().flatten().map(|p| p.1).fold(start, pick);
            let rows = (row(f64::INFINITY, f64::min), row(f64::NEG_INFINITY, f64::max));
            Ok(Polygon { rings, rows })
        });
        Ok(Polygons { polygons: polygons.collect::<Result<_>>()? })
    }

    /// Which pixel centres of the window lie inside.
    pub fn inside(&self, window: Window) -> Grid<bool> {
        let mut out = Grid::filled(window.width, window.height, false);
        let mut crossings = Vec::new();
        for polygon in &self.polygons {
            let first = polygon.rows.0.ceil().max(window.y as f64) as i64;
            let last = polygon.rows.1.floor().min(window.bottom() as f64 - 1.0) as i64;
            for y in first..=last {
                polygon.crossings(y as f64, &mut crossings);
                let line = out.row_mut((y - window.y) as usize);
                for pair in crossings.chunks_exact(2) {
                    let column = |c: f64| (c.ceil() - window.x as f64).clamp(0.0, window.width as f64) as usize;
                    let (from, to) = (column(pair[0]), column(pair[1]));
                    line[from..to].fill(true);
                }
            }
        }
        out
    }
}

impl Polygon {
    /// Columns where the outline crosses the row, in order: inside from the first to the second, and so on. A corner
    /// belongs to the edge that leaves it downwards.
    fn crossings(&self, y: f64, columns: &mut Vec<f64>) {
        columns.clear();
        for ring in &self.rings {
            for (a, b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
                if (a.1 <= y) != (b.1 <= y) {
                    columns.push(a.0 + (y - a.1) / (b.1 - a.1) * (b.0 - a.0));
                }
            }
        }
        columns.sort_by(f64::total_cmp);
    }
}

/// The rings of every polygon in a geometry.
fn collect(geometry: &Geometry, polygons: &mut Vec<Vec<Vec<(f64, f64)>>>) {
    let parts = || (0..geometry.geometry_count()).map(|i| geometry.get_geometry(i));
    let ring = |g: &Geometry| {
        let mut points = Vec::new();
        g.get_points(&mut points);
        points.into_iter().map(|(x, y, _)| (x, y)).collect()
    };
    if geometry.geometry_name() == "POLYGON" {
        polygons.push(parts().map(|g| ring(&g)).collect());
    } else {
        parts().for_each(|g| collect(&g, polygons));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polygon(rings: Vec<Vec<(f64, f64)>>) -> Polygon {
        Polygon { rings, rows: (0.0, 100.0) }
    }

    #[test]
    fn holes_are_outside_and_overlaps_inside() {
        let square =
            |x: f64, y: f64, side: f64| vec![(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)];
        let polygons =
            vec![polygon(vec![square(2.5, 2.5, 10.0), square(5.5, 5.5, 3.0)]), polygon(vec![square(8.5, 8.5, 10.0)])];
        let inside = Polygons { polygons }.inside(Window::new(1, 1, 30, 30));
        let at = |x: usize, y: usize| inside.get(x - 1, y - 1);
        assert!(at(3, 3) && at(12, 3) && !at(2, 3) && !at(13, 3), "edges");
        assert!(!at(6, 6) && !at(8, 8) && at(5, 6) && at(9, 6), "hole");
        assert!(at(10, 10) && at(18, 18) && !at(19, 18), "overlap");
        assert_eq!(inside.data.iter().filter(|v| **v).count(), 100 - 9 + 100 - 16);
    }
}
