//! `include/shiftmap.h` is what cbindgen makes of `src/capi/`; `make header` writes it.

use std::path::Path;

/// In the order of the header: what most need comes first.
const SOURCES: [&str; 8] =
    ["types", "context", "displacement", "commands", "dislocation", "features", "options", "version"];

fn header() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("include/cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in SOURCES {
        let path = root.join(format!("src/capi/{name}.rs"));
        if path.exists() {
            builder = builder.with_src(path);
        }
    }
    let mut bytes = Vec::new();
    builder.generate().unwrap().write(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    finished(&text).replace("options_list", "options").replace("@VERSION@", env!("CARGO_PKG_VERSION")).replace('`', "")
}

/// Comments in the form of doxygen and C89, without the words for Rust's readers.
fn finished(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().filter(|l| !l.starts_with("#endif") || !l.contains("SHIFTMAP_H"));
    while let Some(line) = lines.next() {
        let indent = &line[..line.len() - line.trim_start().len()];
        if line.trim() != "/*" || out.is_empty() {
            out += line.split("//").next().unwrap_or_default().trim_end();
            out.push('\n');
            continue;
        }
        let body: Vec<&str> = lines.by_ref().map(str::trim).take_while(|l| *l != "*/").collect();
        let body: Vec<&str> = body.into_iter().take_while(|l| *l != "# Safety").collect();
        let body = body.join("\n").trim_end().replace('\n', &format!("\n{indent} * ")).replace(" * \n", " *\n");
        out += &match body.contains('\n') {
            false => format!("{indent}/** {body} */\n"),
            true => format!("{indent}/**\n{indent} * {body}\n{indent} */\n"),
        };
    }
    out + "#endif /* SHIFTMAP_H */\n"
}

#[test]
fn the_header_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/shiftmap.h");
    let text = header();
    if std::env::var_os("SHIFTMAP_WRITE_HEADER").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "include/shiftmap.h is not what src/capi/ says: run `make header`");
}

#[test]
fn the_version_is_cargos() {
    let text = header();
    let version = env!("CARGO_PKG_VERSION");
    assert!(text.contains(&format!("#define SHIFTMAP_VERSION \"{version}\"")), "{version}");
    for (i, part) in ["MAJOR", "MINOR", "PATCH"].iter().enumerate() {
        let number = version.split('.').nth(i).unwrap();
        assert!(text.contains(&format!("#define SHIFTMAP_VERSION_{part} {number}\n")), "{part}");
    }
}

#[test]
fn comments_are_those_of_c89_and_every_function_says_since_when() {
    let text = header();
    assert!(!text.contains("//"), "a comment of C99 or a URL");
    for function in text.split("\n/**").skip(1) {
        if let Some(name) = function.split("*/").nth(1).filter(|d| d.contains('(') && !d.contains("struct {")) {
            assert!(function.contains("Since "), "{name}");
        }
    }
}
