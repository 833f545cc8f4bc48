//! What a virtual raster is asked for: connection strings and job files.
//!
//! A connection string is `SHIFTMAP:pre,post`, with options `,KEY=VALUE` after it. A path or option that contains a
//! comma, or begins with a quote, is put in double quotes, where a quote is written twice:
//! `SHIFTMAP:"a,b.tif","NETCDF:""c.nc"":amplitude",WINDOW=64`.
//!
//! A job file is text: its first line is `shiftmap 1`, then `key=value` lines with `pre`, `post` and any option of
//! `shiftmap displacement` (`METHOD=lsm`, `min_valid=0.5`; case does not matter). Empty lines and lines that begin with
//! `#` are skipped. Relative paths count from the file's folder.

use crate::{Error, Result, options};

/// What a connection string begins with; case does not matter.
pub const PREFIX: &str = "SHIFTMAP:";

/// Version of the job file that is understood.
const VERSION: u64 = 1;

/// Options whose values are paths.
const PATHS: [&str; 6] = ["CUT", "MASK", "MODEL", "ONNXRUNTIME", "PRIOR", "STABLE"];

/// Options whose values are several paths.
const PAIRS: [&str; 1] = ["STACK_PAIR"];

/// Two images and the options of their comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub pre: String,
    pub post: String,
    /// Keys and values in the form of [`options`].
    pub options: Vec<(String, String)>,
}

impl Request {
    /// Adds open options; each replaces what the connection string or job file says about the same key.
    pub fn overridden_by(mut self, given: Vec<(String, String)>) -> Request {
        let same = |a: &str, b: &str| normal(a) == normal(b);
        self.options.retain(|(key, _)| !given.iter().any(|(g, _)| same(g, key)));
        self.options.extend(given);
        self
    }
}

fn normal(key: &str) -> String {
    key.trim().to_ascii_uppercase().replace('-', "_")
}

fn wrong(text: &str, why: impl Into<String>) -> Error {
    Error::Open { path: text.into(), why: why.into() }
}

/// Reads a connection string.
///
/// # Errors
/// [`Error::Open`] saying what is wrong with it, [`Error::Option`] for an option without `=`.
pub fn connection(text: &str) -> Result<Request> {
    let rest = match text.get(..PREFIX.len()) {
        Some(start) if start.eq_ignore_ascii_case(PREFIX) => &text[PREFIX.len()..],
        _ => return Err(wrong(text, format!("a connection string begins with {PREFIX}"))),
    };
    let mut parts = options::split_paths(rest).map_err(|why| wrong(text, why))?.into_iter();
    let (Some(pre), Some(post)) = (parts.next(), parts.next()) else {
        return Err(wrong(text, "two images are needed: SHIFTMAP:pre.tif,post.tif"));
    };
    for (role, path) in [("first", &pre), ("second", &post)] {
        if path.is_empty() {
            return Err(wrong(text, format!("the {role} path is empty; write SHIFTMAP:pre.tif,post.tif")));
        }
    }
    let given: Vec<String> = parts.collect();
    if let Some(odd) = given.iter().find(|o| !o.contains('=')) {
        let why = "is neither one of two paths nor an option KEY=VALUE; a path with a comma goes in double quotes";
        return Err(wrong(text, format!("`{odd}` {why}")));
    }
    Ok(Request { pre, post, options: options::pairs(&given)? })
}

/// Reads a job file. `name` is its path, for messages and relative paths; `exists` says whether there is a file.
///
/// # Errors
/// [`Error::Open`] naming the line.
pub fn job_file(name: &str, text: &str, exists: &dyn Fn(&str) -> bool) -> Result<Request> {
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate();
    let first = lines.next().map_or("", |(_, line)| line.trim_end());
    match first.strip_prefix("shiftmap ").and_then(|v| v.trim().parse::<u64>().ok()) {
        Some(VERSION) => {}
        Some(version) => {
            let why = format!("version {version} of the job file is not known; this is shiftmap {}", crate::VERSION);
            return Err(wrong(name, format!("{why}, which reads version {VERSION}")));
        }
        None => return Err(wrong(name, format!("the first line must be `shiftmap {VERSION}`"))),
    }
    let folder = name.rfind('/').map_or("", |i| &name[..=i]);
    let place = |path: &str| placed(folder, path, exists);
    let (mut pre, mut post, mut options) = (None, None, Vec::new());
    for (number, line) in lines.map(|(i, line)| (i + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=').map(|(k, v)| (k.trim(), v.trim())) else {
            return Err(wrong(name, format!("line {number}: `{line}` is not key=value")));
        };
        let once = |slot: &mut Option<String>| match slot.replace(place(value)) {
            None if !value.is_empty() => Ok(()),
            None => Err(wrong(name, format!("line {number}: a path is missing after {key}="))),
            Some(_) => Err(wrong(name, format!("line {number}: {key} is given twice"))),
        };
        match normal(key).as_str() {
            "" => return Err(wrong(name, format!("line {number}: a key is missing before `=`"))),
            "PRE" => once(&mut pre)?,
            "POST" => once(&mut post)?,
            key if PAIRS.contains(&key) => {
                let paths = options::split_paths(value).map_err(|why| wrong(name, format!("line {number}: {why}")))?;
                let paths: Vec<String> = paths.iter().map(|p| place(p)).collect();
                options.push((key.into(), options::join_paths(&paths)));
            }
            key if PATHS.contains(&key) => options.push((key.into(), place(value))),
            key => options.push((key.into(), value.into())),
        }
    }
    let needed = |path: Option<String>, key: &str| {
        path.ok_or_else(|| wrong(name, format!("there is no line `{key}=`, which names one of the two images")))
    };
    Ok(Request { pre: needed(pre, "pre")?, post: needed(post, "post")?, options })
}

/// A path of a job file, counted from the file's folder, unless it is absolute or not a path of a file: names such as
/// `NETCDF:...` stay what they are.
fn placed(folder: &str, path: &str, exists: &dyn Fn(&str) -> bool) -> String {
    let absolute = path.starts_with('/') || path.starts_with('\\') || path.get(1..3) == Some(":\\");
    if absolute || folder.is_empty() || path.is_empty() {
        return path.into();
    }
    let joined = format!("{folder}{path}");
    let word = |p: &str| !p.is_empty() && p.chars().all(|c| c.is_alphanumeric() || c == '_');
    let connection = path.split_once(':').is_some_and(|(p, _)| word(p));
    // The name of a model need not be that of a file.
    let name = connection || !path.contains(['.', '/']);
    if name && !exists(&joined) { path.into() } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pre: &str, post: &str, options: &[(&str, &str)]) -> Request {
        let options = options.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Request { pre: pre.into(), post: post.into(), options }
    }

    #[test]
    fn connection_strings_hold_any_path() {
        assert_eq!(connection("SHIFTMAP:a.tif,b.tif").unwrap(), of("a.tif", "b.tif", &[]));
        assert_eq!(
            connection("shiftmap:/x y/ä.tif,/vsizip/z.zip/b.tif").unwrap(),
            of("/x y/ä.tif", "/vsizip/z.zip/b.tif", &[])
        );
        assert_eq!(connection(r#"SHIFTMAP:"a,b.tif","say ""hi"".tif""#).unwrap(), of("a,b.tif", "say \"hi\".tif", &[]));
        assert_eq!(connection(r#"SHIFTMAP:NETCDF:"a.nc":v,b"#).unwrap(), of(r#"NETCDF:"a.nc":v"#, "b", &[]));
        let got = connection(r#"SHIFTMAP:a,b,METHOD=frequency,"REGION=0,0,64,64""#).unwrap();
        assert_eq!(got, of("a", "b", &[("METHOD", "frequency"), ("REGION", "0,0,64,64")]));
    }

    #[test]
    fn connection_strings_are_refused_in_words() {
        let text = |s: &str| connection(s).unwrap_err().to_string();
        for one in ["SHIFTMAP:", "SHIFTMAP:a", "SHIFTMAP:\"a,b\""] {
            assert!(
                text(one).contains("two images are needed") || text(one).contains("path is empty"),
                "{}",
                text(one)
            );
        }
        assert!(text("SHIFTMAP:,b").contains("the first path is empty"));
        assert!(text("SHIFTMAP:a,").contains("the second path is empty"));
        assert!(text("SHIFTMAP:a,b,c").contains("`c` is neither"));
        assert!(text("SHIFTMAP:\"a,b").contains("not closed"));
        assert!(text("SHIFTMAP:\"a\"x,b").contains("`x,b` follows a closing quote"));
        assert!(text("SHIFTMAP:a,b,=3").contains("KEY=VALUE"));
        assert!(text("ä").contains("begins with SHIFTMAP:"));
    }

    #[test]
    fn job_files_hold_paths_and_options() {
        let there = |path: &str| path == "/d/lsm";
        let text = "\u{feff}shiftmap 1\r\n# a comment\r\n\r\npre = a.tif\r\npost=/p/b.tif\r\nMin-Valid = 0.25\r\nmodel=net\r\nmask=m.gpkg\r\nstack_pair=c.tif,/p/d.tif\r\n";
        let got = job_file("/d/x.shiftmap", text, &there).unwrap();
        let options =
            [("MIN_VALID", "0.25"), ("MODEL", "net"), ("MASK", "/d/m.gpkg"), ("STACK_PAIR", "/d/c.tif,/p/d.tif")];
        assert_eq!(got, of("/d/a.tif", "/p/b.tif", &options));
        let got = job_file("x.shiftmap", "shiftmap 1\npre=a=b.tif\npost=sub/b.tif", &there).unwrap();
        assert_eq!(got, of("a=b.tif", "sub/b.tif", &[]));
        let got = job_file("/d/x", "shiftmap 1\npre=NETCDF:\"c.nc\":v\npost=lsm", &there).unwrap();
        assert_eq!(got, of("NETCDF:\"c.nc\":v", "/d/lsm", &[]));
        let got =
            job_file("/d/x", "shiftmap 1\npre=SENTINEL2_L1C:/p/a.zip:10m:EPSG_32632\npost=b.tif", &there).unwrap();
        assert_eq!(got, of("SENTINEL2_L1C:/p/a.zip:10m:EPSG_32632", "/d/b.tif", &[]));
    }

    #[test]
    fn job_files_are_refused_with_the_line() {
        let text = |s: &str| job_file("x.shiftmap", s, &|_| false).unwrap_err().to_string();
        assert!(text("shiftmap 2\n").contains("version 2"));
        assert!(text("shiftmap one\n").contains("first line"));
        assert!(text("").contains("first line"));
        assert!(text("shiftmap 1\npre=a\nnonsense").contains("line 3: `nonsense` is not key=value"));
        assert!(text("shiftmap 1\npre=a\npre=b").contains("line 3: pre is given twice"));
        assert!(text("shiftmap 1\npre=\n").contains("line 2: a path is missing"));
        assert!(text("shiftmap 1\n=a\n").contains("line 2: a key is missing"));
        assert!(text("shiftmap 1\npre=a\n").contains("no line `post=`"));
    }

    #[test]
    fn open_options_come_first() {
        let request = of("a", "b", &[("WINDOW", "32"), ("MIN_VALID", "0.5")]);
        let got = request.overridden_by(vec![("min-valid".into(), "0.25".into())]);
        assert_eq!(got, of("a", "b", &[("WINDOW", "32"), ("min-valid", "0.25")]));
    }
}
