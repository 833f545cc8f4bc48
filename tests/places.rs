//! Places given by a raster or by polygons: what `--mask` leaves out, the stable ground of `--stable`.

mod common;

use common::{Folder, hashed_noise, rough_at, run, utm};
use shiftmap::field::Status;
use shiftmap::grid::Grid;
use shiftmap::raster::{PixelType, RasterFile, read_all_bands, write_image};

const SIZE: usize = 320;
/// A hexagon and its hole, pixels of the pre image.
const OUTLINE: [(f64, f64); 6] =
    [(100.0, 60.0), (200.0, 70.0), (240.0, 150.0), (190.0, 230.0), (90.0, 200.0), (60.0, 120.0)];
const HOLE: [(f64, f64); 4] = [(130.3, 120.2), (170.6, 120.2), (170.6, 160.4), (130.3, 160.4)];

fn write(folder: &Folder, name: &str, left: f64, values: &Grid<f32>) {
    write_image(&folder.file(name), values, PixelType::F32, None, Some(&utm(left, 4_000_000.0)), true).unwrap();
}

fn image(at: impl Fn(f64, f64) -> f64) -> Grid<f32> {
    Grid::from_fn(SIZE, SIZE, |x, y| at(x as f64, y as f64) as f32)
}

fn inside_ring(ring: &[(f64, f64)], x: f64, y: f64) -> bool {
    let mut inside = false;
    for (a, b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        if (a.1 > y) != (b.1 > y) && x < a.0 + (y - a.1) / (b.1 - a.1) * (b.0 - a.0) {
            inside = !inside;
        }
    }
    inside
}

/// At the centre of pixel (x, y).
fn inside(x: f64, y: f64) -> bool {
    inside_ring(&OUTLINE, x + 0.5, y + 0.5) && !inside_ring(&HOLE, x + 0.5, y + 0.5)
}

/// The polygon as GeoJSON in map coordinates.
fn write_polygon(folder: &Folder, name: &str) {
    let ring = |points: &[(f64, f64)]| {
        let place = |p: &(f64, f64)| format!("[{},{}]", 500_000.0 + 10.0 * p.0, 4_000_000.0 - 10.0 * p.1);
        let all: Vec<String> = points.iter().chain(&points[..1]).map(place).collect();
        format!("[{}]", all.join(","))
    };
    let text = format!(
        r#"{{"type":"FeatureCollection","crs":{{"type":"name","properties":{{"name":"urn:ogc:def:crs:EPSG::32612"}}}},
        "features":[{{"type":"Feature","properties":{{}},"geometry":{{"type":"Polygon","coordinates":[{},{}]}}}}]}}"#,
        ring(&OUTLINE),
        ring(&HOLE)
    );
    std::fs::write(folder.path().join(name), text).unwrap();
}

fn displacement(folder: &Folder, out: &str, more: &[&str]) -> RasterFile {
    let arguments = [&["displacement", "pre.tif", "post.tif", out, "--units", "px"], more].concat();
    let (code, _, err) = run(folder, &arguments);
    assert_eq!(code, 0, "{err}");
    read_all_bands(&folder.file(out)).unwrap()
}

/// Ground that moves by (0.4, -0.3) pixels under clouds, which stand still in the map. The post image begins 30 pixels
/// further east.
fn cloudy(folder: &Folder) {
    let cloud = |x: f64, y: f64| 9000.0 + 3000.0 * hashed_noise(x as usize, y as usize, 5);
    write(folder, "pre.tif", 500_000.0, &image(|x, y| if inside(x, y) { cloud(x, y) } else { rough_at(x, y) }));
    let post = image(|x, y| match inside(x + 30.0, y) {
        true => cloud(x + 30.0, y),
        false => rough_at(x + 30.0 - 0.4, y + 0.3),
    });
    write(folder, "post.tif", 500_300.0, &post);
    write_polygon(folder, "clouds.geojson");
    write(folder, "clouds.tif", 500_000.0, &image(|x, y| f64::from(u8::from(inside(x, y)))));
}

#[test]
fn masked_places_are_left_out_of_both_images() {
    let folder = Folder::new();
    cloudy(&folder);
    for method in ["lsm", "frequency", "spatial", "dense"] {
        let options = ["--method", method, "--overwrite"];
        let layer = displacement(&folder, "layer.tif", &[&options[..], &["--mask", "clouds.geojson"]].concat());
        let raster = displacement(&folder, "raster.tif", &[&options[..], &["--mask", "clouds.tif"]].concat());
        let plain = displacement(&folder, "plain.tif", &options);
        for b in 0..6 {
            assert_eq!(layer.bands[b], raster.bands[b], "{method}");
        }
        let status = &layer.bands[5].values;
        let (mut bias, mut worst, mut n, mut spoilt) = ([0.0; 2], 0.0f64, 0.0, 0);
        for i in 0..status.data.len() {
            let error = |r: &RasterFile| {
                [f64::from(r.bands[0].values.data[i]) - 0.4, f64::from(r.bands[1].values.data[i]) - 0.3]
            };
            if plain.bands[5].values.data[i] == 0.0 && error(&plain).iter().any(|e| e.abs() > 0.2) {
                spoilt += 1;
            }
            if status.data[i] == Status::Valid as u8 as f32 {
                let e = error(&layer);
                (0..2).for_each(|k| bias[k] += e[k]);
                worst = worst.max(e[0].abs()).max(e[1].abs());
                n += 1.0;
            }
        }
        bias = bias.map(|b| b / n);
        println!("{method}: bias {bias:.4?}, worst {worst:.3}, {n} cells; without the mask {spoilt} are wrong");
        assert!(spoilt > 20, "the clouds should spoil cells");
        assert!(bias[0].abs() < 0.01 && bias[1].abs() < 0.01 && worst < 0.12);
        // Windows at (x, y) to (x + 32, y + 32): one in the cloud, one in the hole of the cloud, one outside.
        let at = |x: usize, y: usize| status.get(x / 8, y / 8);
        assert_eq!(at(88, 96), Status::NoData as u8 as f32);
        assert_eq!([at(136, 128), at(240, 240)], [0.0; 2]);
    }
}

#[test]
fn stable_ground_may_be_polygons() {
    let folder = Folder::new();
    let noisy = |k: u64, d: f64| image(move |x, y| rough_at(x - d, y) + 50.0 * hashed_noise(x as usize, y as usize, k));
    write(&folder, "pre.tif", 500_000.0, &noisy(1, 0.0));
    write(&folder, "post.tif", 500_000.0, &noisy(2, 0.2));
    write_polygon(&folder, "rock.geojson");
    write(&folder, "rock.tif", 500_000.0, &image(|x, y| f64::from(u8::from(inside(x, y)))));
    let layer = displacement(&folder, "layer.tif", &["--stable", "rock.geojson"]);
    let raster = displacement(&folder, "raster.tif", &["--stable", "rock.tif"]);
    let plain = displacement(&folder, "plain.tif", &[]);
    assert_eq!(layer.bands[3], raster.bands[3]);
    assert_ne!(layer.bands[3], plain.bands[3]);
}

#[test]
fn what_is_no_place_is_refused_in_words() {
    let folder = Folder::new();
    cloudy(&folder);
    std::fs::write(
        folder.path().join("line.geojson"),
        r#"{"type":"LineString","coordinates":[[500100,3999900],[500200,3999800]]}"#,
    )
    .unwrap();
    for (mask, word) in [("line.geojson", "none of its 1 features is a polygon"), ("gone.tif", "gone.tif")] {
        let (code, _, err) = run(&folder, &["displacement", "pre.tif", "post.tif", "x.tif", "--mask", mask]);
        assert!(code == 1 && err.contains(word), "{err}");
        assert!(!folder.path().join("x.tif").exists());
    }
}
