//! Other programs on top of the driver: warping, VRT, calculators, Python, rasterio, Valgrind.

use super::common::{self, Folder};
use super::setup::*;
use std::process::Command;

#[test]
fn warping_with_threads_gives_the_same_pixels() {
    let folder = pair((500, 400));
    let warp = |more: &[&str], out: &str| {
        tool(&folder, "gdalwarp", &[&["-q", "-t_srs", "EPSG:4326"], more, &[PAIR, out]].concat());
    };
    warp(&[], "one.tif");
    warp(&["-multi", "-wo", "NUM_THREADS=2"], "two.tif");
    same_pixels(&folder, "one.tif", "two.tif");
}

#[test]
fn a_vrt_over_the_raster_reads_the_same_pixels() {
    let folder = pair((600, 520));
    tool(&folder, "gdal_translate", &["-q", "-of", "VRT", PAIR, "over.vrt"]);
    tool(&folder, "gdal_translate", &["-q", PAIR, "direct.tif"]);
    // Reading ahead on several threads once waited for itself here.
    for _ in 0..5 {
        tool(&folder, "gdal_translate", &["-q", "over.vrt", "through.tif"]);
        same_pixels(&folder, "direct.tif", "through.tif");
    }
}

#[test]
fn overviews_are_computed_and_files_of_them_come_first() {
    let folder = pair((600, 520));
    let text = traced(&folder, "gdal_translate", &["-q", "-oo", "STEP=2", "-outsize", "50%", "50%", PAIR, "half.tif"]);
    assert!(text.contains("with step 4") && !text.contains("with step 2"), "{text}");
    common::write_text(&folder.file("job.shiftmap"), "shiftmap 1\npre=pre.tif\npost=post.tif\nstep=2\n");
    tool(&folder, "gdaladdo", &["-q", "job.shiftmap", "4"]);
    let text = tool(&folder, "gdalinfo", &["job.shiftmap"]);
    assert!(text.contains("Overviews: 75x65\n"), "{text}");
}

#[test]
fn the_calculator_adds_bands() {
    if Command::new("gdal_calc.py").arg("--help").output().is_err() {
        return println!("skipped: gdal_calc.py is not there");
    }
    let folder = pair((200, 160));
    let calc = ["--quiet", "-A", PAIR, "--A_band=1", "-B", PAIR, "--B_band=2", "--calc=sqrt(A*A+B*B)"];
    let out = command(&folder, "gdal_calc.py", &[&calc[..], &["--outfile=length.tif"]].concat()).output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    if text.contains("ModuleNotFoundError") {
        return println!("skipped: GDAL's Python bindings are not there");
    }
    assert!(out.status.success(), "{text}");
    let info = tool(&folder, "gdalinfo", &["-stats", "length.tif"]);
    let mean = info.lines().find_map(|l| l.trim().strip_prefix("STATISTICS_MEAN=")).unwrap().parse::<f64>().unwrap();
    // 0.4 and 0.3 pixels of 10 m.
    assert!((mean - 5.0).abs() < 0.2, "{mean}");
}

/// A Python that has `module`.
fn python(module: &str) -> Option<&'static str> {
    let has =
        |p: &&str| Command::new(p).args(["-c", &format!("import {module}")]).output().is_ok_and(|o| o.status.success());
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has);
    if found.is_none() {
        println!("skipped: no Python with {module}");
    }
    found
}

fn script(name: &str) -> String {
    format!("{}/tests/driver/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn threads_with_handles_of_their_own_share_tiles() {
    let Some(python) = python("osgeo.gdal, numpy") else { return };
    let folder = pair((700, 600));
    print!("{}", tool(&folder, python, &[&script("threads.py")]));
}

#[test]
fn rasterio_with_its_own_gdal_is_refused_in_words() {
    let Some(python) = std::env::var("SHIFTMAP_RASTERIO_PYTHON").ok().or(python("rasterio").map(str::to_string)) else {
        return;
    };
    let folder = pair((100, 100));
    print!("{}", tool(&folder, &python, &[&script("with_rasterio.py")]));
}

#[test]
fn valgrind_finds_nothing_lost() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        return println!("skipped: valgrind is not there");
    }
    let folder = pair((96, 80));
    let lost = |program: &[&str]| {
        let valgrind = ["--leak-check=full", "--show-leak-kinds=definite", "--num-callers=40"];
        let out = command(&folder, "valgrind", &[&valgrind[..], program].concat()).output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success() && !text.contains("Invalid read") && !text.contains("Invalid write"), "{text}");
        let ours = |block: &&str| block.contains("definitely lost in") && block.contains("shiftmap");
        let blocks: Vec<&str> = text.split("==\n==").filter(ours).collect();
        assert!(blocks.is_empty(), "{blocks:#?}");
    };
    lost(&["gdalinfo", PAIR]);
    lost(&["gdal_translate", "-q", "-oo", "WINDOW=16", PAIR, "out.tif"]);
}

#[test]
fn an_interrupted_copy_leaves_the_inputs_alone() {
    let folder = pair((700, 600));
    common::write_text(&folder.file("job.shiftmap"), "shiftmap 1\npre=pre.tif\npost=post.tif\nstep=1\n");
    let before: Vec<Vec<u8>> = inputs(&folder);
    let mut child = command(&folder, "gdal_translate", &["-q", "job.shiftmap", "out.tif"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let stopped = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success() && !child.wait().unwrap().success());
    assert_eq!(inputs(&folder), before);
    let names: Vec<String> = folder.names().into_iter().filter(|n| n != "out.tif").collect();
    assert_eq!(names, ["job.shiftmap", "post.tif", "pre.tif"]);
    tool(&folder, "gdal_translate", &["-q", "-oo", "STEP=16", "job.shiftmap", "out.tif"]);
}

fn inputs(folder: &Folder) -> Vec<Vec<u8>> {
    ["pre.tif", "post.tif", "job.shiftmap"].iter().map(|n| std::fs::read(folder.file(n)).unwrap()).collect()
}

#[test]
fn the_example_runs() {
    let folder = pair((400, 320));
    let example = format!("{}/examples/driver.sh", env!("CARGO_MANIFEST_DIR"));
    let out = command(&folder, "bash", &[&example, "pre.tif", "post.tif"]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    if text.contains("ModuleNotFoundError") {
        return println!("skipped: GDAL's Python bindings are not there");
    }
    assert!(out.status.success(), "{text}");
    for name in ["displacement.tif", "length.tif", "corner.tif"] {
        assert!(folder.path().join(name).exists(), "{name}");
    }
}
