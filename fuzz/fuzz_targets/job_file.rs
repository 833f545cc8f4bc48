//! Job files of the GDAL driver.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shiftmap::gdal_driver::connection::job_file;

fuzz_target!(|text: &str| {
    // Files that exist are taken from the job's folder; the answer must not matter for reading.
    for exists in [true, false] {
        match job_file("folder/job.shiftmap", text, &|_| exists) {
            Ok(request) => {
                assert!(!request.pre.is_empty() && !request.post.is_empty());
                let _ = shiftmap::options::virtual_job(&request.pre, &request.post, &request.options);
            }
            Err(e) => assert!(!e.to_string().is_empty()),
        }
    }
});
