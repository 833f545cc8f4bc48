//! Vector layers for `--cut`, `--mask` and fault traces: GeoJSON, or a GeoPackage, by the first bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiftmap::field::GeoTransform;
use shiftmap::grid::{ImageFile, MemoryImage, Grid, Image, Window};
use shiftmap::raster::{Crs, GeoReference, MaskedImage, Places, read_cuts, read_line_features, read_lines};
use std::sync::OnceLock;

fn georeference() -> &'static GeoReference {
    static FOUND: OnceLock<GeoReference> = OnceLock::new();
    FOUND.get_or_init(|| {
        shiftmap::raster::silence_gdal();
        let crs = Crs::from_definition("EPSG:32612").unwrap();
        GeoReference::new(GeoTransform([5e5, 10.0, 0.0, 4e6, 0.0, -10.0]), Some(crs))
    })
}

fuzz_target!(|data: &[u8]| {
    // GDAL has no empty files in memory.
    if data.is_empty() {
        return;
    }
    let image = georeference();
    let path = if data.starts_with(b"SQLite") { "/vsimem/layer.gpkg" } else { "/vsimem/layer.geojson" };
    gdal::vsi::create_mem_file(path, data.to_vec()).unwrap();
    if let Ok(cuts) = read_cuts(path, image, (64, 48)) {
        assert!(cuts.lines.len() <= cuts.total);
    }
    let _ = read_lines(path);
    let _ = read_line_features(path, image.crs.as_ref());
    if let Ok(places) = Places::open(path, "--mask", image) {
        let flat = MemoryImage(Image::from_values(Grid::filled(64, 48, 1.0)));
        let masked = MaskedImage::new(Box::new(flat), places);
        let _ = masked.open().and_then(|mut r| r.read(Window::new(-3, -3, 70, 54)));
    }
    gdal::vsi::unlink_mem_file(path).unwrap();
});
