//! What the product says about itself: outliers, the check backwards, calibrated sigma, the precision map.

mod common;

use common::{Folder, hashed_noise, rough_at, run, utm};
use shiftmap::field::Status;
use shiftmap::grid::Grid;
use shiftmap::raster::{PixelType, read_all_bands, write_image};

const SIZE: usize = 640;

fn write(folder: &Folder, name: &str, values: &Grid<f32>) {
    let place = utm(500_000.0, 4_000_000.0);
    write_image(&folder.file(name), values, PixelType::F32, None, Some(&place), true).unwrap();
}

fn image(at: impl Fn(usize, usize) -> f64) -> Grid<f32> {
    Grid::from_fn(SIZE, SIZE, |x, y| at(x, y) as f32)
}

/// Counts by status.
fn statuses(folder: &Folder, name: &str) -> [usize; 8] {
    let mut count = [0; 8];
    for &s in &read_all_bands(&folder.file(name)).unwrap().bands[5].values.data {
        count[s as usize] += 1;
    }
    count
}

fn displacement(folder: &Folder, out: &str, more: &[&str]) -> String {
    let arguments = [&["displacement", "pre.tif", "post.tif", out], more].concat();
    let (code, _, err) = run(folder, &arguments);
    assert_eq!(code, 0, "{err}");
    err
}

/// A pair moved by (0.4, -0.3) pixels except for a square of 200 pixels that shows something else.
fn changed_square(folder: &Folder) {
    write(folder, "pre.tif", &image(|x, y| rough_at(x as f64, y as f64)));
    let other = |x: usize, y: usize| (220..420).contains(&x) && (220..420).contains(&y);
    write(
        folder,
        "post.tif",
        &image(|x, y| {
            let far = if other(x, y) { 9000.0 } else { 0.0 };
            rough_at(x as f64 - 0.4 + far, y as f64 + 0.3)
        }),
    );
}

/// Valid cells with an error above half a pixel.
fn wrong(folder: &Folder, name: &str) -> usize {
    let product = read_all_bands(&folder.file(name)).unwrap();
    let (east, north, status) = (&product.bands[0].values, &product.bands[1].values, &product.bands[5].values);
    (0..status.data.len())
        .filter(|&i| status.data[i] == 0.0)
        .filter(|&i| (east.data[i] - 4.0).abs().max((north.data[i] - 3.0).abs()) > 5.0)
        .count()
}

#[test]
fn changed_ground_is_rejected_by_the_neighbourhood_and_by_the_check_backwards() {
    let folder = Folder::new();
    changed_square(&folder);
    // `lsm` and `spatial` refuse such ground by themselves.
    displacement(&folder, "kept.tif", &["--outliers", "keep", "--method", "frequency", "--window", "16"]);
    displacement(&folder, "rejected.tif", &["--method", "frequency", "--window", "16"]);
    displacement(
        &folder,
        "checked.tif",
        &["--outliers", "keep", "--backward", "--method", "frequency", "--window", "16"],
    );
    displacement(&folder, "both.tif", &["--backward=0.3", "--method", "frequency", "--window", "16"]);
    let of = |name: &str| (wrong(&folder, name), statuses(&folder, name));
    let (kept, rejected, checked, both) = (of("kept.tif"), of("rejected.tif"), of("checked.tif"), of("both.tif"));
    println!("kept {kept:?}\nrejected {rejected:?}\nchecked {checked:?}\nboth {both:?}");
    assert_eq!(kept.1[Status::Outlier as usize] + kept.1[Status::Inconsistent as usize], 0);
    assert!(kept.0 > 50, "the square should give wrong matches to reject");
    assert!(rejected.0 * 5 < kept.0 && rejected.1[Status::Outlier as usize] > 20);
    assert!(checked.0 * 2 < kept.0 && checked.1[Status::Inconsistent as usize] > 20);
    assert!(both.0 <= rejected.0.min(checked.0));
    // Unchanged ground stays: all but the square and the windows that reach into it.
    let square = (200 / 8 + 4) * (200 / 8 + 4);
    assert!(both.1[0] + square > kept.1[0] + kept.0 - 40, "{both:?}");
}

#[test]
fn every_check_gives_the_same_bytes_for_threads_and_regions() {
    let folder = Folder::new();
    changed_square(&folder);
    let options = ["--backward", "--window", "16,32", "--search", "14", "--stable", "auto"];
    displacement(&folder, "one.tif", &[&options[..], &["--threads", "1"]].concat());
    displacement(&folder, "two.tif", &[&options[..], &["--threads", "2"]].concat());
    displacement(&folder, "part.tif", &[&options[..], &["--region", "160", "240", "240", "160"]].concat());
    let (one, two) =
        (read_all_bands(&folder.file("one.tif")).unwrap(), read_all_bands(&folder.file("two.tif")).unwrap());
    let part = read_all_bands(&folder.file("part.tif")).unwrap();
    for b in 0..6 {
        assert_eq!(one.bands[b], two.bands[b]);
        let inside = shiftmap::grid::Window::new(20, 30, 30, 20);
        assert_eq!(one.bands[b].values.crop(inside), part.bands[b].values);
    }
}

/// Ground that stands still but is seen with small wandering displacements, as relief seen from two orbits.
#[test]
fn sigma_is_calibrated_on_stable_ground() {
    let folder = Folder::new();
    write(&folder, "pre.tif", &image(|x, y| rough_at(x as f64, y as f64)));
    let wander = |x: f64, y: f64| 0.03 * ((0.11 * x + 0.07 * y).sin() + (0.05 * x - 0.13 * y + 1.0).sin());
    write(
        &folder,
        "post.tif",
        &image(|x, y| {
            let (x, y) = (x as f64, y as f64);
            rough_at(x - 0.25 - wander(x, y), y - wander(y, x))
        }),
    );
    // The left half is known to be stable.
    write(&folder, "rock.tif", &image(|x, _| if x < 320 { 1.0 } else { 0.0 }));
    let robust_z = |name: &str| {
        let p = read_all_bands(&folder.file(name)).unwrap();
        let (d, s) = (&p.bands[0].values.data, &p.bands[3].values.data);
        let mut values: Vec<f32> =
            d.iter().zip(&p.bands[5].values.data).filter(|v| *v.1 == 0.0).map(|v| *v.0).collect();
        values.sort_by(f32::total_cmp);
        let middle = values[values.len() / 2];
        let right = |i: usize| i % 80 > 42 && p.bands[5].values.data[i] == 0.0;
        let mut z: Vec<f32> = (0..d.len()).filter(|&i| right(i)).map(|i| ((d[i] - middle) / s[i]).abs()).collect();
        z.sort_by(f32::total_cmp);
        1.4826 * z[z.len() / 2]
    };
    displacement(&folder, "plain.tif", &[]);
    let said = displacement(&folder, "rock_map.tif", &["--stable", "rock.tif"]);
    let auto = displacement(&folder, "auto.tif", &["--stable", "auto"]);
    let (plain, rock, by_itself) = (robust_z("plain.tif"), robust_z("rock_map.tif"), robust_z("auto.tif"));
    println!("z of the right half: plain {plain:.2}, rock {rock:.2}, auto {by_itself:.2}\n{said}{auto}");
    assert!(plain > 2.0 && (0.8..1.25).contains(&rock) && (0.7..1.3).contains(&by_itself));
    assert!(said.contains("cells on stable ground") && said.contains("median displacement of the stable ground: 0.2"));
    let (code, _, err) = run(&folder, &["displacement", "pre.tif", "post.tif", "x.tif", "--stable", "nowhere.tif"]);
    assert!(code == 1 && err.contains("nowhere.tif"), "{err}");
    write(&folder, "none.tif", &image(|_, _| 0.0));
    let (code, _, err) = run(&folder, &["displacement", "pre.tif", "post.tif", "x.tif", "--stable", "none.tif"]);
    assert!(code == 1 && err.contains("only 0 measured cells"), "{err}");
}

#[test]
fn the_precision_map_foretells_the_error() {
    let folder = Folder::new();
    // Texture that is weaker to the right, noise of 60 units on both images.
    let texture = |x: f64, y: f64| (1.0 - 0.7 * x / SIZE as f64) * (rough_at(x, y) - 4000.0);
    let noisy =
        |k: u64, d: f64| image(move |x, y| 4000.0 + texture(x as f64 - d, y as f64) + 60.0 * hashed_noise(x, y, k));
    write(&folder, "pre.tif", &noisy(1, 0.0));
    write(&folder, "post.tif", &noisy(2, 0.3));
    let (code, out, err) = run(&folder, &["precision", "pre.tif", "post.tif", "bound.tif", "--units", "px", "--json"]);
    assert_eq!(code, 0, "{err}");
    displacement(&folder, "map.tif", &["--units", "px"]);
    let bound = read_all_bands(&folder.file("bound.tif")).unwrap();
    let map = read_all_bands(&folder.file("map.tif")).unwrap();
    assert_eq!(bound.descriptions, ["East sigma", "North sigma", "Status"]);
    let mut medians = Vec::new();
    for half in [0..40usize, 40..80] {
        let cells: Vec<usize> = (0..6400)
            .filter(|i| {
                half.contains(&(i % 80)) && map.bands[5].values.data[*i] == 0.0 && bound.bands[2].values.data[*i] == 0.0
            })
            .collect();
        let rms = |f: &dyn Fn(usize) -> f32| {
            (cells.iter().map(|&i| f64::from(f(i)).powi(2)).sum::<f64>() / cells.len() as f64).sqrt()
        };
        let foretold = rms(&|i| bound.bands[0].values.data[i]);
        let error = rms(&|i| map.bands[0].values.data[i] - 0.3 - 0.0);
        let stated = rms(&|i| map.bands[3].values.data[i]);
        println!("foretold {foretold:.4}, error {error:.4}, stated sigma {stated:.4} ({} cells)", cells.len());
        assert!(error > 0.8 * foretold && error < 1.3 * foretold);
        medians.push(foretold);
    }
    assert!(medians[1] > 1.3 * medians[0], "weaker texture must show");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(json["median_sigma"][0].as_f64().unwrap() > 0.0);
}
