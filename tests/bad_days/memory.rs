//! Too little memory (`ulimit -v`).

use super::*;

#[test]
fn too_little_memory_is_told() {
    let folder = Folder::new();
    write_pair(&folder, (600, 500), 0.4, -0.3);
    let program = assert_cmd::cargo::cargo_bin!("shiftmap");
    let attempt = |megabytes: u64| {
        let script = format!("ulimit -c 0; ulimit -v {}; exec \"$@\"", megabytes * 1024);
        let mut command = Command::new("bash");
        command.args(["-c", &script, "bash"]).arg(program);
        command.args(["displacement", "pre.tif", "post.tif", "out.tif", "-q", "--threads", "2", "--step", "4"]);
        ended(spawned(command.current_dir(folder.path())), Duration::from_secs(60))
    };
    // What the program takes before it does anything: its code and libraries.
    let least = (40..).step_by(20).find(|&mb| {
        let script = format!("ulimit -v {}; exec \"$1\" --version", mb * 1024);
        Command::new("bash").args(["-c", &script, "bash"]).arg(program).output().unwrap().status.success()
    });
    let least = least.unwrap();
    let (mut told, mut done) = (0, false);
    for megabytes in (least..least + 600).step_by(15) {
        let out = attempt(megabytes);
        let err = String::from_utf8_lossy(&out.stderr);
        if out.status.success() {
            std::fs::remove_file(folder.file("out.tif")).unwrap();
            done = true;
            if told > 3 {
                break;
            }
            continue;
        }
        println!("{megabytes} MB: {}", err.trim());
        assert!(!folder.names().contains(&"out.tif".to_string()), "{megabytes} MB");
        assert_eq!(out.status.code(), Some(1), "{megabytes} MB: {:?}: {err}", out.status);
        assert_eq!(err.lines().filter(|l| l.starts_with("ERROR: ")).count(), 1, "{megabytes} MB: {err}");
        told += usize::from(err.contains("out of memory"));
    }
    assert!(told >= 2 && done, "{told} times the lack of memory was told; done: {done}");
    // Whatever was left is taken away by the next run.
    let (code, _, err) = run(&folder, &["displacement", "pre.tif", "post.tif", "out.tif", "-q"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(folder.names(), ["out.tif", "post.tif", "pre.tif"]);
}
