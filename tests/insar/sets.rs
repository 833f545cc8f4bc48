//! Sets: the same bytes again, resumed, readable.

use crate::common::{Folder, run};
use shiftmap::synth::npy::{Data, read_npz};
use std::collections::BTreeMap;
use std::path::Path;

fn content(folder: &str) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut pending = vec![std::path::PathBuf::from(folder)];
    while let Some(at) = pending.pop() {
        for entry in std::fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_string();
                out.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    out
}

const OPTIONS: [&str; 10] =
    ["--count", "10", "--shard", "3", "--size", "48", "--source", "mixed", "--split", "0.6,0.2,0.2"];

fn set(folder: &Folder, name: &str, more: &[&str]) {
    let (code, _, error) = run(folder, &[&["synth", "insar", name, "-q"], &OPTIONS[..], more].concat());
    assert_eq!(code, 0, "{error}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads_and_in_pieces() {
    let folder = Folder::new();
    for format in ["shards", "tif"] {
        let name = |k: &str| format!("{format}-{k}");
        set(&folder, &name("a"), &["--format", format, "--threads", "1"]);
        set(&folder, &name("b"), &["--format", format, "--threads", "3"]);
        let a = content(&folder.file(&name("a")));
        assert!(a.keys().any(|n| n.starts_with("train/")) && a.keys().any(|n| n.starts_with("test/")));
        assert!(a == content(&folder.file(&name("b"))), "{format}");
        // A run that was stopped: some files are missing, one is half done.
        let b = folder.file(&name("b"));
        let lost = Path::new(&b).join(a.keys().find(|n| n.starts_with("train/") && !n.ends_with("json")).unwrap());
        match format {
            "tif" => std::fs::remove_dir_all(lost.parent().unwrap()).unwrap(),
            _ => std::fs::remove_file(&lost).unwrap(),
        }
        std::fs::write(Path::new(&b).join("train/.unfinished-x"), "half").unwrap();
        std::fs::remove_file(Path::new(&b).join("index.json")).unwrap();
        set(&folder, &name("b"), &["--format", format, "--threads", "2"]);
        assert!(a == content(&b), "{format} in pieces");
        set(&folder, &name("c"), &["--format", format, "--seed", "2"]);
        assert!(a != content(&folder.file(&name("c"))));
    }
    let (code, _, error) = run(&folder, &["synth", "insar", "shards-a", "--count", "11"]);
    assert!(code == 1 && error.contains("another set"), "{error}");
}

#[test]
fn shards_hold_what_the_files_of_an_event_hold() {
    let folder = Folder::new();
    set(&folder, "set", &[]);
    let path = folder.file("set/train/shard-00000.npz");
    let arrays: BTreeMap<String, _> = read_npz(Path::new(&path)).unwrap().into_iter().collect();
    let records: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.file("set/train/shard-00000.json")).unwrap()).unwrap();
    let seed = records[1]["seed"].to_string();
    // The seed of a record makes the event again, alone.
    let (code, _, error) =
        run(&folder, &["synth", "insar", "event", "--seed", &seed, "--size", "48", "--source", "mixed", "-q"]);
    assert_eq!(code, 0, "{error}");
    let shapes = [
        ("los", vec![3, 2, 48, 48]),
        ("unit", vec![3, 6, 48, 48]),
        ("dem", vec![3, 48, 48]),
        ("gnss", vec![3, 3, 48, 48]),
        ("gnss_sigma", vec![3, 3, 48, 48]),
        ("station", vec![3, 48, 48]),
        ("truth", vec![3, 3, 48, 48]),
    ];
    for (name, shape) in shapes {
        assert_eq!(arrays[name].shape, shape, "{name}");
    }
    let layer = |name: &str, layer: usize| -> Vec<f32> {
        let Data::F32(values) = &arrays[name].data else { panic!("{name}") };
        let layers = values.len() / (3 * 48 * 48);
        values[(layers + layer) * 48 * 48..][..48 * 48].to_vec()
    };
    let file = |name: &str, band: usize| {
        let band = shiftmap::raster::read_all_bands(&folder.file(&format!("event/{name}"))).unwrap().bands.remove(band);
        let values = band.values.data.iter().zip(&band.valid.data).map(|(v, ok)| if *ok { *v } else { f32::NAN });
        values.collect::<Vec<f32>>()
    };
    let same = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
    assert!(same(layer("los", 1), file("los-descending.tif", 0)));
    assert!(same(layer("unit", 4), file("unit-descending.tif", 1)));
    assert!(same(layer("truth", 2), file("truth.tif", 2)));
    assert!(same(layer("dem", 0), file("dem.tif", 0)));
    let stations = layer("station", 0).iter().filter(|v| **v == 1.0).count() as u64;
    assert!(stations > 0 && stations <= records[1]["stations"].as_u64().unwrap());
    let sigma = layer("gnss_sigma", 0);
    assert!(layer("station", 0).iter().zip(&sigma).all(|(s, v)| (*s == 1.0) == (*v > 0.0)));
}
