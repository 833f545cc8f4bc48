//! The images that samples are cut from: what is there, which belong together, which place they show.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use crate::grid::ImageFile;
use crate::raster::{GeoReference, OpenOptions, RasterBand, compare};
use crate::{Error, Result};

/// One image, or two of different dates on the same grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// Paths relative to the folder of images, in the order of their dates.
    pub images: Vec<String>,
    /// Eight digits each, where known.
    pub dates: Vec<String>,
    /// Number of the place on the ground; bases that overlap have the same.
    pub place: usize,
    pub width: usize,
    pub height: usize,
    /// Side of a pixel in metres.
    pub pixel: f64,
    /// A complex radar image.
    pub complex: bool,
    /// Where the second date's image has what the first has at its pixel (0, 0), columns and rows in pixels: offset of the
    /// grids and measured misregistration. Taken out when it is used.
    pub misregistration: Option<(f64, f64)>,
    /// Scatter of that motion over the image (1.48 × median absolute deviation), pixels.
    pub misregistration_scatter: Option<(f64, f64)>,
}

/// What is known about a file before it is grouped.
struct Found {
    path: String,
    band: RasterBand,
    date: String,
    /// The path without its date.
    series: String,
}

/// Pixel size taken for images without a projected CRS, metres.
const UNKNOWN_PIXEL: f64 = 10.0;
/// Grids of two dates may be apart by this many pixels.
const LARGEST_OFFSET: f64 = 4.0;
/// Smallest image that is of use, pixels.
const SMALLEST: usize = 96;

/// Finds the images in a folder and its subfolders: every file that GDAL opens as a raster of at least 96 × 96 pixels. The
/// same band of the same place on two dates becomes one base: names that are equal but for eight digits of a date, on grids
/// at most 4 pixels apart. Elevation models (names with `dem` or `truth`) are left out.
///
/// # Errors
/// [`Error::Open`] when there is none.
pub fn find(folder: &str, band: usize) -> Result<Vec<Base>> {
    let root = Path::new(folder);
    let fail = |why: String| Error::Open { path: folder.into(), why };
    let mut paths = Vec::new();
    walk(root, &mut paths).map_err(|e| fail(e.to_string()))?;
    paths.sort();
    let mut found: Vec<Found> = Vec::new();
    for path in paths {
        let Some(text) = path.to_str() else { continue };
        let name = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let words = name.split(['_', '-', '.', ' ']);
        if words.into_iter().any(|w| w.starts_with("dem") || w.starts_with("truth")) {
            continue;
        }
        let options = OpenOptions { band, ..Default::default() };
        let Ok(band) = RasterBand::open(text, options) else { continue };
        if band.width().min(band.height()) < SMALLEST {
            continue;
        }
        let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let (series, date) = split_date(&relative);
        found.push(Found { path: relative, band, date, series });
    }
    if found.is_empty() {
        return Err(fail(format!(
            "no raster of at least {SMALLEST} x {SMALLEST} pixels in it; give a folder of images"
        )));
    }
    let mut bases: Vec<Base> = Vec::new();
    let mut extents = Vec::new();
    let mut taken = vec![false; found.len()];
    for i in 0..found.len() {
        if taken[i] {
            continue;
        }
        // The next date of the same series on about the same grid.
        let first = &found[i];
        let partner = (i + 1..found.len()).find(|&j| {
            let other = &found[j];
            !taken[j]
                && other.series == first.series
                && other.date != first.date
                && ImageFile::size(&other.band) == ImageFile::size(&first.band)
                && compare(&first.band, &other.band).is_ok_and(|o| o.0.abs().max(o.1.abs()) <= LARGEST_OFFSET)
        });
        let members: Vec<usize> = std::iter::once(i).chain(partner).collect();
        members.iter().for_each(|&k| taken[k] = true);
        let (width, height) = ImageFile::size(&first.band);
        extents.push(extent(first));
        bases.push(Base {
            images: members.iter().map(|&k| found[k].path.clone()).collect(),
            dates: members.iter().map(|&k| found[k].date.clone()).collect(),
            place: 0,
            width,
            height,
            pixel: first.band.georef().pixel_metres().map_or(UNKNOWN_PIXEL, |p| p.0),
            complex: first.band.is_complex(),
            misregistration: None,
            misregistration_scatter: None,
        });
    }
    number_places(&mut bases, &extents);
    Ok(bases)
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

/// A name without the first run of exactly eight digits that can be a date, and that date.
fn split_date(name: &str) -> (String, String) {
    let bytes = name.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let length = bytes[start..].iter().take_while(|b| b.is_ascii_digit()).count();
        if length == 8 {
            let digits = &name[start..start + 8];
            let within = |s: &str, low: u32, high: u32| s.parse::<u32>().is_ok_and(|v| (low..=high).contains(&v));
            if within(&digits[..4], 1950, 2100) && within(&digits[4..6], 1, 12) && within(&digits[6..], 1, 31) {
                return (format!("{}{}", &name[..start], &name[start + 8..]), digits.into());
            }
        }
        start += length.max(1);
    }
    (name.into(), String::new())
}

/// Where an image lies: CRS and bounding box, or just its own name.
type Extent = (String, Option<[f64; 4]>);

fn extent(found: &Found) -> Extent {
    let georef: &GeoReference = found.band.georef();
    match &georef.crs {
        Some(crs) if georef.referenced => {
            let (w, h) = (found.band.width() as f64, found.band.height() as f64);
            let corners = [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)].map(|(x, y)| georef.transform.map(x, y));
            let range = |pick: fn(&(f64, f64)) -> f64| {
                let values = corners.iter().map(pick);
                values.fold((f64::INFINITY, f64::NEG_INFINITY), |r, v| (r.0.min(v), r.1.max(v)))
            };
            let ((x0, x1), (y0, y1)) = (range(|p| p.0), range(|p| p.1));
            (crs.label.clone(), Some([x0, y0, x1, y1]))
        }
        // Bands of one scene share a name up to the last underscore.
        _ => (found.series.rsplit_once('_').map_or(found.series.clone(), |p| p.0.into()), None),
    }
}

/// Bases that overlap on the ground, directly or through others, show one place.
fn number_places(bases: &mut [Base], extents: &[Extent]) {
    let same = |a: &Extent, b: &Extent| match (a, b) {
        ((c, Some(p)), (d, Some(q))) => c == d && p[0] < q[2] && q[0] < p[2] && p[1] < q[3] && q[1] < p[3],
        ((c, None), (d, None)) => c == d,
        _ => false,
    };
    let mut label: Vec<usize> = (0..bases.len()).collect();
    for i in 0..bases.len() {
        for j in 0..i {
            if same(&extents[i], &extents[j]) && label[i] != label[j] {
                let (keep, drop) = (label[i].min(label[j]), label[i].max(label[j]));
                label.iter_mut().filter(|l| **l == drop).for_each(|l| *l = keep);
            }
        }
    }
    let mut known: Vec<usize> = Vec::new();
    for (base, label) in bases.iter_mut().zip(&label) {
        base.place = known.iter().position(|k| k == label).unwrap_or_else(|| {
            known.push(*label);
            known.len() - 1
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_taken_out_of_names() {
        assert_eq!(split_date("a/l8_x_20190809_b4.tif"), ("a/l8_x__b4.tif".into(), "20190809".into()));
        assert_eq!(split_date("12345678_x.tif"), ("12345678_x.tif".into(), String::new()));
        assert_eq!(split_date("x_201908091200.tif"), ("x_201908091200.tif".into(), String::new()));
    }
}
