//! The GDAL driver as GDAL's own programs, its Python bindings and rasterio meet it.

#[path = "../common/mod.rs"]
mod common;

mod setup;
mod tools;

use common::Folder;
use setup::*;

#[test]
fn gdalinfo_lists_bands_grid_and_crs_and_computes_nothing() {
    let folder = pair((200, 160));
    let info: serde_json::Value =
        serde_json::from_str(&tool(&folder, "gdalinfo", &["-json", "-mdd", "SHIFTMAP", PAIR])).unwrap();
    let (code, _, err) = common::run(&folder, &["displacement", "pre.tif", "post.tif", "cli.tif"]);
    assert_eq!(code, 0, "{err}");
    let product = common::gdalinfo(&folder.file("cli.tif"));
    for key in ["size", "geoTransform"] {
        assert_eq!(info[key], product[key], "{key}");
    }
    // GeoTIFF keeps the code of the CRS and leaves out what follows from it.
    let code = |info: &serde_json::Value| {
        info["coordinateSystem"]["wkt"].as_str().unwrap().lines().last().unwrap().trim().to_string()
    };
    assert_eq!(code(&info), code(&product));
    assert!(code(&info).contains("32612"));
    for i in 0..6 {
        for key in ["description", "unit", "type", "noDataValue"] {
            assert_eq!(info["bands"][i][key], product["bands"][i][key], "band {} {key}", i + 1);
        }
    }
    assert_eq!(info["bands"][5]["metadata"][""], product["bands"][5]["metadata"][""], "status codes");
    // What the product says before its pixels are computed.
    let (ours, theirs) = (&info["metadata"]["SHIFTMAP"], &product["metadata"]["SHIFTMAP"]);
    assert_eq!(ours["METHOD"], theirs["METHOD"]);
    for (key, value) in ours.as_object().unwrap() {
        assert_eq!(value, &theirs[key.as_str()], "{key}");
    }
    let text = traced(&folder, "gdalinfo", &[PAIR]);
    assert!(!text.contains("computing"), "{text}");
    let list = tool(&folder, "gdalinfo", &["--format", "SHIFTMAP"]);
    for text in ["<OpenOptionList>", "name=\"METHOD\"", "<Value>frequency</Value>", "Connection prefix: SHIFTMAP:"] {
        assert!(list.contains(text), "{text}: {list}");
    }
}

#[test]
fn a_large_pair_opens_in_less_than_a_second() {
    let folder = Folder::new();
    for name in ["pre.tif", "post.tif"] {
        let sparse =
            ["-q", "-co", "SPARSE_OK=TRUE", "-co", "TILED=YES", "-outsize", "10000", "10000", "-a_srs", "EPSG:32612"];
        let place = ["-bands", "1", "-ot", "UInt16", "-a_ullr", "500000", "4000000", "600000", "3900000"];
        let made = setup::succeeds(setup::command(&folder, "gdal_create", &[&sparse[..], &place, &[name]].concat()));
        assert!(made.is_empty(), "{made}");
    }
    let start = std::time::Instant::now();
    let text = tool(&folder, "gdalinfo", &["-oo", "NODATA=none", PAIR]);
    let seconds = start.elapsed().as_secs_f64();
    assert!(text.contains("Size is 1250, 1250") && text.contains("UTM zone 12N"), "{text}");
    assert!(text.contains("Overviews: 625x625, 313x313, 157x157"), "{text}");
    // The machine may be busy; the time is one of opening, not of computing 1.5 million windows.
    assert!(seconds < 1.0 || busy(), "{seconds} s");
}

#[test]
fn a_corner_computes_only_that_corner() {
    let folder = pair((1100, 1060));
    let text = traced(&folder, "gdal_translate", &["-q", "-srcwin", "0", "0", "20", "20", PAIR, "corner.tif"]);
    assert_eq!(text.matches("computing").count(), 1, "{text}");
    let text = traced(&folder, "gdal_translate", &["-q", "-srcwin", "60", "0", "20", "20", PAIR, "corner2.tif"]);
    assert_eq!(text.matches("computing").count(), 2, "{text}");
}

#[test]
fn the_whole_raster_is_the_command_lines_byte_for_byte() {
    let folder = pair((700, 600));
    for method in ["lsm", "frequency"] {
        let (cli, ours, file) = (format!("{method}.tif"), format!("{method}_driver.tif"), format!("{method}.shiftmap"));
        let options = ["--method", method, "--step", "4", "--region", "30", "20", "600", "500"];
        let (code, _, err) =
            common::run(&folder, &[&["displacement", "pre.tif", "post.tif", &cli], &options[..]].concat());
        assert_eq!(code, 0, "{err}");
        let text = format!("shiftmap 1\npre=pre.tif\npost=post.tif\nmethod={method}\nstep=4\nregion=30 20 600 500\n");
        common::write_text(&folder.file(&file), &text);
        // From another folder, in two threads, and with a cache too small for one tile.
        let job = folder.file(&file);
        tool(&folder, "gdal_translate", &["-q", "-oo", "THREADS=2", &job, &ours]);
        same_pixels(&folder, &cli, &ours);
        let small = ["-q", "--config", "SHIFTMAP_CACHEMAX", "0", "-co", "INTERLEAVE=BAND", &job, &ours];
        tool(&folder, "gdal_translate", &small);
        same_pixels(&folder, &cli, &ours);
    }
}

#[test]
fn mistakes_are_told_in_words_and_foreign_files_declined_silently() {
    let folder = pair((100, 100));
    let refusal = |arguments: &[&str]| {
        let out = setup::command(&folder, "gdalinfo", arguments).output().unwrap();
        assert_eq!(out.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(out.stderr).unwrap()
    };
    let has = |arguments: &[&str], wanted: &str| {
        let text = refusal(arguments);
        assert!(text.contains(&format!("ERROR 1: SHIFTMAP: {wanted}")), "{text}");
    };
    has(&["-oo", "WINDW=3", PAIR], "option WINDW: no such option; did you mean WINDOW?");
    has(&["-oo", "WINDOW=3", PAIR], "WINDOW=3: a window is 5 to 512 pixels wide");
    has(&["-oo", "METHOD=best", PAIR], "METHOD=best: choose one of lsm, ");
    has(&["SHIFTMAP:nowhere.tif,post.tif"], "cannot open nowhere.tif: no such file");
    has(&["SHIFTMAP:pre.tif"], "cannot open SHIFTMAP:pre.tif: two images are needed");
    has(&["SHIFTMAP:pre.tif,post.tif,x"], "cannot open SHIFTMAP:pre.tif,post.tif,x: `x` is neither");
    has(&["--config", "SHIFTMAP_CACHEMAX", "much", PAIR], "SHIFTMAP_CACHEMAX=MUCH: a number of megabytes");
    common::write_text(&folder.file("new.shiftmap"), "shiftmap 2\n");
    has(&["new.shiftmap"], "cannot open new.shiftmap: version 2 of the job file");
    common::write_text(&folder.file("odd.shiftmap"), "shiftmap 1\npre=pre.tif\npost=post.tif\ncolour=red\n");
    has(&["odd.shiftmap"], "option COLOUR: no such option");
    common::write_text(&folder.file("text.shiftmap"), "something else\n");
    let text = refusal(&["text.shiftmap"]);
    assert!(!text.contains("SHIFTMAP:") && text.contains("not recognized"), "{text}");
    let text = refusal(&["/nowhere/at/all.tif"]);
    assert!(!text.contains("SHIFTMAP"), "{text}");
}

#[test]
fn statistics_lie_beside_a_job_file_and_nowhere_for_a_connection_string() {
    let folder = pair((120, 100));
    common::write_text(&folder.file("job.shiftmap"), "shiftmap 1\npre=pre.tif\npost=post.tif\n");
    let before = folder.names();
    tool(&folder, "gdalinfo", &["-stats", PAIR]);
    assert_eq!(folder.names(), before);
    let text = tool(&folder, "gdalinfo", &["-stats", "job.shiftmap"]);
    assert!(text.contains("STATISTICS_MEAN"), "{text}");
    let more: Vec<String> = folder.names().into_iter().filter(|n| !before.contains(n)).collect();
    assert_eq!(more, ["job.shiftmap.aux.xml"]);
    let text = traced(&folder, "gdalinfo", &["job.shiftmap"]);
    assert!(text.contains("STATISTICS_MEAN") && !text.contains("computing"), "{text}");
}

#[test]
fn paths_with_commas_and_quotes_are_written_in_quotes() {
    let folder = pair((100, 100));
    std::fs::rename(folder.file("pre.tif"), folder.file("a,\"b\".tif")).unwrap();
    let text = tool(&folder, "gdalinfo", &["SHIFTMAP:\"a,\"\"b\"\".tif\",post.tif,STEP=10"]);
    assert!(text.contains("Size is 10, 10"), "{text}");
}

#[test]
fn info_tells_whether_gdal_finds_the_plugin() {
    let folder = Folder::new();
    let said = |plugin: bool| {
        let mut command = common::shiftmap(&folder, &["info"]);
        match plugin {
            true => command.env("GDAL_DRIVER_PATH", setup::plugins()),
            false => command.env_remove("GDAL_DRIVER_PATH"),
        };
        setup::succeeds(command)
    };
    assert!(said(false).contains("GDAL driver SHIFTMAP: not found by GDAL"));
    let found = said(true);
    assert!(found.contains(&format!("GDAL driver SHIFTMAP {} (", shiftmap::VERSION)), "{found}");
}
