//! Wrong use, threads, cancelling, leaks.

use super::build::{compile, root, succeed, there};
use super::common::Folder;
use std::process::Command;

const PROGRAM: &str = "tests/c/contract.c";

#[test]
fn wrong_use_is_answered_with_codes_and_nothing_is_printed() {
    let folder = Folder::new();
    let program = compile(&folder, PROGRAM, &[]);
    let out = succeed(Command::new(&program).arg("wrong").arg(folder.path()));
    assert_eq!(out, "");
    succeed(Command::new(&program).arg("panic"));
}

#[test]
fn many_threads_with_a_context_each() {
    let folder = Folder::new();
    let program = compile(&folder, PROGRAM, &[]);
    print!("{}", succeed(Command::new(program).args(["threads", "8", "200"])));
}

#[test]
fn a_run_stops_within_half_a_second() {
    let folder = Folder::new();
    let program = compile(&folder, PROGRAM, &[]);
    print!("{}", succeed(Command::new(program).arg("cancel")));
}

#[test]
fn nothing_is_lost() {
    if !there("valgrind") {
        println!("skipped: valgrind is not installed");
        return;
    }
    let folder = Folder::new();
    let program = compile(&folder, PROGRAM, &[]);
    let valgrind = |arguments: &[&str]| {
        let mut command = Command::new("valgrind");
        command.args(["--leak-check=full", "--errors-for-leak-kinds=definite", "--error-exitcode=9"]);
        command.arg(format!("--suppressions={}", root().join("tests/c/valgrind.supp").display()));
        let out = succeed(command.arg(&program).args(arguments));
        let lost = out.lines().find(|l| l.contains("definitely lost") || l.contains("no leaks are possible"));
        assert!(lost.is_some_and(|l| l.contains("lost: 0 bytes") || l.contains("no leaks")), "{out}");
    };
    valgrind(&["threads", "4", "2"]);
    valgrind(&["wrong", folder.path().to_str().unwrap()]);
}
