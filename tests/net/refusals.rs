//! What cannot be done is said in words, and nothing is left behind.

use super::{model, runtime};
use crate::common::{Folder, gdal, gdalinfo, names, run, shiftmap, write_pair};
use std::process::Command;

fn pair() -> Folder {
    let folder = Folder::new();
    write_pair(&folder, (200, 160), 0.4, -0.3);
    folder
}

/// Runs `displacement --method net` and expects a failure that says all of `words` in one line.
fn fails(folder: &Folder, command: &mut Command, words: &[&str]) -> String {
    let before = folder.names();
    let out = command.output().unwrap();
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{text}");
    let line = text.lines().find(|l| l.starts_with("ERROR: ")).unwrap_or_else(|| panic!("{text}")).to_string();
    for word in words {
        assert!(line.contains(word), "`{word}` is not in {line}");
    }
    assert_eq!(names(folder.path()), before);
    line
}

fn net(folder: &Folder, more: &[&str]) -> Command {
    let mut arguments = vec!["displacement", "pre.tif", "post.tif", "map.tif", "--method", "net", "--search", "2"];
    arguments.extend(more);
    shiftmap(folder, &arguments)
}

#[test]
fn a_missing_onnx_runtime_is_said_with_the_remedy() {
    let folder = pair();
    let constant = model("constant");
    let nowhere = folder.file("nowhere");
    let words = ["no such file or folder", "pip install --target", "--onnxruntime FOLDER"];
    fails(&folder, &mut net(&folder, &["--model", &constant, "--onnxruntime", &nowhere]), &words);
    std::fs::create_dir(&nowhere).unwrap();
    let words = ["there is no ONNX Runtime library"];
    fails(&folder, &mut net(&folder, &["--model", &constant, "--onnxruntime", &nowhere]), &words);
    let words = ["ORT_DYLIB_PATH", "there is no ONNX Runtime library"];
    fails(&folder, net(&folder, &["--model", &constant]).env("ORT_DYLIB_PATH", &nowhere), &words);
    std::fs::write(folder.file("nowhere/libonnxruntime.so.1.20.0"), "not a library").unwrap();
    let words = ["libonnxruntime.so.1.20.0 cannot be loaded"];
    fails(&folder, &mut net(&folder, &["--model", &constant, "--onnxruntime", &nowhere]), &words);
    // Everything else works.
    let (code, _, error) = run(&folder, &["displacement", "pre.tif", "post.tif", "map.tif"]);
    assert_eq!((code, error.contains("ERROR")), (0, false), "{error}");
    let out = shiftmap(&folder, &["info"]).env("ORT_DYLIB_PATH", &nowhere).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && text.contains("ONNX Runtime: ORT_DYLIB_PATH"), "{text}");
    let out = shiftmap(&folder, &["model", "info", &constant]).env("ORT_DYLIB_PATH", &nowhere).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && text.contains("kind: dense") && text.contains("runs here: no"), "{text}");
}

/// A library of another version and one that is not ONNX Runtime, compiled here.
#[test]
fn other_libraries_are_refused() {
    let folder = pair();
    let old = "struct base { const void *(*api)(unsigned); const char *(*version)(void); };\n\
               static const void *api(unsigned v) { (void)v; return 0; }\n\
               static const char *version(void) { return \"1.10.0\"; }\n\
               static const struct base it = { api, version };\n\
               const struct base *OrtGetApiBase(void) { return &it; }\n";
    for (name, text, words) in [
        ("old.so", old, ["old.so is version 1.10.0, 1.19 or newer is needed", "pip install"]),
        ("other.so", "int other(void) { return 1; }\n", ["other.so is not ONNX Runtime", "pip install"]),
    ] {
        let (source, library) = (folder.file("library.c"), folder.file(name));
        std::fs::write(&source, text).unwrap();
        let made = Command::new("cc").args(["-shared", "-fPIC", "-o", &library, &source]).status();
        if !made.is_ok_and(|s| s.success()) {
            println!("skipped: no C compiler");
            return;
        }
        fails(&folder, &mut net(&folder, &["--model", &model("constant"), "--onnxruntime", &library]), &words);
    }
}

#[test]
fn models_that_are_none_are_refused() {
    let folder = pair();
    let refuse = |name: &str, words: &[&str]| {
        fails(&folder, &mut net(&folder, &["--model", name]), words);
    };
    refuse("no_such_net", &["--model no_such_net: no such model"]);
    refuse("gone.onnx", &["gone.onnx", "no model file"]);
    refuse("pre.tif", &["not an ONNX model"]);
    let bytes = std::fs::read(model("constant")).unwrap();
    std::fs::write(folder.file("cut.onnx"), &bytes[..bytes.len() / 2]).unwrap();
    refuse("cut.onnx", &["cut.onnx", "damaged or cut short"]);
    refuse(&model("nocard"), &["nocard.onnx", "no card", "shiftmap.contract"]);
    refuse(&model("lacking"), &["lacks the key shiftmap.halo"]);
    refuse(&model("unknown"), &["unknown key shiftmap.colour"]);
    refuse(&model("opset"), &["opset 18", "up to 17"]);
    refuse(&model("insar"), &["insar_gnss", "not two images"]);
    let words = ["--model", "only --method net"];
    let arguments = ["displacement", "pre.tif", "post.tif", "map.tif", "--model", "constant"];
    fails(&folder, &mut shiftmap(&folder, &arguments), &words);
}

#[test]
fn graphs_and_options_that_do_not_fit_are_refused() {
    if !runtime() {
        return;
    }
    let folder = pair();
    let refuse = |name: &str, more: &[&str], words: &[&str]| {
        let file = model(name);
        let mut arguments = vec!["--model", &file];
        arguments.extend(more);
        fails(&folder, &mut net(&folder, &arguments), words);
    };
    // Zeros in the middle of the graph: the frame of the file stays whole.
    let mut bytes = std::fs::read(model("constant")).unwrap();
    let at = bytes.windows(3).position(|w| w == b"Mul").unwrap();
    bytes[at..at + 3].copy_from_slice(b"Xyz");
    std::fs::write(folder.file("graph.onnx"), &bytes).unwrap();
    fails(&folder, &mut net(&folder, &["--model", "graph.onnx"]), &["graph.onnx", "ONNX Runtime", "cannot use it"]);
    refuse("bands", &[], &["--band 1 band: the network bands 1.0 takes 3 bands", "--band 1,2,3"]);
    refuse("nan", &[], &["nan 1.0", "nan.onnx", "NaN", "weights are damaged"]);
    refuse("huge", &[], &["the network huge 1.0 failed", "--net-tile"]);
    refuse("little", &[], &["its input `evidence` has 20 channels instead of 33"]);
    refuse("constant", &["--device", "cuda"], &["--device cuda", "was not built for it", "onnxruntime-gpu"]);
    refuse("constant", &["--device", "abacus"], &["--device abacus", "cpu, cuda"]);
    refuse("constant", &["--net-passes", "0"], &["--net-passes 0"]);
    refuse("constant", &["--net-tile", "100"], &["--net-tile 100", "multiple of 8"]);
    refuse("window_values", &["--net-average"], &["--net-average", "leave it out"]);
    refuse("constant", &["--window", "16,32"], &["--window 32x32", "give one --window"]);
    refuse("constant", &["--shape", "affine"], &["--shape affine"]);
    gdal("gdal_translate", &["-q", "-b", "1", "-b", "1", &folder.file("pre.tif"), &folder.file("two.tif")]);
    let arguments = ["displacement", "two.tif", "two.tif", "map.tif", "--method", "net", "--model"];
    let constant = model("constant");
    let mut both = arguments.to_vec();
    both.extend([constant.as_str(), "--band", "1,2"]);
    fails(&folder, &mut shiftmap(&folder, &both), &["--band 2 bands", "takes 1 band;"]);
}

/// Command line, job file and list of models, end to end.
#[test]
fn products_say_which_network_made_them() {
    if !runtime() {
        return;
    }
    let folder = pair();
    std::fs::create_dir(folder.file("models")).unwrap();
    std::fs::copy(model("matcher"), folder.file("models/mine.onnx")).unwrap();
    std::fs::copy(model("nocard"), folder.file("models/bad.onnx")).unwrap();
    let with_models = |arguments: &[&str]| {
        let out = shiftmap(&folder, arguments).env("SHIFTMAP_MODELS", folder.file("models")).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        text
    };
    let text = with_models(&["model", "list"]);
    assert!(text.contains("mine") && text.contains("bad") && text.contains("unusable"), "{text}");
    let text = with_models(&["model", "info", "mine", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["card"]["halo"], &json["card"]["kind"]), (&24.into(), &"dense".into()), "{json}");
    assert!(json["trouble"].is_null(), "{json}");
    let mut arguments = vec!["displacement", "pre.tif", "post.tif", "map.tif", "--method", "net", "--model", "mine"];
    arguments.extend(["--net-passes", "2", "--window", "17", "--step", "4", "--search", "1"]);
    with_models(&arguments);
    let info = gdalinfo(&folder.file("map.tif"));
    let metadata = &info["metadata"]["SHIFTMAP"];
    assert_eq!(metadata["METHOD"], "net", "{metadata}");
    assert_eq!(metadata["MODEL"], "matcher");
    assert_eq!(metadata["NET_PASSES"], "2");
    assert!(metadata["COMMAND"].as_str().unwrap().contains("--model mine --net-passes 2"), "{metadata}");
    assert_eq!(metadata["MODEL_SHA256"].as_str().map(str::len), Some(64));
    // A network for windows decides their size and says so.
    let file = model("window_matcher");
    let out = net(&folder, &["--model", &file, "--overwrite", "--window", "16"]).output().unwrap();
    let text = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success() && text.contains("32 x 32 pixels: --window 32"), "{text}");
    let info = gdalinfo(&folder.file("map.tif"));
    assert_eq!(info["metadata"]["SHIFTMAP"]["WINDOW"], "32x32");
}
