//! The shipped models: their cards, their size, and that ONNX Runtime gives here what PyTorch gave when they were exported.

use shiftmap::net::card::{Card, Kind};
use shiftmap::net::models::Model;
use shiftmap::net::session::{Input, Network};
use shiftmap::net::{DEFAULTS, NetOptions};
use shiftmap::synth::npy::{Array, Data, read_npz};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

fn models() -> Vec<Model> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    paths.sort();
    paths.iter().map(|p| Model::read(p.to_str().unwrap()).unwrap()).collect()
}

fn values(array: &Array) -> Vec<f32> {
    match &array.data {
        Data::F16(v) => v.iter().map(|v| v.to_f32()).collect(),
        Data::F32(v) => v.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn cards_are_complete_and_files_small() {
    let models = models();
    let mut total = 0;
    for model in &models {
        let Card { name, mae, training, .. } = &model.card;
        assert!(model.path.ends_with(&format!("/{name}.onnx")), "{name} in {}", model.path);
        assert!(*mae > 0.0 && training.len() > 20, "{name}");
        assert!(model.size < 6_000_000, "{name}: {} bytes", model.size);
        total += model.size;
    }
    assert!(total < 15_000_000, "{total} bytes");
    for (sensor, name) in DEFAULTS {
        assert!(models.iter().any(|m| m.card.name == name && m.card.sensor == sensor), "{name}");
    }
}

#[test]
fn shipped_models_give_the_stored_outputs() {
    if let Err(e) = shiftmap::net::runtime::load(None) {
        println!("skipped: {e}");
        return;
    }
    for model in models() {
        let name = &model.card.name;
        let stored = read_npz(&folder().join(format!("parity/{name}.npz"))).unwrap();
        let array = |name: &str| stored.iter().find(|(n, _)| n == name).map(|(_, a)| a);
        let names: &[&'static str] = match (model.card.kind, model.card.front_end) {
            (Kind::InsarGnss, _) => &["insar", "dem", "gnss", "classical"],
            (_, Some(_)) => &["features", "evidence"],
            (_, None) => &["pair"],
        };
        let mut network = Network::new(&model, &NetOptions::default()).unwrap();
        let expected = array("displacement").unwrap();
        let given: Vec<_> = names.iter().filter_map(|n| Some((*n, &array(n)?.shape, values(array(n)?)))).collect();
        let inputs: Vec<Input> =
            given.iter().map(|(name, shape, values)| Input { name, shape: shape.to_vec(), values }).collect();
        let got = network.run(&inputs, &expected.shape).unwrap();
        assert_eq!(model.card.kind == Kind::Window, expected.shape.len() == 2, "{name}");
        let worst = |a: &[f32], b: &[f32]| a.iter().zip(b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst(&got.displacement, &values(expected)) < 1e-4, "{name}");
        assert_eq!(got.log_scale.is_some(), array("log_scale").is_some(), "{name}");
        // A look backwards alone says too little.
        let level = model.card.sigma.is_some();
        assert!(model.card.kind == Kind::InsarGnss || level != got.log_scale.is_some(), "{name}");
        if let (Some(got), Some(expected)) = (&got.log_scale, array("log_scale")) {
            assert!(worst(got, &values(expected)) < 1e-3, "{name}");
        }
    }
}

/// Where nobody names sensor or model, the speckle of the images decides, and the user hears of it.
#[test]
fn the_sensor_is_told_from_the_images() {
    if let Err(e) = shiftmap::net::runtime::load(None) {
        println!("skipped: {e}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = |words: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("shiftmap").unwrap();
        command.current_dir(folder.path()).args(words).output().unwrap()
    };
    for (preset, sensor, model) in [("sar", "sar", "flk-sar"), ("real", "optical", "flk")] {
        assert!(
            run(&["synth", "pair", preset, "--preset", preset, "--size", "160", "--seed", "5", "-q"]).status.success()
        );
        let (pre, post) = (format!("{preset}/pre.tif"), format!("{preset}/post.tif"));
        let (auto, given) = (format!("{preset}-auto.tif"), format!("{preset}-given.tif"));
        let common = ["--method", "net", "--window", "33", "--step", "8", "--overwrite"];
        let found = run(&[&["displacement", &pre, &post, &auto], &common[..]].concat());
        let said = String::from_utf8_lossy(&found.stderr).into_owned() + &String::from_utf8_lossy(&found.stdout);
        assert!(found.status.success(), "{said}");
        let wanted = format!("so the network is {model};");
        assert!(said.contains(&format!("sensor: {sensor} (")) && said.contains(&wanted), "{said}");
        let named = run(&[&["displacement", &pre, &post, &given, "--sensor", sensor], &common[..]].concat());
        assert!(named.status.success() && !String::from_utf8_lossy(&named.stderr).contains("sensor:"));
        let read = |path: &str| {
            let data = gdal::Dataset::open(folder.path().join(path)).unwrap();
            data.rasterband(1).unwrap().read_as::<f32>((0, 0), data.raster_size(), data.raster_size(), None).unwrap()
        };
        assert_eq!(
            read(&auto).data().iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
            read(&given).data().iter().map(|v| v.to_bits()).collect::<Vec<_>>()
        );
    }
    let wrong = run(&["displacement", "real/pre.tif", "real/post.tif", "x.tif", "--sensor", "sar"]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && said.contains("--sensor") && said.contains("only --method net"), "{said}");
}
