//! Images: a TIFF mutated by bytes is opened, read and, where it is small, measured against a whole one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiftmap::grid::{ImageFile, Window};
use shiftmap::job::Job;
use shiftmap::progress::Silent;
use shiftmap::raster::{MemoryProduct, NoData, OpenOptions, RasterBand, silence_gdal};

const PATH: &str = "/vsimem/image.tif";
const WHOLE: &str = "/vsimem/whole.tif";
/// Larger images are only looked at in their corners.
const SMALL: usize = 1 << 14;

fn start() {
    silence_gdal();
    shiftmap::raster::set_config("GDAL_CACHEMAX", "16").unwrap();
    gdal::vsi::create_mem_file(WHOLE, include_bytes!("../seeds/image/plain.tif").to_vec()).unwrap();
}

fuzz_target!(init: start(), |data: &[u8]| {
    // GDAL has no empty files in memory.
    if data.is_empty() {
        return;
    }
    gdal::vsi::create_mem_file(PATH, data.to_vec()).unwrap();
    for nodata in [NoData::Auto, NoData::None] {
        let Ok(band) = RasterBand::open(PATH, OpenOptions { nodata, ..Default::default() }) else { continue };
        let (w, h) = (band.width(), band.height());
        if let Ok(mut reader) = ImageFile::open(&band) {
            for (x, y) in [(-2, -2), (w as i64 - 20, h as i64 - 20)] {
                if let Ok(image) = reader.read(Window::new(x, y, 24, 24)) {
                    assert!(image.values.data.iter().zip(&image.valid.data).all(|(v, &ok)| !ok || v.is_finite()));
                }
            }
        }
    }
    let size = RasterBand::open(PATH, OpenOptions::default()).map(|b| b.width().saturating_mul(b.height()));
    if size.is_ok_and(|n| n <= SMALL) {
        let mut job = Job::new(WHOLE, PATH, "");
        job.params.window = (16, 16);
        job.params.step = (16, 16);
        job.write.memory = Some(MemoryProduct::default());
        if let Err(e) = job.run(&mut |_| (), &mut Silent) {
            assert!(!e.to_string().contains("internal"), "{e}");
        }
    }
    gdal::vsi::unlink_mem_file(PATH).unwrap();
});
