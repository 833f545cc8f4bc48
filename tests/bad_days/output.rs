//! The place of the result: full, read-only, gone in the middle.

use super::*;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

/// The user that stands in for one without rights when the tests run as the superuser.
const NOBODY: u32 = 65_534;

/// A run of about a second with its results in `place`.
fn long_run(folder: &Folder, place: &str) -> Command {
    write_pair(folder, (420, 360), 0.4, -0.3);
    let out = format!("{place}/out.tif");
    shiftmap(
        folder,
        &["displacement", "pre.tif", "post.tif", &out, "-q", "--step", "2", "--threads", "1", "--overwrite"],
    )
}

fn root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

#[test]
fn permission_lost_in_the_middle() {
    let folder = Folder::new();
    let place = folder.path().join("place");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("out.tif"), "precious").unwrap();
    let mut command = long_run(&folder, "place");
    if root() {
        // Rights do not stop the superuser.
        for path in [folder.path(), &place, &place.join("out.tif")] {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        command.uid(NOBODY).gid(NOBODY);
        let probe = Command::new(command.get_program()).arg("--version").uid(NOBODY).gid(NOBODY).output();
        if !probe.is_ok_and(|o| o.status.success()) {
            println!("skipped: another user cannot run the program from here");
            return;
        }
    }
    let child = spawned(&mut command);
    until("nothing is being written", || names(&place).len() == 2);
    let mode = |m: u32| std::fs::set_permissions(&place, std::fs::Permissions::from_mode(m)).unwrap();
    mode(0o555);
    let out = ended(child, Duration::from_secs(120));
    mode(0o755);
    error_of(&out, &["cannot write place/out.tif", "ermission denied", "choose another place"]);
    assert_eq!(std::fs::read(place.join("out.tif")).unwrap(), b"precious");
    // What could not be removed then is removed by the next run.
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(names(&place), ["out.tif"]);
    assert!(std::fs::metadata(place.join("out.tif")).unwrap().len() > 1000);
}

#[test]
fn the_folder_is_removed_in_the_middle() {
    let folder = Folder::new();
    let place = folder.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let child = spawned(&mut long_run(&folder, "place"));
    let begun = |folder: &String| place.join(folder).join("files/out.tif").exists();
    until("nothing is being written", || names(&place).iter().any(begun));
    until("it cannot be removed", || std::fs::remove_dir_all(&place).is_ok());
    let out = ended(child, Duration::from_secs(120));
    error_of(&out, &["cannot write place/out.tif", "was removed during the run"]);
    assert_eq!(folder.names(), ["post.tif", "pre.tif"]);
}

/// Runs a command without the means to make files of more than `kilobytes`.
fn limited(folder: &Folder, kilobytes: usize, arguments: &[&str]) -> std::process::Output {
    // Without the signal, writing beyond the limit fails as on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$@\"");
    let program = assert_cmd::cargo::cargo_bin!("shiftmap");
    let mut command = Command::new("bash");
    command.args(["-c", &script, "bash"]).arg(program).args(arguments).current_dir(folder.path());
    command.output().unwrap()
}

/// `tests/cli_errors.rs` does this with the displacement map.
#[test]
fn every_kind_of_result_meets_a_full_disk() {
    let folder = Folder::new();
    write_pair(&folder, (260, 220), 0.4, -0.3);
    let (code, _, err) = run(&folder, &["displacement", "pre.tif", "post.tif", "map.tif", "-q", "--step", "2"]);
    assert_eq!(code, 0, "{err}");
    std::fs::write(folder.file("old.tif"), "precious").unwrap();
    let before = folder.names();
    let commands: [&[&str]; 5] = [
        &["synth", "pair", "pair", "-q", "--size", "400"],
        &["filter", "map.tif", "old.tif", "-q", "--overwrite", "--median", "3"],
        &["vectors", "map.tif", "arrows.gpkg", "-q", "--every", "2"],
        &["strain", "map.tif", "old.tif", "-q", "--overwrite"],
        &["coregister", "pre.tif", "post.tif", "old.tif", "-q", "--overwrite"],
    ];
    for arguments in commands {
        let (code, _, err) = run(&folder, &[arguments[0], "--help"]);
        assert_eq!(code, 0, "{err}");
        let out = limited(&folder, 24, arguments);
        let said = error_of(&out, &["cannot write"]);
        assert!(!said.contains(".shiftmap-"), "{said}");
        assert!(said.contains("disk") || said.contains("large"), "{arguments:?}: {said}");
        assert_eq!(folder.names(), before, "{arguments:?}");
        assert_eq!(std::fs::read(folder.file("old.tif")).unwrap(), b"precious", "{arguments:?}");
    }
}

#[test]
fn a_device_that_is_always_full() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full here");
        return;
    }
    let folder = Folder::new();
    write_pair(&folder, (200, 160), 0.4, -0.3);
    // The summary goes to a full device; the result is a file and is complete.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let out =
        shiftmap(&folder, &["displacement", "pre.tif", "post.tif", "out.tif", "--json", "-q"]).stdout(full).output();
    assert!(out.unwrap().stderr.is_empty());
    assert_eq!(folder.names(), ["out.tif", "post.tif", "pre.tif"]);
}
