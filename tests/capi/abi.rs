//! What programs that are compiled already depend on: `tests/c/abi.txt` lists every symbol and every offset.
//!
//! Adding to it is fine (`SHIFTMAP_WRITE_ABI=1`); what is there stays until the major version changes.

use super::build::{compile, library, root, succeed};
use super::common::*;
use std::process::Command;

/// Exported functions.
fn symbols() -> Vec<String> {
    let out = succeed(Command::new("nm").args(["-D", "--defined-only"]).arg(library()));
    let mut names: Vec<String> = out.lines().filter_map(|l| l.split(' ').next_back()).map(str::to_string).collect();
    names.sort();
    names
}

/// Functions that the header declares.
fn declared(header: &str) -> Vec<String> {
    let words =
        header.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '(').filter(|w| w.starts_with("shiftmap_"));
    let mut names: Vec<String> =
        words.filter_map(|w| w.split_once('(').map(|(n, _)| n)).filter(|n| !n.is_empty()).map(str::to_string).collect();
    names.sort();
    names.dedup();
    names
}

/// Constants, sizes and offsets, as a C compiler sees them.
fn layout(folder: &Folder, header: &str) -> Vec<String> {
    let mut text = String::from("#include <shiftmap.h>\n#include <stdio.h>\nint main(void) {\n");
    for line in header.lines() {
        if let Some((name, value)) = line.strip_prefix("#define ").and_then(|l| l.split_once(' '))
            && !name.starts_with("SHIFTMAP_VERSION")
            && value.parse::<i32>().is_ok()
        {
            text += &format!("printf(\"constant {name} %d\\n\", {name});\n");
        }
    }
    for block in header.split("typedef struct ").skip(1) {
        let Some((name, body)) = block.split_once(" {\n") else { continue };
        if name.contains(';') {
            continue;
        }
        text += &format!("printf(\"struct {name} %lu\\n\", (unsigned long)sizeof({name}));\n");
        for line in body.split("\n}").next().unwrap().lines().filter(|l| l.ends_with(';')) {
            let (kind, field) = line.trim().trim_end_matches(';').rsplit_once([' ', '*']).unwrap();
            let pointer = if line.contains('*') { " pointer" } else { "" };
            text += &format!(
                "printf(\"field {name}.{field} {}{pointer} %lu\\n\", (unsigned long)offsetof({name}, {field}));\n",
                kind.trim_end_matches([' ', '*'])
            );
        }
    }
    text += "return 0;\n}\n";
    let path = folder.file("layout.c");
    write_text(&path, &text);
    succeed(&mut Command::new(compile(folder, &path, &[]))).lines().map(str::to_string).collect()
}

/// Name and parameter types of every function.
fn signatures(header: &str) -> Vec<String> {
    let code: String = header.split("/**").map(|p| p.split_once("*/").map_or(p, |(_, after)| after)).collect();
    let calls = code.split(';').map(|s| s.split_whitespace().collect::<Vec<_>>().join(" "));
    calls
        .filter_map(|s| Some(s[s.find("shiftmap_").filter(|_| s.ends_with(')'))?..].to_string()))
        .map(|s| format!("function {s}"))
        .collect()
}

#[test]
fn only_the_interface_is_exported() {
    let header = std::fs::read_to_string(root().join("include/shiftmap.h")).unwrap();
    let exported: Vec<String> =
        symbols().into_iter().filter(|s| s != "GDALRegister_SHIFTMAP" && s != "shiftmap_test_panic").collect();
    assert_eq!(exported, declared(&header));
    let dynamic = succeed(Command::new("readelf").arg("-d").arg(library()));
    let major = env!("CARGO_PKG_VERSION_MAJOR");
    assert!(dynamic.contains(&format!("[libshiftmap.so.{major}]")), "{dynamic}");
}

#[test]
fn nothing_that_was_published_changes() {
    let folder = Folder::new();
    let header = std::fs::read_to_string(root().join("include/shiftmap.h")).unwrap();
    let mut now = layout(&folder, &header);
    assert!(now.len() > 50, "{now:?}");
    now.extend(signatures(&header));
    now.extend(declared(&header).into_iter().map(|s| format!("symbol {s}")));
    now.push(format!("major {}", env!("CARGO_PKG_VERSION_MAJOR")));
    now.sort();
    let path = root().join("tests/c/abi.txt");
    if std::env::var_os("SHIFTMAP_WRITE_ABI").is_some() {
        std::fs::write(&path, now.join("\n") + "\n").unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap();
    if !published.contains(&format!("\nmajor {}\n", env!("CARGO_PKG_VERSION_MAJOR"))) {
        println!("skipped: a new major version; SHIFTMAP_WRITE_ABI=1 records it");
        return;
    }
    let gone: Vec<&str> = published.lines().filter(|l| !now.iter().any(|n| n == l)).collect();
    assert!(gone.is_empty(), "programs in use depend on this: {gone:#?}");
    let new: Vec<&String> = now.iter().filter(|n| !published.lines().any(|l| l == *n)).collect();
    assert!(new.is_empty(), "new, to be recorded with SHIFTMAP_WRITE_ABI=1: {new:#?}");
}
