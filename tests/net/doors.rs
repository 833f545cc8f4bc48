//! The same network through the C interface and the GDAL driver.

use super::{model, runtime};
use crate::common::{Folder, run, write_pair};
use shiftmap::capi::context::*;
use shiftmap::capi::displacement::shiftmap_displacement;
use shiftmap::raster::read_all_bands;
use std::ffi::{CStr, CString, c_char};
use std::process::Command;
use std::ptr::{null, null_mut};

/// A pair and the command line's map of it.
fn mapped() -> Folder {
    let folder = Folder::new();
    write_pair(&folder, (300, 200), 0.4, -0.3);
    let model = model("matcher");
    let arguments = ["displacement", "pre.tif", "post.tif", "cli.tif", "--method", "net", "--model", &model];
    let more = ["--net-passes", "2", "--window", "17", "--step", "4", "--search", "1", "--quiet"];
    let (code, _, error) = run(&folder, &[&arguments[..], &more[..]].concat());
    assert_eq!(code, 0, "{error}");
    folder
}

fn same(folder: &Folder, a: &str, b: &str) {
    let bits = |name: &str| -> Vec<u32> {
        read_all_bands(&folder.file(name))
            .unwrap()
            .bands
            .iter()
            .flat_map(|g| g.values.data.iter().map(|v| v.to_bits()))
            .collect()
    };
    assert!(bits(a) == bits(b), "{a} and {b} differ");
}

/// Calls the C function; its code and message.
fn call(folder: &Folder, out: &str, options: &[String]) -> (i32, String) {
    let texts: Vec<CString> = options.iter().map(|o| CString::new(o.as_str()).unwrap()).collect();
    let mut list: Vec<*const c_char> = texts.iter().map(|t| t.as_ptr()).collect();
    list.push(null());
    let path = |name: &str| CString::new(folder.file(name)).unwrap();
    let (pre, post, out) = (path("pre.tif"), path("post.tif"), path(out));
    let ctx = shiftmap_context_new();
    // SAFETY: everything lives until the end of the block.
    unsafe {
        let code =
            shiftmap_displacement(ctx, pre.as_ptr(), post.as_ptr(), out.as_ptr(), list.as_ptr(), None, null_mut());
        let text = CStr::from_ptr(shiftmap_last_error(ctx)).to_string_lossy().into_owned();
        shiftmap_context_free(ctx);
        (code, text)
    }
}

#[test]
fn the_c_interface_takes_method_model_and_onnxruntime() {
    if !runtime() {
        return;
    }
    let folder = mapped();
    let library = shiftmap::net::runtime::load(None).unwrap().library;
    let mut options: Vec<String> =
        ["METHOD=NET", "NET_PASSES=2", "WINDOW=17", "STEP=4", "SEARCH=1"].map(String::from).into();
    options[0] = "METHOD=net".into();
    options.push(format!("MODEL={}", model("matcher")));
    options.push(format!("ONNXRUNTIME={}", library.display()));
    assert_eq!(call(&folder, "c.tif", &options), (0, String::new()));
    same(&folder, "cli.tif", "c.tif");
    options.pop();
    options.push(format!("ONNXRUNTIME={}", folder.path().display()));
    let (code, text) = call(&folder, "other.tif", &options);
    assert!(code != 0 && text.contains("uses") && text.contains("ONNXRUNTIME="), "{text}");
    options.pop();
    options.push("DEVICE=cuda:x".into());
    let (code, text) = call(&folder, "other.tif", &options);
    assert!(code != 0 && text.starts_with("DEVICE=cuda:x: "), "{text}");
    assert!(!folder.names().contains(&"other.tif".to_string()));
}

#[test]
fn the_driver_runs_networks() {
    if !runtime() {
        return;
    }
    let folder = mapped();
    let plugins = folder.file("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let library = std::env::current_exe().unwrap().parent().unwrap().join("libshiftmap.so");
    std::os::unix::fs::symlink(library, format!("{plugins}/gdal_SHIFTMAP.so")).unwrap();
    std::fs::copy(model("matcher"), folder.file("mine.onnx")).unwrap();
    let job = "shiftmap 1\npre=pre.tif\npost=post.tif\nmethod=net\nmodel=mine.onnx\nnet_passes=2\nwindow=17\nstep=4\nsearch=1\n";
    std::fs::write(folder.file("job.shiftmap"), job).unwrap();
    let translate = |source: &str, out: &str| {
        let mut command = Command::new("gdal_translate");
        command.args(["-q", source, out]).env("GDAL_DRIVER_PATH", &plugins);
        // Another folder than the job file's: its paths count from its own.
        command.current_dir(&plugins).output().unwrap()
    };
    let out = translate(&folder.file("job.shiftmap"), &folder.file("driver.tif"));
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    same(&folder, "cli.tif", "driver.tif");
    std::fs::write(folder.file("job.shiftmap"), job.replace("mine.onnx", "gone.onnx")).unwrap();
    let out = translate(&folder.file("job.shiftmap"), &folder.file("none.tif"));
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && text.contains("gone.onnx") && text.contains("no model file"), "{text}");
}
