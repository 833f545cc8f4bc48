//! When the driver must not be offered, in words. A driver consists of C++ objects whose layout changes with GDAL's
//! minor version.

/// `3.6` of a `GDAL_VERSION_NUM` such as 3060200.
fn minor(number: i32) -> String {
    format!("{}.{}", number / 1_000_000, number / 10_000 % 100)
}

/// The reason when this library was built for another GDAL than the one in use.
pub fn version(built: i32, running: i32) -> Option<String> {
    (minor(built) != minor(running)).then(|| {
        format!(
            "SHIFTMAP: the driver was built for GDAL {} and GDAL {} is in use, so it is not offered; build shiftmap with \
             this GDAL's headers, or take {} out of GDAL_DRIVER_PATH",
            minor(built),
            minor(running),
            "gdal_SHIFTMAP.so"
        )
    })
}

/// The reason when a GDAL library called that is not the one (`own`) this library is linked to. `release` is the
/// caller's GDAL version, empty when it is not a GDAL library.
pub fn foreign(built: i32, own: &str, caller: &str, release: &str) -> Option<String> {
    (!release.is_empty() && caller != own).then(|| {
        format!(
            "SHIFTMAP: the driver was built for GDAL {} ({own}) and this program uses GDAL {release} ({caller}), so it is \
             not offered here; use a program with GDAL {}, or build shiftmap with this GDAL",
            minor(built),
            minor(built)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_minor_version_is_refused_in_words() {
        assert_eq!(version(3_060_200, 3_060_400), None);
        let text = version(3_060_200, 3_100_300).unwrap();
        assert!(text.contains("built for GDAL 3.6 and GDAL 3.10 is in use"), "{text}");
        assert!(version(3_060_200, 0).is_some());
    }

    #[test]
    fn another_gdal_library_is_refused_in_words() {
        let own = "/usr/lib/libgdal.so.32";
        assert_eq!(foreign(3_060_200, own, own, "3.6.2"), None);
        assert_eq!(foreign(3_060_200, own, "/usr/bin/python3", ""), None);
        let text = foreign(3_060_200, own, "/venv/libgdal-1a.so.36", "3.10.3").unwrap();
        assert!(text.contains("uses GDAL 3.10.3 (/venv/libgdal-1a.so.36)"), "{text}");
    }
}
