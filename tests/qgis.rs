//! The QGIS provider in QGIS itself: `qgis_process`, PyQGIS and the desktop, each in a throw-away profile.

mod common;

use common::*;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A profile with the plugin and this build's library, and a pair with its product as the command line makes it.
struct Qgis {
    folder: Folder,
}

impl Qgis {
    /// `None`, and a line that says so, where QGIS is not installed.
    fn new(pair: &[&str]) -> Option<Qgis> {
        let python = Command::new("/usr/bin/python3").args(["-c", "import qgis.core, osgeo.gdal"]).output();
        if process().is_none() || !python.is_ok_and(|o| o.status.success()) {
            println!("skipped: QGIS with its Python modules is not installed (make qgis-packages)");
            return None;
        }
        let qgis = Qgis { folder: Folder::new() };
        let install = Command::new(root().join("packaging/qgis.sh"))
            .args(["install", qgis.folder.file("profile/profiles/default").as_str()])
            .env("LIBRARY", library())
            .output()
            .unwrap();
        assert!(install.status.success(), "{}", text(&install));
        if !pair.is_empty() {
            let mut arguments = vec!["synth", "pair", "pair", "--quiet"];
            arguments.extend(pair);
            qgis.shiftmap(&arguments);
            qgis.shiftmap(&["displacement", "pair/pre.tif", "pair/post.tif", "pair/map.tif", "--quiet"]);
        }
        Some(qgis)
    }

    fn shiftmap(&self, arguments: &[&str]) {
        let (code, out, err) = run(&self.folder, arguments);
        assert_eq!(code, 0, "{arguments:?}: {out}{err}");
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let runtime = self.folder.path().join("runtime");
        std::fs::create_dir_all(&runtime).unwrap();
        // Qt wants it for the user alone.
        std::fs::set_permissions(&runtime, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let mut command = Command::new(program);
        command.current_dir(self.folder.path());
        command.env("QGIS_CUSTOM_CONFIG_PATH", self.folder.path().join("profile"));
        command.env("XDG_RUNTIME_DIR", runtime).env("HOME", self.folder.path());
        command.env("QT_QPA_PLATFORM", "offscreen").env_remove("SHIFTMAP_LIBRARY").env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Runs `qgis_process run shiftmap:ALGORITHM`; whether it succeeded, and what it said.
    fn process(&self, algorithm: &str, parameters: &[&str]) -> (bool, String) {
        let mut command = self.command(process().unwrap());
        command.args(["run", &format!("shiftmap:{algorithm}"), "--"]).args(parameters);
        let out = command.output().unwrap();
        (out.status.success(), text(&out))
    }

    fn succeeds(&self, algorithm: &str, parameters: &[&str]) -> String {
        let (fine, said) = self.process(algorithm, parameters);
        assert!(fine && !said.contains("Traceback"), "{algorithm} {parameters:?}: {said}");
        said
    }

    fn enable(&self) {
        let out = self.command(process().unwrap()).args(["plugins", "enable", "shiftmap"]).output().unwrap();
        assert!(out.status.success(), "{}", text(&out));
    }

    fn same(&self, a: &str, b: &str) {
        let read = |name: &str| std::fs::read(self.folder.path().join(name)).unwrap();
        assert!(read(a) == read(b), "{a} is not {b}");
    }
}

/// The program behind Debian's wrapper, which passes an option that it does not know itself.
fn process() -> Option<&'static str> {
    ["qgis_process.bin", "qgis_process"].into_iter().find(|p| {
        let mut command = Command::new(p);
        command.env("QT_QPA_PLATFORM", "offscreen").arg("--version").output().is_ok()
    })
}

fn library() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().join("libshiftmap.so")
}

fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn every_algorithm_runs_in_qgis_process() {
    let Some(qgis) = Qgis::new(&["--preset", "real", "--size", "320"]) else { return };
    qgis.enable();
    let pair = ["REFERENCE=pair/pre.tif", "SECONDARY=pair/post.tif"];
    let with = |more: &[&'static str]| [&pair[..], more].concat();
    let said = qgis.succeeds("displacement_lsm", &with(&["OUTPUT=lsm.tif"]));
    assert!(said.contains("VALID_SHARE") && said.contains("shiftmap displacement"), "{said}");
    qgis.same("lsm.tif", "pair/map.tif");
    for method in ["frequency", "spatial", "dense", "regularized"] {
        let list = text(&qgis.command(process().unwrap()).arg("list").output().unwrap());
        if !list.contains(&format!("shiftmap:displacement_{method}")) {
            assert_eq!(method, "regularized", "{list}");
            continue;
        }
        let (output, step) = (format!("OUTPUT={method}.tif"), ["STEP=16", "WINDOW=33"]);
        let mut all: Vec<&str> = with(&[]);
        all.extend([output.as_str(), step[0], step[1]]);
        qgis.succeeds(&format!("displacement_{method}"), &all);
        let cli = format!("{method}_cli.tif");
        let options = ["--method", method, "--step", "16", "--window", "33", "--quiet"];
        let mut arguments = vec!["displacement", "pair/pre.tif", "pair/post.tif", cli.as_str()];
        arguments.extend(options);
        qgis.shiftmap(&arguments);
        qgis.same(&format!("{method}.tif"), &cli);
    }
    qgis.succeeds("displacement_lsm", &with(&["CUT=pair/trace.gpkg", "OUTPUT=cut.tif"]));
    qgis.shiftmap(&[
        "displacement",
        "pair/pre.tif",
        "pair/post.tif",
        "cut_cli.tif",
        "--cut",
        "pair/trace.gpkg",
        "--quiet",
    ]);
    qgis.same("cut.tif", "cut_cli.tif");
    qgis.succeeds("displacement_lsm", &with(&["FAULTS=faults.gpkg", "OUTPUT=split.tif"]));
    assert!(qgis.folder.path().join("faults.gpkg").exists());
    qgis.succeeds("precision", &with(&["OUTPUT=sigma.tif"]));
    let said = qgis.succeeds(
        "evaluate",
        &["INPUT=lsm.tif", "TRUTH=pair/truth.tif", "TRACE=pair/trace.gpkg", "REPORT=report.html"],
    );
    assert!(said.contains("EAST_MAE") && said.contains("in 1 sigma"), "{said}");
    assert!(std::fs::read_to_string(qgis.folder.path().join("report.html")).unwrap().contains("East"));
    qgis.succeeds("vectors", &["INPUT=lsm.tif", "OUTPUT=arrows.gpkg"]);
    qgis.succeeds("profile", &["INPUT=lsm.tif", "TRACE=pair/trace.gpkg", "OUTPUT=profile"]);
    qgis.shiftmap(&["profile", "lsm.tif", "pair/trace.gpkg", "profile_cli", "--quiet"]);
    qgis.same("profile/offsets.csv", "profile_cli/offsets.csv");
    assert!(std::fs::read_to_string(qgis.folder.path().join("profile/report.html")).unwrap().contains("<svg"));
    qgis.succeeds("strain", &["INPUT=lsm.tif", "OUTPUT=strain.tif"]);
    qgis.shiftmap(&["strain", "lsm.tif", "strain_cli.tif", "--quiet"]);
    qgis.same("strain.tif", "strain_cli.tif");
    qgis.succeeds(
        "filter",
        &["INPUT=lsm.tif", "OUTLIERS=4", "DETREND=plane", "FILL=3", "OUTPUT=clean.tif", "REMOVED=gone.tif"],
    );
    let steps = ["--outliers", "--detrend", "plane", "--fill", "3", "--removed", "gone_cli.tif"];
    qgis.shiftmap(&[&["filter", "lsm.tif", "clean_cli.tif", "--quiet"], &steps[..]].concat());
    qgis.same("clean.tif", "clean_cli.tif");
    qgis.same("gone.tif", "gone_cli.tif");
    qgis.succeeds("coregister", &with(&["MODEL=shift", "OUTPUT=aligned.tif"]));
    assert!(qgis.folder.path().join("aligned.model.json").exists());
    qgis.shiftmap(&["coregister", "pair/pre.tif", "pair/post.tif", "aligned_cli.tif", "--model", "shift", "--quiet"]);
    qgis.same("aligned.tif", "aligned_cli.tif");
    let pair = ["REFERENCE=pair/pre.tif", "SECONDARY=pair/post.tif", "STEP=16", "SEED=3"];
    let said =
        qgis.succeeds("verify", &[&pair[..], &["METHOD=frequency", "MAP=verified.tif", "REPORT=verify.html"]].concat());
    assert!(said.contains("EAST_SIGMA_FACTOR"), "{said}");
    assert!(std::fs::read_to_string(qgis.folder.path().join("verify.html")).unwrap().contains("right sigma"));
    let words = ["--step", "16", "--seed", "3", "--method", "frequency", "--map", "verified_cli.tif", "--quiet"];
    qgis.shiftmap(&[&["verify", "pair/pre.tif", "pair/post.tif"], &words[..]].concat());
    qgis.same("verified.tif", "verified_cli.tif");
    qgis.succeeds(
        "stack",
        &["INPUTS=lsm.tif", "INPUTS=verified.tif", "ALIGN=true", "OUTPUT=stack.tif", "REPORT=stack.html"],
    );
    qgis.shiftmap(&["stack", "lsm.tif", "verified.tif", "stack_cli.tif", "--align", "--quiet"]);
    qgis.same("stack.tif", "stack_cli.tif");
    assert!(std::fs::read_to_string(qgis.folder.path().join("stack.html")).unwrap().contains("sigma factor"));
    // An event with two tracks and stations.
    qgis.shiftmap(&["synth", "insar", "quake", "--size", "48", "--seed", "3", "--quiet"]);
    qgis.succeeds(
        "combine",
        &[
            "LOS_1=quake/los-ascending.tif",
            "UNIT_1=quake/unit-ascending.tif",
            "LOS_2=quake/los-descending.tif",
            "UNIT_2=quake/unit-descending.tif",
            "GNSS=quake/gnss.csv",
            "DEM=quake/dem.tif",
            "METHOD=sistem",
            "OUTPUT=combined.tif",
            "REPORT=combined.html",
        ],
    );
    let track = |t: &str| format!("--los=quake/los-{t}.tif,unit=quake/unit-{t}.tif");
    let (a, b) = (track("ascending"), track("descending"));
    let more = ["--gnss", "quake/gnss.csv", "--dem", "quake/dem.tif", "--method", "sistem", "--quiet"];
    qgis.shiftmap(&[&["combine", "combined_cli.tif", &a, &b], &more[..]].concat());
    qgis.same("combined.tif", "combined_cli.tif");
    assert!(std::fs::read_to_string(qgis.folder.path().join("combined.html")).unwrap().contains("stations"));
    qgis.succeeds("synthesize", &["PRESET=low", "SIZE=128", "OUTPUT=made"]);
    qgis.shiftmap(&["synth", "pair", "made_cli", "--preset", "low", "--size", "128", "--quiet"]);
    qgis.same("made/post.tif", "made_cli/post.tif");
    qgis.succeeds("synthesize_insar", &["SOURCE=crustal", "MAGNITUDE=6 6.5", "SIZE=48", "SEED=4", "OUTPUT=event"]);
    qgis.shiftmap(
        &[
            &["synth", "insar", "event_cli", "--source", "crustal", "--magnitude", "6", "6.5", "--size", "48"][..],
            &["--seed", "4", "--quiet"],
        ]
        .concat(),
    );
    qgis.same("event/los-ascending.tif", "event_cli/los-ascending.tif");
    qgis.succeeds("synthesize", &["IMAGE=pair/pre.tif", "SLIP=2", "OUTPUT=mine"]);
    let fault = ["FAULTS=pair/trace.gpkg", "SLIP=3", "RAKE=180", "BOTTOM=12000"];
    qgis.succeeds("synthesize_field", &[&["TEMPLATE=pair/pre.tif", "OUTPUT=field"], &fault[..]].concat());
    assert!(qgis.folder.path().join("field/field.tif").exists());
    assert!(qgis.succeeds("about", &[]).contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_real_pair() {
    let shared = std::env::var_os("SHIFTMAP_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let data = shared.join("data/stable-pairs");
    let names = ["landsat5_nanjing_20000503_b1-5-7.tif", "landsat5_nanjing_20020712_b1-5-7.tif"];
    if !data.join(names[0]).exists() {
        println!("skipped: no {}", data.display());
        return;
    }
    let Some(qgis) = Qgis::new(&[]) else { return };
    qgis.enable();
    let [pre, post] = names.map(|n| data.join(n).display().to_string());
    let (a, b) = (format!("REFERENCE={pre}"), format!("SECONDARY={post}"));
    qgis.succeeds(
        "displacement_lsm",
        &[&a, &b, "REFERENCE_BAND=2", "SECONDARY_BAND=2", "WINDOW=64", "STEP=32", "OUTPUT=map.tif"],
    );
    let options = ["--band", "2", "--window", "64", "--step", "32", "--quiet"];
    qgis.shiftmap(&[&["displacement", &pre, &post, "cli.tif"], &options[..]].concat());
    qgis.same("map.tif", "cli.tif");
}

#[test]
fn without_a_library_the_toolbox_says_what_to_do() {
    let Some(qgis) = Qgis::new(&[]) else { return };
    qgis.enable();
    std::fs::remove_dir_all(qgis.folder.path().join("profile/profiles/default/shiftmap")).unwrap();
    let about = |library: &str| {
        let mut command = qgis.command(process().unwrap());
        command.env("SHIFTMAP_LIBRARY", library).args(["run", "shiftmap:about"]);
        text(&command.output().unwrap())
    };
    let said = about("/nowhere/libshiftmap.so");
    assert!(said.contains("/nowhere/libshiftmap.so does not exist") && said.contains("make plugin-install"), "{said}");
    assert!(!said.contains("Traceback"), "{said}");
    // Another library: no functions of ours.
    let other = std::fs::read_dir("/usr/lib/x86_64-linux-gnu").into_iter().flatten().flatten();
    if let Some(other) = other.map(|f| f.path()).find(|p| p.to_string_lossy().contains("/libz.so")) {
        let said = about(&other.display().to_string());
        assert!(said.contains("or newer") && !said.contains("Traceback"), "{said}");
    }
    let text_file = qgis.folder.file("libshiftmap.so");
    std::fs::write(&text_file, "not a library").unwrap();
    let said = about(qgis.folder.path().to_str().unwrap());
    assert!(said.contains("cannot be loaded") && !said.contains("Traceback"), "{said}");
}

#[test]
fn inside_of_qgis() {
    let Some(qgis) = Qgis::new(&["--preset", "real", "--size", "1100"]) else { return };
    // The product names its inputs, so they are written as the script writes them.
    let [pre, post, map] = ["pre", "post", "map"].map(|n| qgis.folder.file(&format!("pair/{n}.tif")));
    qgis.shiftmap(&["displacement", &pre, &post, &map, "--overwrite", "--quiet"]);
    let mut command = qgis.command("/usr/bin/python3");
    std::fs::create_dir(qgis.folder.path().join("out")).unwrap();
    let out =
        command.arg(root().join("tests/qgis/inside.py")).args([qgis.folder.file("pair"), qgis.folder.file("out")]);
    let out = out.output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
    assert!(text(&out).contains("ok a_virtual_job_opens"), "{}", text(&out));
}

/// `SHIFTMAP_PICTURES=FOLDER` keeps the screenshots.
#[test]
fn the_desktop_shows_it() {
    if Command::new("xvfb-run").arg("--help").output().is_err() {
        println!("skipped: xvfb-run is not installed");
        return;
    }
    let Some(qgis) = Qgis::new(&["--preset", "real", "--size", "800"]) else { return };
    let program = ["qgis.bin", "qgis"]
        .into_iter()
        .find(|p| Command::new("which").arg(p).output().is_ok_and(|o| o.status.success()));
    let pictures = qgis.folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let mut command = qgis.command("timeout");
    command.args(["120", "xvfb-run", "-a", "-s", "-screen 0 1400x900x24", program.unwrap()]);
    command.args(["--noversioncheck", "--nologo", "--code"]).arg(root().join("tests/qgis/desktop.py"));
    command.env_remove("QT_QPA_PLATFORM").env("PAIR", qgis.folder.file("pair")).env("PICTURES", &pictures);
    let out = command.output().unwrap();
    let said = std::fs::read_to_string(pictures.join("done.txt")).unwrap_or_default();
    assert_eq!(said, "ok", "{}", text(&out));
    for name in ["toolbox.png", "dialog.png", "log.png", "east.png", "arrows.png", "profile.png"] {
        let size = std::fs::metadata(pictures.join(name)).unwrap().len();
        assert!(size > 20_000, "{name}: {size} bytes");
        if let Some(folder) = std::env::var_os("SHIFTMAP_PICTURES") {
            std::fs::copy(pictures.join(name), Path::new(&folder).join(name)).unwrap();
        }
    }
}

#[test]
fn the_zip_follows_the_rules() {
    let folder = Folder::new();
    let out = Command::new(root().join("packaging/qgis.sh")).arg("zip").arg(folder.path()).output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
    assert_eq!(names(folder.path()), [concat!("shiftmap-qgis-", env!("CARGO_PKG_VERSION"), ".zip")]);
    let metadata = std::fs::read_to_string(root().join("qgis_plugin/shiftmap/metadata.txt")).unwrap();
    assert!(metadata.contains(concat!("\nversion=", env!("CARGO_PKG_VERSION"), "\n")));
}
