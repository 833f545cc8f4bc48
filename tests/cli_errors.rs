//! Bad input: one line that names the value and the remedy, exit code 1, and nothing left in the folder.

mod common;

use common::*;
use shiftmap::field::GeoTransform;
use shiftmap::grid::Grid;
use shiftmap::raster::{Crs, GeoReference, PixelType, write_image};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs `shiftmap displacement` and checks that it fails as it should; `parts` must be in the message.
fn fails(folder: &Folder, arguments: &[&str], parts: &[&str]) -> String {
    let before = folder.names();
    let (code, out, err) = run(folder, &[&["displacement"], arguments].concat());
    assert_eq!(code, 1, "{arguments:?}\n{out}\n{err}");
    let lines: Vec<&str> = err.lines().collect();
    let errors: Vec<&&str> = lines.iter().filter(|l| l.starts_with("ERROR: ")).collect();
    assert_eq!(errors.len(), 1, "{err}");
    assert!(lines.last().unwrap().starts_with("ERROR: "), "{err}");
    for part in parts {
        assert!(errors[0].contains(part), "`{part}` is not in: {}", errors[0]);
    }
    assert!(!out.contains("done"), "{out}");
    assert_eq!(folder.names(), before, "files left by {arguments:?}");
    errors[0].to_string()
}

/// A folder with a pair of 200 × 160 pixels.
fn pair() -> Folder {
    let folder = Folder::new();
    write_pair(&folder, (200, 160), 0.4, -0.3);
    folder
}

fn image(folder: &Folder, name: &str, c: [f64; 6], crs: &str) {
    let georef = GeoReference::new(GeoTransform(c), Some(Crs::from_definition(crs).unwrap()));
    let values = Grid::from_fn(200, 160, |x, y| rough_at(x as f64, y as f64) as f32);
    write_image(&folder.file(name), &values, PixelType::U16, None, Some(&georef), true).unwrap();
}

#[test]
fn missing_file() {
    let folder = pair();
    fails(&folder, &["nope.tif", "post.tif", "out.tif"], &["cannot open nope.tif", "no such file", "check the path"]);
    fails(&folder, &["pre.tif", "gone/b.tif", "out.tif"], &["cannot open gone/b.tif", "no such file"]);
}

#[test]
fn text_file() {
    let folder = pair();
    write_text(&folder.file("notes.txt"), "these are my notes\n");
    fails(&folder, &["pre.tif", "notes.txt", "out.tif"], &["notes.txt", "not a raster", "gdalinfo notes.txt"]);
    write_text(&folder.file("empty.tif"), "");
    fails(&folder, &["empty.tif", "post.tif", "out.tif"], &["empty.tif", "gdalinfo empty.tif"]);
}

#[test]
fn truncated_tiff() {
    let folder = Folder::new();
    write_pair(&folder, (700, 600), 0.4, -0.3);
    for creation in ["COMPRESS=NONE", "COMPRESS=DEFLATE"] {
        gdal(
            "gdal_translate",
            &["-q", "-co", creation, "-co", "TILED=YES", &folder.file("post.tif"), &folder.file("cut.tif")],
        );
        let bytes = std::fs::read(folder.file("cut.tif")).unwrap();
        for share in [0.3, 0.6, 0.95] {
            let keep = (bytes.len() as f64 * share) as usize;
            std::fs::write(folder.file("cut.tif"), &bytes[..keep]).unwrap();
            let text = fails(&folder, &["pre.tif", "cut.tif", "out.tif"], &["cut.tif"]);
            assert!(text.contains("truncated") || text.contains("gdalinfo"), "{text}");
        }
    }
}

#[test]
fn band_that_is_not_there() {
    let folder = pair();
    gdal(
        "gdal_translate",
        &["-q", "-b", "1", "-b", "1", "-b", "1", &folder.file("pre.tif"), &folder.file("three.tif")],
    );
    fails(
        &folder,
        &["three.tif", "post.tif", "out.tif", "--band", "7"],
        &["--band 7: three.tif has 3 bands; choose 1 to 3"],
    );
    fails(&folder, &["three.tif", "post.tif", "out.tif", "-b", "3"], &["--band 3: post.tif has 1 band; choose 1 to 1"]);
    fails(&folder, &["pre.tif", "three.tif", "out.tif", "--post-band", "4"], &["--post-band 4: three.tif has 3 bands"]);
    fails(&folder, &["pre.tif", "post.tif", "out.tif", "-b", "0"], &["--band 0"]);
}

#[test]
fn grids_that_do_not_fit() {
    let folder = pair();
    let grid = |x: f64, pixel: f64| [x, pixel, 0.0, 4_000_000.0, 0.0, -pixel];
    image(&folder, "zone.tif", grid(500_000.0, 10.0), "EPSG:32613");
    let crs =
        ["EPSG:32612", "EPSG:32613", "--resample", "gdalwarp -t_srs EPSG:32612 -te 500000 3998400 502000 4000000"];
    fails(&folder, &["pre.tif", "zone.tif", "out.tif"], &crs);
    image(&folder, "coarse.tif", grid(500_000.0, 15.0), "EPSG:32612");
    fails(&folder, &["pre.tif", "coarse.tif", "out.tif"], &["10 x 10", "15 x 15", "--resample", "gdalwarp"]);
    image(&folder, "far.tif", grid(600_000.0, 10.0), "EPSG:32612");
    fails(
        &folder,
        &["pre.tif", "far.tif", "out.tif"],
        &["do not overlap", "pre.tif covers x 500000 to 502000", "far.tif"],
    );
    fails(&folder, &["pre.tif", "far.tif", "out.tif", "--resample"], &["do not overlap"]);
    image(&folder, "degrees.tif", [-111.0, 1e-4, 0.0, 36.0, 0.0, -1e-4], "EPSG:4326");
    let geographic = ["degrees.tif", "EPSG:4326", "gdalwarp -t_srs EPSG:32612", "--units px"];
    fails(&folder, &["degrees.tif", "degrees.tif", "out.tif"], &geographic);
}

#[test]
fn values_out_of_range() {
    let folder = pair();
    let with = |more: &[&str], parts: &[&str]| {
        fails(&folder, &[&["pre.tif", "post.tif", "out.tif"], more].concat(), parts);
    };
    with(&["--window", "3"], &["--window 3", "5 to 512"]);
    with(&["--window", "32x600"], &["--window 600", "5 to 512"]);
    with(&["--window", "180"], &["--window 180", "200 x 160"]);
    with(&["--step", "0"], &["--step 0", "1 pixel or more"]);
    with(&["--search", "5000"], &["--search 5000", "200 x 160"]);
    with(&["--search", "0"], &["--search 0"]);
    with(&["--search", "nan"], &["--search NaN"]);
    with(&["--search", "90000m"], &["--search 9000", "200 x 160"]);
    with(&["--min-valid", "1.5"], &["--min-valid 1.5"]);
    with(&["--region", "500", "0", "10", "10"], &["--region 500 0 10 10", "200 x 160"]);
    with(&["--region", "0", "0", "0", "10"], &["--region 0 0 0 10"]);
    for method in ["frequency", "spatial", "dense", "regularized"] {
        for option in [&["--shape", "affine"][..], &["--taper", "hann"], &["--bilateral"]] {
            with(&[&["--method", method], option].concat(), &[option[0], method, "--method lsm"]);
        }
    }
    with(&["--of", "NOPE"], &["--of NOPE", "gdalinfo --formats"]);
    with(&["--of", "JPEG"], &["out.tif", "--of", "JPEG"]);
    with(&["--co", "FOO=1"], &["--co FOO=1", "GTiff"]);
    with(&["--co", "COMPRESS"], &["--co COMPRESS", "KEY=VALUE"]);
}

#[test]
fn images_without_data() {
    let folder = pair();
    gdal(
        "gdal_translate",
        &["-q", "-scale", "0", "1", "7", "7", "-a_nodata", "7", &folder.file("post.tif"), &folder.file("void.tif")],
    );
    fails(&folder, &["pre.tif", "void.tif", "out.tif"], &["void.tif", "nodata", "--nodata"]);
    fails(&folder, &["void.tif", "post.tif", "out.tif"], &["void.tif", "nodata"]);
}

#[test]
fn places_that_cannot_be_written() {
    let folder = pair();
    fails(
        &folder,
        &["pre.tif", "post.tif", "no/such/out.tif"],
        &["no/such/out.tif", "no/such does not exist", "create it"],
    );
    fails(&folder, &["pre.tif", "post.tif", "pre.tif/out.tif"], &["pre.tif/out.tif", "not a folder"]);
    fails(&folder, &["pre.tif", "post.tif", "/proc/out.tif"], &["/proc/out.tif", "choose another place"]);
    fails(&folder, &["pre.tif", "post.tif", "out.unknown"], &["out.unknown", "--of"]);
    std::fs::create_dir(folder.file("dir.tif")).unwrap();
    fails(&folder, &["pre.tif", "post.tif", "dir.tif"], &["dir.tif", "is a folder"]);
    fails(&folder, &["pre.tif", "post.tif", "dir.tif", "--overwrite"], &["dir.tif", "is a folder"]);
}

#[test]
fn a_folder_without_write_permission() {
    use std::os::unix::fs::PermissionsExt;
    let folder = pair();
    let locked = folder.file("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(format!("{locked}/probe"), "").is_ok() {
        // Permissions do not stop the superuser: /proc stands in for such a folder in another test.
        eprintln!("skipped: this user may write anywhere");
        std::fs::remove_file(format!("{locked}/probe")).unwrap();
        return;
    }
    fails(&folder, &["pre.tif", "post.tif", "locked/out.tif"], &["locked is not writable", "choose another place"]);
}

#[test]
fn existing_output() {
    let folder = pair();
    write_text(&folder.file("out.tif"), "precious");
    fails(&folder, &["pre.tif", "post.tif", "out.tif"], &["out.tif exists already", "--overwrite"]);
    assert_eq!(std::fs::read(folder.file("out.tif")).unwrap(), b"precious");
    // Overwriting an input would destroy it, whatever it is called.
    let before = std::fs::read(folder.file("pre.tif")).unwrap();
    fails(&folder, &["pre.tif", "post.tif", "./pre.tif", "--overwrite"], &["./pre.tif", "one of the inputs"]);
    assert_eq!(std::fs::read(folder.file("pre.tif")).unwrap(), before);
    let (code, _, err) = run(&folder, &["displacement", "pre.tif", "post.tif", "out.tif", "-overwrite", "-q"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(std::fs::metadata(folder.file("out.tif")).unwrap().len() > 1000);
}

#[test]
fn wrong_usage_is_told_apart() {
    let folder = pair();
    for arguments in [
        &["displacement", "pre.tif", "post.tif"][..],
        &["displacement", "pre.tif", "post.tif", "out.tif", "--window", "wide"],
        &["displacement", "pre.tif", "post.tif", "out.tif", "--method", "magic"],
        &["displacement", "pre.tif", "post.tif", "out.tif", "--nodata", "black"],
        &["displacement", "pre.tif", "post.tif", "out.tif", "--threads", "0"],
        &["displacement", "pre.tif", "post.tif", "out.tif", "--modle", "m"],
        &["unknown"],
        &[],
    ] {
        let (code, out, err) = run(&folder, arguments);
        assert_eq!(code, 2, "{arguments:?}");
        assert!(out.is_empty(), "{arguments:?}: {out}");
        assert!(err.contains("Usage:") || err.contains("--help"), "{arguments:?}: {err}");
    }
    assert_eq!(folder.names(), ["post.tif", "pre.tif"]);
}

/// A run that takes long enough to be interrupted: every pixel of 1200 × 1000.
fn long_run(folder: &Folder) -> std::process::Child {
    for (name, d) in [("pre.tif", 0.0), ("post.tif", 0.4)] {
        let values = Grid::from_fn(1200, 1000, |x, y| texture_at(x as f64 - d, y as f64) as f32);
        write_image(&folder.file(name), &values, PixelType::U16, None, Some(&utm(5e5, 4e6)), false).unwrap();
    }
    shiftmap(
        folder,
        &["displacement", "pre.tif", "post.tif", "out.tif", "--step", "1", "--window", "65", "--threads", "1"],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap()
}

#[test]
fn interrupt_and_terminate_stop_within_a_second() {
    for (signal, delay) in [("-INT", 0), ("-TERM", 900)] {
        let folder = Folder::new();
        let mut child = long_run(&folder);
        let begin = Instant::now();
        while folder.names().len() == 2 && begin.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(delay));
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be stopped");
        assert!(folder.names().len() > 2, "nothing is being written");
        let start = Instant::now();
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let code = child.wait().unwrap().code();
        let took = start.elapsed();
        let mut text = String::new();
        child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(code, Some(1), "{signal}: {text}");
        assert_eq!(text, "ERROR: stopped on request; nothing was written\n");
        assert!(took < Duration::from_secs(1), "{signal}: {took:?}");
        assert_eq!(folder.names(), ["post.tif", "pre.tif"], "{signal}");
    }
}

/// A tmpfs of some kilobytes, unmounted when dropped.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: &Path, kilobytes: u64) -> Option<SmallDisk> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={kilobytes}k");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        done.is_ok_and(|o| o.status.success()).then(|| SmallDisk(at.into()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn full_disk() {
    let folder = pair();
    let step = ["--step", "2", "--method", "frequency", "-q"];
    let run_to = |out: &str, more: &[&str]| {
        run(&folder, &[&["displacement", "pre.tif", "post.tif", out], &step[..], more].concat())
    };
    let (code, _, err) = run_to("fits.tif", &[]);
    assert_eq!(code, 0, "{err}");
    let kilobytes = std::fs::metadata(folder.file("fits.tif")).unwrap().len().div_ceil(4096) * 4;
    let disk = folder.path().join("disk");
    // From far too small to one block short: the failure may come while writing or only when closing.
    for missing in [kilobytes - 8, 8, 4] {
        let Some(_mounted) = SmallDisk::mount(&disk, kilobytes - missing) else {
            eprintln!("skipped: this user cannot mount a small disk");
            return;
        };
        for more in [&[][..], &["--of", "COG"]] {
            let (code, _, err) = run_to("disk/out.tif", more);
            assert_eq!(code, 1, "{} of {kilobytes} kB were enough? {err}", kilobytes - missing);
            assert!(err.starts_with("ERROR: cannot write disk/out.tif: ") && err.contains("disk"), "{err}");
            assert_eq!(err.lines().count(), 1);
            assert!(names(&disk).is_empty(), "{:?}", names(&disk));
        }
    }
}

#[test]
fn file_size_limit() {
    let folder = pair();
    let program = assert_cmd::cargo::cargo_bin!("shiftmap");
    // Without the signal, writing beyond the limit fails as on a full disk; this needs no privileges.
    let script = format!(
        "trap '' XFSZ; ulimit -f 40; exec '{}' displacement pre.tif post.tif out.tif --step 2 --method frequency -q",
        program.display()
    );
    let out = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{err}");
    assert!(err.starts_with("ERROR: cannot write out.tif: ") && err.contains("is the disk full?"), "{err}");
    assert_eq!(folder.names(), ["post.tif", "pre.tif"]);
}
