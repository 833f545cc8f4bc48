//! Tables of stations through GDAL's CSV reader.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiftmap::combine::stations::{Event, SeriesOptions, read};

const TABLE: &str = "/vsimem/stations.csv";

fuzz_target!(init: shiftmap::raster::silence_gdal(), |data: &[u8]| {
    // GDAL has no empty files in memory.
    if data.is_empty() {
        return;
    }
    gdal::vsi::create_mem_file(TABLE, data.to_vec()).unwrap();
    let options = SeriesOptions { event: Some(Event::Number(60.0)), window: 60.0, trend: false };
    match read(&[TABLE.into()], &options, &mut Vec::new()) {
        Ok(found) => assert!(found.iter().all(|f| !f.station.name.is_empty())),
        Err(e) => assert!(!e.to_string().is_empty()),
    }
    gdal::vsi::unlink_mem_file(TABLE).unwrap();
});
