//! Images behind a web server (`/vsicurl/`).

use super::server::{Fault, Server};
use super::*;
use shiftmap::raster::read_all_bands;

/// A pair with the earlier image also as bytes: large enough for several requests, its pixels compressed.
fn pair() -> (Folder, Vec<u8>) {
    let folder = Folder::new();
    write_pair(&folder, (420, 360), 0.4, -0.3);
    let (from, to) = (folder.file("pre.tif"), folder.file("served.tif"));
    gdal("gdal_translate", &["-q", "-co", "COMPRESS=DEFLATE", "-co", "TILED=YES", &from, &to]);
    let bytes = std::fs::read(&to).unwrap();
    std::fs::remove_file(&to).unwrap();
    assert!(bytes.len() > 100_000, "{} bytes", bytes.len());
    (folder, bytes)
}

fn displacement(folder: &Folder, pre: &str, more: &[&str]) -> Command {
    let mut command = shiftmap(folder, &["displacement", pre, "post.tif", "out.tif", "-q", "--threads", "1"]);
    command.args(more);
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

#[test]
fn a_healthy_server_gives_the_same_map() {
    let (folder, bytes) = pair();
    let server = Server::start(bytes, Fault::Healthy, 0);
    let out = displacement(&folder, &server.url("pre.tif"), &[]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(server.requests() > 2, "{} requests", server.requests());
    let values = |name: &str| -> Vec<Vec<u32>> {
        let file = read_all_bands(&folder.file(name)).unwrap();
        file.bands.iter().map(|b| b.values.data.iter().map(|v| v.to_bits()).collect()).collect()
    };
    let remote = values("out.tif");
    let (code, _, err) = run(&folder, &["displacement", "pre.tif", "post.tif", "local.tif", "-q"]);
    assert_eq!(code, 0, "{err}");
    assert!(remote == values("local.tif"), "the map differs");
}

#[test]
fn a_failing_server_is_an_error_in_bounded_time() {
    // From the first request on, and after the header of the image has been read; all at once, since most only wait.
    let faults = [Fault::Stalls, Fault::Silent, Fault::Drops, Fault::TooShort, Fault::Corrupts, Fault::Refuses];
    let one = |fault: Fault, from: usize| {
        let (folder, bytes) = pair();
        let server = Server::start(bytes, fault, from);
        let url = server.url("pre.tif");
        let patience = ["--config", "GDAL_HTTP_LOW_SPEED_TIME", "2"];
        let start = Instant::now();
        let out = ended(spawned(&mut displacement(&folder, &url, &patience)), Duration::from_secs(100));
        let said = error_of(&out, &["cannot", &url]);
        println!("{fault:?} from request {from}: {:.1} s, {said}", start.elapsed().as_secs_f64());
        assert_eq!(folder.names(), ["post.tif", "pre.tif"], "{fault:?}");
    };
    std::thread::scope(|scope| {
        for fault in faults {
            for from in [0, 2] {
                scope.spawn(move || one(fault, from));
            }
        }
    });
}

#[test]
fn a_server_that_says_nothing_is_given_up_by_itself() {
    let (folder, bytes) = pair();
    let server = Server::start(bytes, Fault::Silent, 0);
    let url = server.url("pre.tif");
    let start = Instant::now();
    let out = ended(spawned(&mut displacement(&folder, &url, &[])), Duration::from_secs(100));
    error_of(&out, &["cannot open", &url]);
    println!("given up after {:.0} s", start.elapsed().as_secs_f64());
}
