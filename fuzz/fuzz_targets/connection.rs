//! Connection strings of the GDAL driver.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiftmap::gdal_driver::connection::connection;

fuzz_target!(|text: &str| {
    let Ok(request) = connection(text) else { return };
    assert!(!request.pre.is_empty() && !request.post.is_empty());
    // Quoted and read again, it is the same request.
    let quoted = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
    let mut again = format!("SHIFTMAP:{},{}", quoted(&request.pre), quoted(&request.post));
    for (key, value) in &request.options {
        again += &format!(",{}", quoted(&format!("{key}={value}")));
    }
    assert_eq!(connection(&again).unwrap(), request);
    let _ = shiftmap::options::virtual_job(&request.pre, &request.post, &request.options);
});
