//! Places on an image, given by a raster or by polygons: stable ground (`--stable`), what is left out (`--mask`).

use super::cut_layer::has_raster;
use super::georef::GeoReference;
use super::points::PointRaster;
use super::polygons::Polygons;
use crate::Result;
use crate::grid::{Grid, Image, ImageFile, ImageReader, PointFile, PointReader, Window};

enum Source {
    /// Where band 1 is not zero.
    Raster(Box<PointRaster>),
    Polygons(Polygons),
}

/// Places on an image's grid.
pub struct Places {
    source: Source,
    path: String,
}

impl Places {
    /// Opens `path`: a raster on any grid (places are where band 1 is not zero) or a vector layer (places are inside
    /// its polygons; `FILE:LAYER` chooses one of several). `option` is for messages.
    ///
    /// # Errors
    /// [`Error::Open`](crate::Error::Open), no common place with the image's CRS.
    pub fn open(path: &str, option: &str, image: &GeoReference) -> Result<Places> {
        let source = match has_raster(path) {
            true => Source::Raster(Box::new(PointRaster::flag(path, option, image)?)),
            false => Source::Polygons(Polygons::read(path, image)?),
        };
        Ok(Places { source, path: path.into() })
    }
}

impl PointFile for Places {
    fn open(&self) -> Result<Box<dyn PointReader + '_>> {
        match &self.source {
            Source::Raster(raster) => PointFile::open(&**raster),
            Source::Polygons(polygons) => Ok(Box::new(PolygonReader(polygons))),
        }
    }

    fn name(&self) -> String {
        self.path.clone()
    }
}

struct PolygonReader<'a>(&'a Polygons);

impl PointReader for PolygonReader<'_> {
    fn sample(&mut self, points: &[(f64, f64)]) -> Result<Vec<Option<(f64, f64)>>> {
        let pixel = |p: &(f64, f64)| (p.0.round() as i64, p.1.round() as i64);
        let Some(first) = points.first().map(pixel) else { return Ok(Vec::new()) };
        let (mut low, mut high) = (first, first);
        for (x, y) in points.iter().map(pixel) {
            low = (low.0.min(x), low.1.min(y));
            high = (high.0.max(x), high.1.max(y));
        }
        let window = Window::new(low.0, low.1, (high.0 - low.0 + 1) as usize, (high.1 - low.1 + 1) as usize);
        let inside = self.0.inside(window);
        let value = |p: &(f64, f64)| {
            let (x, y) = pixel(p);
            let on = inside.get((x - window.x) as usize, (y - window.y) as usize);
            Some((f64::from(u8::from(on)), 0.0))
        };
        Ok(points.iter().map(value).collect())
    }
}

/// An image without the pixels at some places of its own grid.
pub struct MaskedImage {
    image: Box<dyn ImageFile + Send>,
    left_out: Places,
}

impl MaskedImage {
    pub fn new(image: Box<dyn ImageFile + Send>, left_out: Places) -> Self {
        MaskedImage { image, left_out }
    }
}

impl ImageFile for MaskedImage {
    fn size(&self) -> (usize, usize) {
        self.image.size()
    }

    fn open(&self) -> Result<Box<dyn ImageReader + '_>> {
        let places = PointFile::open(&self.left_out)?;
        Ok(Box::new(MaskedReader { image: self.image.open()?, places }))
    }

    fn name(&self) -> String {
        self.image.name()
    }

    fn well_sampled(&self) -> bool {
        self.image.well_sampled()
    }
}

struct MaskedReader<'a> {
    image: Box<dyn ImageReader + 'a>,
    places: Box<dyn PointReader + 'a>,
}

impl ImageReader for MaskedReader<'_> {
    fn read(&mut self, window: Window) -> Result<Image> {
        let mut image = self.image.read(window)?;
        let centres = Grid::from_fn(window.width, window.height, |x, y| {
            ((window.x + x as i64) as f64, (window.y + y as i64) as f64)
        });
        let flags = self.places.sample(&centres.data)?;
        for (i, flag) in flags.iter().enumerate() {
            if flag.is_some_and(|f| f.0 != 0.0) {
                image.values.data[i] = 0.0;
                image.valid.data[i] = false;
            }
        }
        Ok(image)
    }
}
