//! GDAL behind a wall: nothing outside this folder knows the gdal crate.
