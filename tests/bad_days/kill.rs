//! SIGKILL, which no program can answer.

use super::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::path::Path;

/// Every file below a folder with its bytes, hidden folders of unfinished runs left out.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for name in names(folder).into_iter().filter(|n| !n.contains(".shiftmap-")) {
        let path = folder.join(&name);
        match path.is_dir() {
            true => all.extend(contents(&path).into_iter().map(|(n, b)| (format!("{name}/{n}"), b))),
            false => all.push((name, std::fs::read(&path).unwrap())),
        }
    }
    all
}

/// Runs a command and kills it at a random time within `scale` times its own duration, `rounds` times; after each kill
/// every file is one of those before, or byte for byte one of the undisturbed run. Returns how often it was complete.
fn killed(rounds: usize, folder: &Folder, arguments: &[&str], fresh: impl Fn(&Path)) -> usize {
    let mut random = Pcg64::seed_from_u64(SEED);
    fresh(folder.path());
    let before = contents(folder.path());
    let start = Instant::now();
    let (code, _, err) = run(folder, arguments);
    let mut duration = start.elapsed();
    assert_eq!(code, 0, "{err}");
    let whole = contents(folder.path());
    assert_ne!(before, whole);
    let (mut complete, mut left) = (0, 0);
    for round in 0..rounds {
        fresh(folder.path());
        let mut child = spawned(&mut shiftmap(folder, arguments));
        // Half of the kills come about the end, when results get their names.
        let share = if round % 2 == 0 { random.random_range(0.0..1.1) } else { random.random_range(0.85..1.2) };
        let wait = duration.mul_f64(share);
        std::thread::sleep(wait);
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        let now = contents(folder.path());
        complete += usize::from(now == whole);
        assert!(now == whole || !ended.success(), "round {round}: ended well without its result");
        for file in &now {
            let known = whole.contains(file) || before.contains(file);
            assert!(known, "round {round}, killed after {wait:?}: {} of {} bytes is incomplete", file.0, file.1.len());
        }
        let kept = before.iter().all(|old| now.iter().any(|file| file.0 == old.0));
        assert!(kept, "round {round}, killed after {wait:?}: an earlier result is gone");
        let remains = names(folder.path()).iter().filter(|n| n.contains(".shiftmap-")).count();
        // A run takes away what those killed before it left; one killed at its start may not have come to that.
        left = left.max(remains);
        assert!(remains <= 8, "{:?}", folder.names());
        // Other work on the machine changes the pace.
        if ended.success() {
            duration = duration.min(wait);
        }
    }
    fresh(folder.path());
    let (code, _, err) = run(folder, arguments);
    assert_eq!(code, 0, "{err}");
    assert!(contents(folder.path()) == whole, "the run after {rounds} kills differs");
    // A folder without a lock, from a run killed in its first moments, goes after a minute; nothing is in it.
    let folders = names(folder.path()).into_iter().filter(|n| n.contains(".shiftmap-"));
    let hidden: Vec<_> = folders.filter(|n| folder.path().join(n).join("lock").exists()).collect();
    assert!(hidden.is_empty(), "{hidden:?} is still there");
    println!(
        "{rounds} kills: {complete} complete, {} without a result; {left} unfinished folders at most",
        rounds - complete
    );
    complete
}

#[test]
fn fifty_kills_leave_the_whole_result_or_none() {
    let folder = Folder::new();
    write_pair(&folder, (260, 220), 0.4, -0.3);
    let arguments = ["displacement", "pre.tif", "post.tif", "out.tif", "-q", "--threads", "2", "--split"];
    let complete = killed(50, &folder, &arguments, |folder| {
        for name in ["out.tif", "out_faults.gpkg"] {
            let _ = std::fs::remove_file(folder.join(name));
        }
    });
    assert!(complete < 50, "no kill came before the end");
}

#[test]
fn kills_while_replacing_leave_the_old_result_or_the_new_one() {
    let folder = Folder::new();
    write_pair(&folder, (200, 160), 0.4, -0.3);
    let arguments = ["displacement", "pre.tif", "post.tif", "out.tif", "-q", "--overwrite", "--of", "COG"];
    killed(20, &folder, &arguments, |folder| std::fs::write(folder.join("out.tif"), "precious").unwrap());
    assert!(std::fs::metadata(folder.file("out.tif")).unwrap().len() > 1000);
}

#[test]
fn a_folder_of_results_appears_at_once() {
    let folder = Folder::new();
    let arguments = ["synth", "pair", "pair", "--size", "200", "-q", "--seed", "3"];
    killed(20, &folder, &arguments, |folder| {
        let _ = std::fs::remove_dir_all(folder.join("pair"));
    });
}

#[test]
fn a_stack_is_there_with_its_report_or_not_at_all() {
    let folder = Folder::new();
    write_pair(&folder, (260, 220), 0.4, -0.3);
    for (map, window) in [("a.tif", "24"), ("b.tif", "32"), ("c.tif", "40")] {
        let (code, _, err) =
            run(&folder, &["displacement", "pre.tif", "post.tif", map, "-q", "--window", window, "--step", "1"]);
        assert_eq!(code, 0, "{err}");
    }
    let arguments = ["stack", "a.tif", "b.tif", "c.tif", "out.tif", "-q", "--report", "out.md"];
    killed(20, &folder, &arguments, |folder| {
        for name in ["out.tif", "out.md"] {
            let _ = std::fs::remove_file(folder.join(name));
        }
    });
}
