//! The post image on the pre grid.

use super::*;
use shiftmap::field::GeoTransform;

/// A texture that is a function of the position in UTM zone 12, so that images of any grid show the same ground.
fn ground(x: f64, y: f64) -> f64 {
    let (u, v) = ((x - 500_000.0) / 10.0, (4_000_000.0 - y) / 10.0);
    1000.0 + 300.0 * (0.31 * u + 0.17 * v).sin() + 250.0 * (0.23 * u - 0.41 * v).cos()
}

fn image(path: &str, georef: &GeoReference, size: (usize, usize), at: impl Fn(f64, f64) -> f64) -> RasterBand {
    let values = Grid::from_fn(size.0, size.1, |x, y| {
        let (e, n) = georef.transform.map(x as f64 + 0.5, y as f64 + 0.5);
        at(e, n) as f32
    });
    write_image(path, &values, PixelType::F32, None, Some(georef), true).unwrap();
    open(path)
}

/// Largest and root-mean-square difference from the truth over valid pixels, and the number of those.
fn errors(got: &Image, pre: &RasterBand) -> (f64, f64, usize) {
    let (mut worst, mut sum, mut n) = (0.0f64, 0.0, 0);
    for y in 0..got.height() {
        for x in 0..got.width() {
            if got.valid.get(x, y) {
                let (e, north) = pre.georef().transform.map(x as f64 + 0.5, y as f64 + 0.5);
                let d = f64::from(got.values.get(x, y)) - ground(e, north);
                worst = worst.max(d.abs());
                sum += d * d;
                n += 1;
            }
        }
    }
    (worst, (sum / n as f64).sqrt(), n)
}

#[test]
fn other_origin_pixel_size_and_rotation() {
    let folder = Folder::new();
    let pre = image(&folder.file("pre.tif"), &utm(500_000.0, 4_000_000.0), (120, 100), ground);
    let crs = Crs::from_definition("EPSG:32612").unwrap();
    let grids = [
        ([499_803.0, 10.0, 0.0, 4_000_217.0, 0.0, -10.0], (170, 150)),
        ([499_800.0, 7.0, 0.0, 4_000_200.0, 0.0, -7.0], (250, 220)),
        ([499_700.0, 8.0, 6.0, 4_000_000.0, 6.0, -8.0], (300, 300)),
    ];
    for (c, size) in grids {
        let georef = GeoReference::new(GeoTransform(c), Some(crs.clone()));
        let post = image(&folder.file("post.tif"), &georef, size, ground);
        let resampled = Resampled::new(&pre, &post).unwrap();
        assert_eq!(ImageFile::size(&resampled), (120, 100));
        let got = read_all(&resampled);
        let (worst, rms, n) = errors(&got, &pre);
        // 1 % of the texture's deviation, and that only beside the border.
        assert!(worst < 4.0 && rms < 0.4, "{c:?}: {worst} {rms}");
        assert!(n > 5000, "{n}");
        // Windows are parts of the whole, whatever their position.
        let w = Window::new(33, 21, 50, 40);
        assert_eq!(resampled.open().unwrap().read(w).unwrap().values, got.values.crop(w));
    }
}

#[test]
fn the_same_grid_passes_unchanged() {
    let folder = Folder::new();
    let pre = image(&folder.file("pre.tif"), &utm(500_000.0, 4_000_000.0), (60, 50), ground);
    let post = image(&folder.file("post.tif"), &utm(499_970.0, 4_000_020.0), (70, 60), ground);
    let got = read_all(&Resampled::new(&pre, &post).unwrap());
    assert!(errors(&got, &pre).0 < 1e-3);
    assert!(got.all_valid(), "whole-pixel offsets lose no border");
}

#[test]
fn another_zone_is_reprojected() {
    let folder = Folder::new();
    // Near the border of zones 12 and 13, where the grids are turned against each other.
    let zone12 = GeoReference::new(
        GeoTransform([760_000.0, 10.0, 0.0, 4_000_000.0, 0.0, -10.0]),
        Some(Crs::from_definition("EPSG:32612").unwrap()),
    );
    let pre = image(&folder.file("pre.tif"), &zone12, (100, 90), ground);
    // GDAL puts the same ground on a grid of zone 13, with equal pixel size so that its kernel stays a small error.
    let fine =
        GeoReference { transform: GeoTransform([759_000.0, 5.0, 0.0, 4_001_000.0, 0.0, -5.0]), ..zone12.clone() };
    let source = image(&folder.file("fine.tif"), &fine, (600, 600), ground);
    let other = folder.file("post.tif");
    gdal(
        "gdalwarp",
        &[
            "-q",
            "-t_srs",
            "EPSG:32613",
            "-et",
            "0",
            "-r",
            "lanczos",
            "-tr",
            "5",
            "5",
            "-dstnodata",
            "nan",
            source.path(),
            &other,
        ],
    );
    let post = open(&other);
    let got = read_all(&Resampled::new(&pre, &post).unwrap());
    let (worst, rms, n) = errors(&got, &pre);
    assert!(n > 8000 && rms < 1.2 && worst < 3.0, "{worst} {rms} {n}");
}

#[test]
fn nodata_stays_nodata() {
    let folder = Folder::new();
    let pre = image(&folder.file("pre.tif"), &utm(500_000.0, 4_000_000.0), (100, 80), ground);
    let hole = |e: f64, n: f64| {
        let inside = (500_300.0..500_500.0).contains(&e) && (3_999_500.0..3_999_700.0).contains(&n);
        if inside { f64::NAN } else { ground(e, n) }
    };
    let post = image(&folder.file("post.tif"), &utm(499_904.0, 4_000_103.0), (130, 110), hole);
    let got = read_all(&Resampled::new(&pre, &post).unwrap());
    assert!(errors(&got, &pre).0 < 4.0, "no pixel mixes in what is not there");
    assert!((31..49).all(|x| (31..49).all(|y| !got.valid.get(x, y))));
    let lost = invalid(&got);
    assert!((400..1200).contains(&lost), "{lost}");
}

#[test]
fn images_of_different_places_are_refused() {
    let folder = Folder::new();
    let pre = image(&folder.file("pre.tif"), &utm(500_000.0, 4_000_000.0), (60, 50), ground);
    let far = image(&folder.file("far.tif"), &utm(900_000.0, 4_000_000.0), (60, 50), ground);
    let text = Resampled::new(&pre, &far).err().unwrap().to_string();
    assert!(text.contains("do not overlap") && text.contains("900000"), "{text}");
    let picture = folder.file("p.png");
    write_png(&picture, 9, 9, &[0; 243], false).unwrap();
    let text = Resampled::new(&pre, &open(&picture)).err().unwrap().to_string();
    assert!(text.contains("p.png is not"), "{text}");
}
