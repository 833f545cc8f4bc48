//! Where images lie, and which pairs fit.

use super::*;
use shiftmap::field::{GeoTransform, PixelShift};

fn place(folder: &Folder, name: &str, c: [f64; 6], crs: Option<&str>, size: (usize, usize)) -> RasterBand {
    let georef = GeoReference::new(GeoTransform(c), crs.map(|c| Crs::from_definition(c).unwrap()));
    let path = folder.file(name);
    write_image(&path, &texture(size.0, size.1), PixelType::U8, None, Some(&georef), true).unwrap();
    open(&path)
}

const GRID: [f64; 6] = [500_000.0, 10.0, 0.0, 4_000_000.0, 0.0, -10.0];
const UTM12: Option<&str> = Some("EPSG:32612");

fn refused(pre: &RasterBand, post: &RasterBand, parts: &[&str]) {
    let text = compare(pre, post).unwrap_err().to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn origins_are_told_in_post_pixels() {
    let folder = Folder::new();
    let pre = place(&folder, "pre.tif", GRID, UTM12, (40, 30));
    let at = |dx: f64, dy: f64| {
        let grid = [GRID[0] + dx, GRID[1], 0.0, GRID[3] + dy, 0.0, GRID[5]];
        compare(&pre, &place(&folder, "post.tif", grid, UTM12, (40, 30))).unwrap()
    };
    assert_eq!(at(0.0, 0.0), (0.0, 0.0));
    // A post image that starts 3 pixels further west and 2 further north shows pre pixel (0, 0) at (3, 2).
    assert_eq!(at(-30.0, 20.0), (3.0, 2.0));
    assert_eq!(at(70.0, -80.0), (-7.0, -8.0));
    let (x, y) = at(-2.5, 7.0);
    assert!((x - 0.25).abs() < 1e-9 && (y - 0.7).abs() < 1e-9, "{x} {y}");
}

#[test]
fn rounding_noise_is_not_an_offset() {
    let folder = Folder::new();
    let grid = [412_345.678_9, 0.3, 0.0, 5_012_345.612_3, 0.0, -0.3];
    let pre = place(&folder, "pre.tif", grid, UTM12, (40, 30));
    let noisy = [grid[0] + 1e-8, 0.3 + 1e-12, 0.0, grid[3] - 2e-8, 0.0, -0.3];
    assert_eq!(compare(&pre, &place(&folder, "post.tif", noisy, UTM12, (40, 30))).unwrap(), (0.0, 0.0));
}

#[test]
fn rotated_grids_are_compared_along_their_axes() {
    let folder = Folder::new();
    let (c, s) = (8.0, 6.0);
    let grid = [500_000.0, c, s, 4_000_000.0, s, -c];
    let pre = place(&folder, "pre.tif", grid, UTM12, (40, 30));
    // The origin moved by (+2, -1) pixels along the rotated axes.
    let moved = GeoTransform(grid).map(2.0, -1.0);
    let other = [moved.0, c, s, moved.1, s, -c];
    let (x, y) = compare(&pre, &place(&folder, "post.tif", other, UTM12, (40, 30))).unwrap();
    assert!((x + 2.0).abs() < 1e-6 && (y - 1.0).abs() < 1e-6, "{x} {y}");
    let ground = pre.georef().ground(Units::Auto, "pre", (40, 30)).unwrap();
    let east_north = ground.transform.ground(PixelShift::new(1.0, 0.0));
    assert_eq!((east_north.east, east_north.north), (c, s));
    // Same pixel size, north up: another rotation.
    refused(&pre, &place(&folder, "post.tif", GRID, UTM12, (40, 30)), &["axes", "(8, 6)", "(10, 0)", "--resample"]);
}

#[test]
fn what_does_not_fit_is_named_with_the_remedy() {
    let folder = Folder::new();
    let pre = place(&folder, "pre.tif", GRID, UTM12, (40, 30));
    let post = |grid, crs, size| place(&folder, "post.tif", grid, crs, size);
    refused(
        &pre,
        &post(GRID, Some("EPSG:32613"), (40, 30)),
        &[
            "EPSG:32612",
            "EPSG:32613",
            "--resample",
            "gdalwarp -t_srs EPSG:32612 -te 500000 3999700 500400 4000000 -ts 40 30",
        ],
    );
    let coarse = [GRID[0], 15.0, 0.0, GRID[3], 0.0, -15.0];
    refused(&pre, &post(coarse, UTM12, (40, 30)), &["10 x 10", "15 x 15", "--resample", "gdalwarp"]);
    let far = [GRID[0] + 400.0, 10.0, 0.0, GRID[3], 0.0, -10.0];
    refused(&pre, &post(far, UTM12, (40, 30)), &["do not overlap", "500000 to 500400", "500400 to 500800"]);
    let near = [GRID[0] + 390.0, 10.0, 0.0, GRID[3], 0.0, -10.0];
    assert!(compare(&pre, &post(near, UTM12, (40, 30))).is_ok());
    refused(
        &pre,
        &post(GRID, None, (40, 30)),
        &["post.tif has no coordinate", "EPSG:32612", "gdal_edit.py -a_srs EPSG:32612"],
    );
}

#[test]
fn the_command_named_as_remedy_is_one() {
    let folder = Folder::new();
    let pre = place(&folder, "pre.tif", GRID, UTM12, (40, 30));
    let coarse = [GRID[0] - 30.0, 15.0, 0.0, GRID[3] + 30.0, 0.0, -15.0];
    let post = place(&folder, "post image.tif", coarse, UTM12, (40, 30));
    let text = compare(&pre, &post).unwrap_err().to_string();
    let command = text.split('`').nth(1).unwrap();
    let done = std::process::Command::new("sh").args(["-c", command]).current_dir(folder.path()).output().unwrap();
    assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(compare(&pre, &open(&folder.file("post image_on_pre.tif"))).unwrap(), (0.0, 0.0));
}

#[test]
fn images_without_georeference_are_compared_by_pixels() {
    let folder = Folder::new();
    let (a, b) = (folder.file("a.png"), folder.file("b.png"));
    write_png(&a, 20, 10, &[7; 600], false).unwrap();
    write_png(&b, 20, 10, &[7; 600], false).unwrap();
    let (a, b) = (open(&a), open(&b));
    assert_eq!(compare(&a, &b).unwrap(), (0.0, 0.0));
    assert_eq!(a.georef().ground(Units::Auto, "a.png", (20, 10)).unwrap().unit, "px");
    let text = a.georef().ground(Units::Metres, "a.png", (20, 10)).unwrap_err().to_string();
    assert!(text.contains("a.png") && text.contains("gdal_edit.py") && text.contains("--units px"), "{text}");
    let pre = place(&folder, "pre.tif", GRID, UTM12, (40, 30));
    refused(&pre, &a, &["pre.tif is georeferenced", "a.png is not", "-a_ullr 500000 4000000 500400 3999700"]);
}

#[test]
fn metres_need_a_projected_crs() {
    let folder = Folder::new();
    let ground = |c: [f64; 6], crs: &str, units| {
        place(&folder, "g.tif", c, Some(crs), (40, 30)).georef().ground(units, "g.tif", (40, 30))
    };
    let north = [-112.9, 1e-4, 0.0, 37.4, 0.0, -1e-4];
    let text = ground(north, "EPSG:4326", Units::Auto).unwrap_err().to_string();
    assert!(text.contains("EPSG:4326") && text.contains("gdalwarp -t_srs EPSG:32612"), "{text}");
    assert!(text.contains("--units px"));
    let south = [172.9, 1e-4, 0.0, -43.4, 0.0, -1e-4];
    let text = ground(south, "EPSG:4326", Units::Metres).unwrap_err().to_string();
    assert!(text.contains("EPSG:32759"), "{text}");
    assert_eq!(ground(south, "EPSG:4326", Units::Pixels).unwrap().unit, "px");
    // US survey feet.
    let feet = ground([2e6, 10.0, 0.0, 7e5, 0.0, -10.0], "EPSG:2227", Units::Auto).unwrap();
    assert_eq!(feet.unit, "m");
    assert!((feet.transform.0[1] - 10.0 * 1200.0 / 3937.0).abs() < 1e-9);
    let metres = place(&folder, "f.tif", [2e6, 10.0, 0.0, 7e5, 0.0, -10.0], Some("EPSG:2227"), (9, 9));
    assert!((metres.georef().pixel_metres().unwrap().0 - 3.048).abs() < 1e-3);
}
