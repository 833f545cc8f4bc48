//! `shiftmap demo`: everything in one command.
mod common;

use common::{Folder, gdalinfo, names};

#[test]
fn the_demo_simulates_measures_judges_and_draws() {
    let folder = Folder::new();
    let out = folder.file("demo");
    let run = |extra: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("shiftmap").unwrap();
        command.args(["demo", &out, "--size", "256", "--seed", "3"]).args(extra).assert()
    };
    let first = run(&[]).success();
    let text = String::from_utf8_lossy(&first.get_output().stdout).to_string();
    assert!(
        text.contains("lsm") && text.contains("frequency") && text.contains("Errors against the known truth"),
        "{text}"
    );
    let want = [
        "displacement.png",
        "errors.png",
        "evaluation.json",
        "frequency.tif",
        "lsm.tif",
        "overview.png",
        "pair.png",
        "post.tif",
        "pre.tif",
        "spec.json",
        "trace.gpkg",
        "truth.tif",
    ];
    assert_eq!(names(out.as_ref()), want);
    let table: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{out}/evaluation.json")).unwrap()).unwrap();
    for result in table.as_array().unwrap() {
        // A fault crosses half of this small image, hence the generous limit; a wrong sign makes 0.4 px.
        for component in ["east", "north"] {
            let mae = result["errors"][component]["mae"].as_f64().unwrap();
            assert!(mae < 0.15, "{}: {component} {mae}", result["estimate"]);
        }
        let share = result["compared"].as_f64().unwrap() / result["positions"].as_f64().unwrap();
        assert!(share > 0.98, "{}: {share}", result["estimate"]);
    }
    // Pictures with colours in them: the displacement map has both signs.
    let info = gdalinfo(&format!("{out}/displacement.png"));
    assert_eq!(info["bands"].as_array().unwrap().len(), 3);
    let rgb = shiftmap::raster::read_all_bands(&format!("{out}/displacement.png")).unwrap();
    let count = |f: &dyn Fn(f32, f32) -> bool| {
        let (r, b) = (&rgb.bands[0].values.data, &rgb.bands[2].values.data);
        r.iter().zip(b).filter(|(r, b)| f(**r, **b)).count()
    };
    assert!(count(&|r, b| r > b + 60.0) > 5000 && count(&|r, b| b > r + 60.0) > 5000);

    let again = run(&[]).code(1);
    assert!(String::from_utf8_lossy(&again.get_output().stderr).contains("--overwrite"));
    run(&["--overwrite", "-q"]).success();
    assert_eq!(names(folder.path()), ["demo"], "no temporary folder is left");
}
