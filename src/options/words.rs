//! Messages written for the command line, told to users of `KEY=VALUE` options.

use super::list::definition;
use super::{key, long};
use crate::Error;

/// The same error with the command line's `--option value` written as `OPTION=value`.
#[must_use]
pub fn reworded(command: &str, error: Error) -> Error {
    let text = |t: String| in_options(command, &t);
    match error {
        Error::Option { name, value, why } => {
            let name = name.strip_prefix("--").map_or(name.clone(), key);
            Error::Option { name, value, why: text(why) }
        }
        Error::Open { path, why } => Error::Open { path, why: text(why) },
        Error::Read { path, why } => Error::Read { path, why: text(why) },
        Error::Write { path, why } => Error::Write { path, why: text(why) },
        Error::GridMismatch(t) => Error::GridMismatch(text(t)),
        Error::Data(t) => Error::Data(text(t)),
        other => other,
    }
}

/// `add --resample or use --units px` → `add RESAMPLE=YES or use UNITS=px`. Options that `command` does not have, such
/// as those of other programs, stay as they are.
pub(crate) fn in_options(command: &str, text: &str) -> String {
    let Ok(known) = definition(command) else { return text.into() };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("--") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        out += before;
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(after.len());
        let word = after[..end].trim_end_matches('-');
        let starts = !before.ends_with(|c: char| c.is_alphanumeric() || c == '-');
        let argument = known.get_arguments().find(|a| long(a) == Some(word)).filter(|_| starts);
        let Some(argument) = argument else {
            out += "--";
            rest = after;
            continue;
        };
        rest = &after[word.len()..];
        out += &key(word);
        if argument.get_action().takes_values() {
            rest = take_value(argument, rest, &mut out);
        } else if !before.ends_with('\'') {
            out += "=YES";
        }
    }
    out + rest
}

/// Moves the option's value from `rest` to `out`, when one follows; drops a placeholder such as ` <N[xM]>`.
fn take_value<'a>(argument: &clap::Arg, rest: &'a str, out: &mut String) -> &'a str {
    let Some(next) = rest.strip_prefix([' ', '=']) else { return rest };
    if next.starts_with('<') {
        let mut tail = rest;
        // Several placeholders: `<XOFF> <YOFF>`.
        while let Some(t) = tail.strip_prefix([' ', '=']).filter(|t| t.starts_with('<')) {
            tail = t.find('>').map_or("", |i| &t[i + 1..]);
        }
        return tail.strip_prefix("...").unwrap_or(tail);
    }
    let end = next.find(|c: char| !c.is_alphanumeric() && !"._+-:/".contains(c)).unwrap_or(next.len());
    let value = next[..end].trim_end_matches(['.', ':']);
    let possible = argument.get_possible_values().iter().any(|p| p.matches(value, false));
    let like_a_value = possible || matches!(value, "none" | "auto") || value.starts_with(|c: char| c.is_ascii_digit());
    if !like_a_value {
        return rest;
    }
    *out += "=";
    *out += value;
    &next[value.len()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_speak_of_keys() {
        let to = |text: &str| in_options("displacement", text);
        assert_eq!(to("add --resample, or run `gdalwarp -t_srs X`"), "add RESAMPLE=YES, or run `gdalwarp -t_srs X`");
        assert_eq!(to("or use --units px"), "or use UNITS=px");
        assert_eq!(to("(--nodata none keeps it)"), "(NODATA=none keeps it)");
        assert_eq!(to("the nodata value (--nodata) and --min-valid"), "the nodata value (NODATA) and MIN_VALID");
        assert_eq!(to("a larger --window or --step 4."), "a larger WINDOW or STEP=4.");
        assert_eq!(to("'--region <XOFF> <YOFF> <XSIZE> <YSIZE>' twice"), "'REGION' twice");
        assert_eq!(to("gdal_calc.py --calc x, a--window, --"), "gdal_calc.py --calc x, a--window, --");
        let exists = reworded("displacement", Error::option("--min-valid", 3, "lower --min-valid"));
        assert_eq!(exists.to_string(), "MIN_VALID=3: lower MIN_VALID");
    }
}
