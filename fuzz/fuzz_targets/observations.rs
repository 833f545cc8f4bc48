//! What `combine` is told: descriptions of maps, days, and `.tenv3` series with the steps found in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiftmap::combine::spec::{MapKind, MapSpec};
use shiftmap::combine::stations::{Event, SeriesOptions, read};
use shiftmap::stack::dates::Day;
use std::io::Write;

const EVENT: SeriesOptions = SeriesOptions { event: Some(Event::Number(58_670.0)), window: 60.0, trend: false };

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if choice % 2 == 0 {
        for kind in [MapKind::LineOfSight, MapKind::Range, MapKind::Azimuth, MapKind::Offsets] {
            if let Err(e) = MapSpec::parse(text, kind) {
                assert!(!e.to_string().is_empty());
            }
        }
        if let Some(day) = Day::parse(text) {
            assert_eq!(Day::parse(&day.to_string()), Some(day));
        }
        let _ = text.parse::<Event>();
        return;
    }
    let folder = if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
    let path = folder.join(format!("shiftmap-fuzz-{}.tenv3", std::process::id()));
    std::fs::File::create(&path).and_then(|mut f| f.write_all(rest)).unwrap();
    let options = SeriesOptions { trend: choice & 2 != 0, ..EVENT };
    match read(&[path.display().to_string()], &options, &mut Vec::new()) {
        Ok(found) => assert!(found.iter().all(|f| f.station.sigma.iter().all(|s| s.is_nan() || *s >= 0.0)), "{found:?}"),
        Err(e) => assert!(!e.to_string().is_empty()),
    }
});
