//! Several paths in one text, separated by commas.
//!
//! A path that contains a comma, or begins with a quote, is put in double quotes, where a quote is written twice.

/// Splits at commas outside quotes.
///
/// # Errors
/// What is wrong with the quotes, in words.
pub(crate) fn split(text: &str) -> std::result::Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (part, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                (part.to_string(), after)
            }
        };
        parts.push(part);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(parts),
            None => return Err(format!("`{after}` follows a closing quote; a comma is needed there")),
        }
    }
}

/// The text up to the closing quote, with doubled quotes made single, and what follows the quote.
fn unquoted(text: &str) -> std::result::Result<(String, &str), String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('"') {
        out += &rest[..at];
        rest = &rest[at + 1..];
        match rest.strip_prefix('"') {
            Some(next) => {
                out.push('"');
                rest = next;
            }
            None => return Ok((out, rest)),
        }
    }
    Err("a double quote is not closed; write a quote inside quotes twice".into())
}

/// What [`split`] takes apart.
pub(crate) fn join<S: AsRef<str>>(paths: &[S]) -> String {
    let one = |p: &S| match p.as_ref() {
        p if p.contains(',') || p.starts_with('"') => format!("\"{}\"", p.replace('"', "\"\"")),
        p => p.to_string(),
    };
    paths.iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_paths_split_again() {
        for paths in [["a.tif", "b c.tif"], ["a,b.tif", "\"x\".tif"], ["NETCDF:\"a.nc\":v", ""]] {
            assert_eq!(split(&join(&paths)).unwrap(), paths);
        }
        assert!(split("\"a").is_err() && split("\"a\"b,c").is_err());
    }
}
