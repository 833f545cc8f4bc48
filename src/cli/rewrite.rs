//! GDAL's options with one dash in the form clap knows.

use std::ffi::OsString;

/// `-of X` becomes `--of X` and so on; everything after `--` is left alone.
pub(super) fn gdal_forms(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut plain = false;
    arguments
        .into_iter()
        .map(|a| {
            plain |= a == "--";
            match a.to_str() {
                Some("-of" | "-co" | "-oo" | "-overwrite") if !plain => format!("-{}", a.to_string_lossy()).into(),
                _ => a,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gdal_forms_before_the_double_dash_change() {
        let of = |words: &[&str]| gdal_forms(words.iter().map(OsString::from));
        assert_eq!(of(&["x", "-of", "COG", "-q", "-b", "2"]), ["x", "--of", "COG", "-q", "-b", "2"]);
        assert_eq!(of(&["x", "-overwrite", "--", "-co"]), ["x", "--overwrite", "--", "-co"]);
    }
}
