//! Bad days: killed runs, full disks, lost permissions, inputs that change while they are read, servers that fail, too little
//! memory, and images of every unfortunate kind. Each leaves the complete result or none, and says why.

#[path = "../common/mod.rs"]
mod common;
mod images;
mod input;
mod kill;
mod memory;
mod network;
mod output;
mod server;

use common::*;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a failed run says: exactly one line that begins with `ERROR: `, exit code 1.
fn error_of(out: &std::process::Output, parts: &[&str]) -> String {
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{:?}: {err}", out.status);
    let errors: Vec<&str> = err.lines().filter(|l| l.starts_with("ERROR: ")).collect();
    assert_eq!(errors.len(), 1, "{err}");
    for part in parts {
        assert!(errors[0].contains(part), "`{part}` is not in: {}", errors[0]);
    }
    errors[0].into()
}

/// Waits for the end of a child, which must come before `limit`.
fn ended(mut child: Child, limit: Duration) -> std::process::Output {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > limit {
            let _ = child.kill();
            panic!("the run did not end within {limit:?}: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// A run in the background with its messages kept.
fn spawned(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until `there` holds.
fn until(what: &str, mut there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !there() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
