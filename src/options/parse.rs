//! From `KEY=VALUE` to what the command line would have said.

use super::list::definition;
use super::{Door, key, long, refusal, words};
use crate::cli;
use crate::job::Job;
use crate::{Error, Result};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::OsString;

/// Splits `KEY=VALUE` strings.
///
/// # Errors
/// [`Error::Option`] for a string without `=` or without a key.
pub fn pairs<S: AsRef<str>>(list: &[S]) -> Result<Vec<(String, String)>> {
    let split = |text: &str| match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_string(), value.to_string())),
        _ => Err(Error::option("option", format!("`{text}`"), "options have the form KEY=VALUE, e.g. WINDOW=64")),
    };
    list.iter().map(|text| split(text.as_ref())).collect()
}

/// The job of `shiftmap displacement` with these options.
///
/// # Errors
/// [`Error::Option`] for an option that does not exist or a value that is not possible.
pub fn job(pre: &str, post: &str, out: &str, options: &[(String, String)]) -> Result<Job> {
    job_through(Door::Files, pre, post, out, options)
}

/// The job of a displacement that is not written to a file; its `out` is empty.
///
/// # Errors
/// Those of [`job`], and [`Error::Option`] for options of output files.
pub fn virtual_job(pre: &str, post: &str, options: &[(String, String)]) -> Result<Job> {
    // The command line wants a name for the result.
    let job = job_through(Door::Virtual, pre, post, "memory", options)?;
    Ok(unwritten(job))
}

/// The job of a displacement between arrays, without input and output files.
///
/// # Errors
/// Those of [`job`], and [`Error::Option`] for options of files.
pub fn array_job(pre: &str, post: &str, options: &[(String, String)]) -> Result<Job> {
    let job = job_through(Door::Arrays, pre, post, "memory", options)?;
    Ok(unwritten(job))
}

/// The job without files of its own: windows are split, the lines are not written.
fn unwritten(job: Job) -> Job {
    Job { out: String::new(), split: job.split.as_ref().map(|_| String::new()), ..job }
}

/// Checks the options of `command` as far as that is possible without its files.
///
/// # Errors
/// [`Error::Option`] naming the first option that is wrong.
pub fn check(command: &str, options: &[(String, String)]) -> Result<()> {
    let least = |a: &clap::Arg| a.get_num_args().map_or(1, |n| n.min_values());
    let positional: usize = definition(command)?.get_positionals().filter(|a| a.is_required_set()).map(least).sum();
    match command {
        "displacement" => job("pre", "post", "out", options).map(drop),
        _ => parse(command, Door::Files, &vec!["x"; positional], options).map(drop),
    }
}

fn job_through(door: Door, pre: &str, post: &str, out: &str, options: &[(String, String)]) -> Result<Job> {
    let command = parse("displacement", door, &[pre, post, out], options)?;
    command.displacement_job().map_err(|e| super::reworded("displacement", e))
}

/// Parses a command with positional arguments and options, as the command line does.
pub(crate) fn parse(
    command: &str,
    door: Door,
    positional: &[&str],
    options: &[(String, String)],
) -> Result<cli::Command> {
    let words = words_of(command, door, positional, options)?;
    cli::parse(words).map_err(|e| refused(command, options, &e))
}

/// What a user would have typed after `shiftmap` for this command, its positional arguments and options.
///
/// # Errors
/// [`Error::Option`] for an unknown command or option, or a value that a flag cannot have.
pub fn arguments(command: &str, positional: &[&str], options: &[(String, String)]) -> Result<Vec<OsString>> {
    Ok(words_of(command, Door::Files, positional, options)?.split_off(1))
}

fn words_of(command: &str, door: Door, positional: &[&str], options: &[(String, String)]) -> Result<Vec<OsString>> {
    let known = definition(command)?;
    let mut words: Vec<OsString> = vec!["shiftmap".into()];
    words.extend(command.split_whitespace().map(OsString::from));
    for (name, value) in options {
        let (argument, long) = find(known, name, door)?;
        if let Some(why) = refusal(argument, door) {
            return Err(Error::option(&key(long), value, format!("the option {why}; leave it away")));
        }
        if value.contains('\0') {
            return Err(Error::option(&key(long), value.replace('\0', "\\0"), "a value has no NUL character"));
        }
        if value.trim().is_empty() {
            return Err(Error::option(&key(long), value, "a value is missing; leave the option away for its default"));
        }
        if !argument.get_action().takes_values() {
            if truth(value).ok_or_else(|| Error::option(&key(long), value, "is neither YES nor NO"))? {
                words.push(format!("--{long}").into());
            }
        } else if argument.get_num_args().is_some_and(|n| n.max_values() > 1) {
            words.push(format!("--{long}").into());
            for part in value.split([' ', '\t', ',']).filter(|p| !p.is_empty()) {
                if part.starts_with('-') && part.parse::<f64>().is_err() {
                    return Err(Error::option(&key(long), value, format!("`{part}` is not a number")));
                }
                words.push(part.into());
            }
        } else {
            words.push(format!("--{long}={value}").into());
        }
    }
    words.push("--".into());
    words.extend(positional.iter().map(OsString::from));
    Ok(words)
}

/// The argument called `name`, by its long name or an alias, and its long name.
fn find<'a>(known: &'a clap::Command, name: &str, door: Door) -> Result<(&'a clap::Arg, &'a str)> {
    let wanted = key(name);
    let named = || known.get_arguments().filter_map(|a| long(a).map(|l| (a, l)));
    let is = |argument: &clap::Arg, long: &str| {
        key(long) == wanted || argument.get_all_aliases().unwrap_or_default().iter().any(|a| key(a) == wanted)
    };
    if let Some(found) = named().find(|(a, l)| is(a, l)) {
        return Ok(found);
    }
    let offered = named().filter(|(a, _)| refusal(a, door).is_none()).map(|(_, l)| key(l));
    let mut near: Vec<(f64, String)> = offered.map(|k| (strsim::jaro_winkler(&k, &wanted), k)).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let why = match near.first() {
        Some((score, nearest)) if *score > 0.75 => format!("no such option; did you mean {nearest}?"),
        _ => {
            near.sort_by(|a, b| a.1.cmp(&b.1));
            let all: Vec<String> = near.into_iter().map(|(_, k)| k).collect();
            format!("no such option; there are {}", all.join(", "))
        }
    };
    Err(Error::option("option", wanted, why))
}

fn truth(value: &str) -> Option<bool> {
    match value.trim().to_ascii_uppercase().as_str() {
        "YES" | "TRUE" | "ON" | "1" => Some(true),
        "NO" | "FALSE" | "OFF" | "0" => Some(false),
        _ => None,
    }
}

/// The command line's complaint in the words of options.
fn refused(command: &str, options: &[(String, String)], error: &clap::Error) -> Error {
    let text = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(s)) => Some(s.clone()),
        Some(ContextValue::Strings(list)) => Some(list.join(", ")),
        Some(ContextValue::Number(n)) => Some(n.to_string()),
        Some(ContextValue::StyledStr(s)) => Some(s.to_string()),
        _ => None,
    };
    let option = text(ContextKind::InvalidArg).unwrap_or_default();
    let name = match option.strip_prefix("--").and_then(|o| o.split([' ', '=', '[', '<']).next()) {
        Some(long) => key(long),
        None => option.trim_matches(['<', '>']).to_string(),
    };
    let given = || options.iter().find(|(k, _)| key(k) == name).map(|(_, v)| v.clone());
    let value = text(ContextKind::InvalidValue).or_else(given).unwrap_or_default();
    let why = match error.kind() {
        ErrorKind::InvalidValue => {
            let mut why = format!("choose one of {}", text(ContextKind::ValidValue).unwrap_or_default());
            if let Some(near) = text(ContextKind::SuggestedValue) {
                why = format!("{why}; did you mean {near}?");
            }
            why
        }
        ErrorKind::ValueValidation => std::error::Error::source(error).map(ToString::to_string).unwrap_or_default(),
        ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues | ErrorKind::TooManyValues => {
            let number = |kind| text(kind).unwrap_or_else(|| "?".into());
            let wanted = text(ContextKind::ExpectedNumValues).or(text(ContextKind::MinValues));
            let wanted = wanted.unwrap_or_else(|| "another number of".into());
            format!("takes {wanted} values separated by blanks, not {}", number(ContextKind::ActualNumValues))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = words::in_options(command, &option);
            return Error::option("command", command, format!("needs also {missing}"));
        }
        _ => {
            let whole = error.render().to_string();
            let first = whole.split("\n\n").next().unwrap_or_default();
            let line = first.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
            return Error::option("command", command, words::in_options(command, &line));
        }
    };
    Error::option(&name, value, words::in_options(command, &why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Window;
    use crate::job::Search;
    use crate::pipeline::MethodName;

    fn options(list: &[&str]) -> Vec<(String, String)> {
        pairs(list).unwrap()
    }

    fn displacement(list: &[&str]) -> Result<Job> {
        job("a.tif", "b.tif", "c.tif", &options(list))
    }

    fn refusal(list: &[&str]) -> String {
        displacement(list).unwrap_err().to_string()
    }

    #[test]
    fn options_mean_what_they_mean_on_the_command_line() {
        let job = displacement(&[
            "method=frequency",
            "WINDOW=64x32",
            "REGION=-3, 0 512 256",
            "RESAMPLE=yes",
            "OVERWRITE=off",
            "CO=COMPRESS=ZSTD",
            "CO=TILED=YES",
            "format=COG",
            "MIN_VALID=0.25",
            "nodata=-9999",
            "SEARCH=40m",
            "THREADS=3",
        ])
        .unwrap();
        assert_eq!((job.pre.as_str(), job.post.as_str(), job.out.as_str()), ("a.tif", "b.tif", "c.tif"));
        assert_eq!((job.params.method, job.params.window), (MethodName::Frequency, (64, 32)));
        assert_eq!(job.region, Some(Window::new(-3, 0, 512, 256)));
        assert!(job.resample && !job.write.overwrite);
        assert_eq!(job.write.creation, ["COMPRESS=ZSTD", "TILED=YES"]);
        assert_eq!(job.write.format.as_deref(), Some("COG"));
        assert_eq!((job.params.min_valid, job.search, job.threads), (0.25, Search::Metres(40.0), 3));
        assert_eq!(job.pre_options.nodata, crate::raster::NoData::Value(-9999.0));
    }

    #[test]
    fn paths_that_look_like_options_are_paths() {
        let job = job("--band", "-q", "--", &options(&["STEP=4"])).unwrap();
        assert_eq!((job.pre.as_str(), job.post.as_str(), job.out.as_str()), ("--band", "-q", "--"));
    }

    #[test]
    fn refusals_name_the_option_and_the_remedy() {
        assert_eq!(refusal(&["WINDW=3"]), "option WINDW: no such option; did you mean WINDOW?");
        assert!(refusal(&["XYZZY=3"]).contains("there are BACKWARD, BAND, "), "{}", refusal(&["XYZZY=3"]));
        assert_eq!(refusal(&["RESAMPLE=maybe"]), "RESAMPLE=maybe: is neither YES nor NO");
        let text = refusal(&["METHOD=freqency"]);
        assert!(text.starts_with("METHOD=freqency: choose one of lsm, frequency"), "{text}");
        assert!(text.ends_with("; did you mean frequency?"), "{text}");
        assert_eq!(refusal(&["WINDOW=big"]), "WINDOW=big: `big` is not N or NxM, e.g. 32 or 32x16");
        assert_eq!(refusal(&["REGION=1 2 3"]), "REGION=1 2 3: takes 4 values separated by blanks, not 3");
        assert_eq!(refusal(&["REGION=1 2 --overwrite 4"]), "REGION=1 2 --overwrite 4: `--overwrite` is not a number");
        assert_eq!(refusal(&["REGION=1 2 0 4"]), "REGION=1 2 0 4: XSIZE and YSIZE are 1 pixel or more");
        assert_eq!(refusal(&["WINDOW="]), "WINDOW=: a value is missing; leave the option away for its default");
        assert!(refusal(&["QUIET=YES"]).starts_with("QUIET=YES: the option is for the command line"));
        assert!(refusal(&["REGION=1 2 3 4", "REGION=1 2 3 4"]).contains("'REGION' cannot be used multiple times"));
        assert!(refusal(&["STEP=4", "STEP=5"]).contains("'STEP' cannot be used multiple times"));
        let text = virtual_job("a", "b", &options(&["OF=COG"])).unwrap_err().to_string();
        assert_eq!(text, "OF=COG: the option is for files: nothing is written here; leave it away");
        assert!(pairs(&["WINDOW"]).is_err() && pairs(&["=3"]).is_err());
    }

    #[test]
    fn other_commands_parse_too() {
        let words = arguments("synth pair", &["out"], &options(&["DX=-0.5", "LEFT_LATERAL=1"])).unwrap();
        assert_eq!(words, ["synth", "pair", "--dx=-0.5", "--left-lateral", "--", "out"]);
        let text = |c: &str, p: &[&str]| parse(c, Door::Files, p, &[]).err().unwrap().to_string();
        assert!(text("evaluate", &["a.tif"]).contains("needs also <TRUTH>"), "{}", text("evaluate", &["a.tif"]));
        let three = text("strain", &["a", "b", "c"]);
        assert!(three.contains("unexpected argument 'c'"), "{three}");
        let conflict = parse("synth pair", Door::Files, &["out"], &options(&["IMAGE=a.tif", "SIZE=4"]));
        let text = conflict.err().unwrap().to_string();
        assert!(text.contains("'SIZE' cannot be used with") || text.contains("'IMAGE' cannot be used with"), "{text}");
    }
}
