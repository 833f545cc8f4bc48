//! Model files mutated by bytes: our own checks, then ONNX Runtime where it is found (`ORT_DYLIB_PATH`).
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiftmap::net::{Model, NetOptions, session::Network};
use std::io::Write;

fuzz_target!(|data: &[u8]| {
    let folder = if std::path::Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
    let path = folder.join(format!("shiftmap-fuzz-{}.onnx", std::process::id()));
    std::fs::File::create(&path).and_then(|mut f| f.write_all(data)).unwrap();
    match Model::read(&path.display().to_string()) {
        Ok(model) => {
            assert_eq!((model.size, model.sha256.len()), (data.len(), 64));
            if std::env::var_os("ORT_DYLIB_PATH").is_some()
                && let Err(e) = Network::new(&model, &NetOptions::default())
            {
                assert!(!e.to_string().is_empty());
            }
        }
        Err(e) => assert!(!e.to_string().is_empty()),
    }
});
