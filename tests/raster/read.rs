//! What is stored is what is read; what is not there is invalid.

use super::*;
use shiftmap::Error;

/// A Float32 file of whole numbers -20 ... 100, converted by GDAL's own translator.
fn translated(folder: &Folder, name: &str, arguments: &[&str]) -> (String, Grid<f32>) {
    let source = folder.file("source.tif");
    let image = Grid::from_fn(40, 30, |x, y| ((7 * x + 13 * y) % 121) as f32 - 20.0);
    write_image(&source, &image, PixelType::F32, None, Some(&utm(5e5, 4e6)), true).unwrap();
    let path = folder.file(name);
    gdal("gdal_translate", &[&["-q"], arguments, &[&source, &path]].concat());
    (path, image)
}

#[test]
fn every_pixel_type_gives_its_numbers() {
    let folder = Folder::new();
    for kind in ["Byte", "UInt16", "Int16", "UInt32", "Int32", "Float32", "Float64", "UInt64", "Int64"] {
        let (path, image) = translated(&folder, &format!("{kind}.tif"), &["-ot", kind]);
        let low = if kind == "Byte" || kind.starts_with('U') { 0.0 } else { -20.0 };
        // A corner of clamped zeros does not occur, so zeros stay valid.
        let got = read_all(&open(&path));
        assert_eq!(got.values, image.map(|v| v.max(low)), "{kind}");
        assert!(got.all_valid(), "{kind}");
    }
}

#[test]
fn signed_bytes_are_signed() {
    let folder = Folder::new();
    let (path, _) = translated(&folder, "b.tif", &["-ot", "Byte", "-scale", "-20", "100", "0", "240"]);
    let signed = folder.file("s.tif");
    gdal("gdal_translate", &["-q", "-co", "PIXELTYPE=SIGNEDBYTE", &path, &signed]);
    let (plain, got) = (read_all(&open(&path)), read_all(&open_nodata(&signed, NoData::Value(-1.0))));
    for (p, (s, ok)) in plain.values.data.iter().zip(got.values.data.iter().zip(&got.valid.data)) {
        let want = f32::from(*p as u8 as i8);
        assert_eq!((*s, *ok), if want == -1.0 { (0.0, false) } else { (want, true) });
    }
}

#[test]
fn nodata_is_the_declared_value_unless_told_otherwise() {
    let folder = Folder::new();
    for kind in ["Int16", "Float32", "Int32", "Float64"] {
        let (path, image) = translated(&folder, &format!("{kind}.tif"), &["-ot", kind, "-a_nodata", "17"]);
        let count = |v: f32| image.data.iter().filter(|&&x| x == v).count();
        assert!(count(17.0) > 0 && count(17.0) != count(18.0) + 1000);
        assert_eq!(invalid(&read_all(&open(&path))), count(17.0), "{kind}");
        assert_eq!(invalid(&read_all(&open_nodata(&path, NoData::None))), 0, "{kind}");
        let other = read_all(&open_nodata(&path, NoData::Value(18.0)));
        assert_eq!(invalid(&other), count(18.0), "{kind}");
        assert!(other.values.data.contains(&17.0));
        assert_eq!(open(&path).nodata_text(), "17 (declared)");
    }
}

#[test]
fn scale_and_offset_come_after_nodata() {
    let folder = Folder::new();
    for kind in ["Int16", "Float64"] {
        let scaled = ["-ot", kind, "-a_nodata", "17", "-a_scale", "0.5", "-a_offset", "100"];
        let (path, image) = translated(&folder, "scaled.tif", &scaled);
        let got = read_all(&open(&path));
        for (i, &v) in image.data.iter().enumerate() {
            assert_eq!(got.valid.data[i], v != 17.0);
            assert_eq!(got.values.data[i], if v == 17.0 { 0.0 } else { 0.5 * v + 100.0 });
        }
    }
}

#[test]
fn nan_and_infinity_are_invalid() {
    let folder = Folder::new();
    let path = folder.file("nan.tif");
    let mut image = texture(20, 20);
    image.set(3, 4, f32::NAN);
    image.set(5, 6, f32::INFINITY);
    write_image(&path, &image, PixelType::F32, None, None, false).unwrap();
    let got = read_all(&open(&path));
    assert_eq!(invalid(&got), 2);
    assert!(!got.valid.get(3, 4) && !got.valid.get(5, 6));
    assert_eq!(got.values.get(3, 4), 0.0);
}

/// Two bands: the image and a mask of 0 and 255 with a hole of 6 × 5 pixels.
fn with_mask(folder: &Folder) -> String {
    let (image, mask) = (folder.file("i.tif"), folder.file("m.tif"));
    write_image(&image, &texture(40, 30), PixelType::U16, None, None, true).unwrap();
    let hole = Grid::from_fn(40, 30, |x, y| if (10..16).contains(&x) && (20..25).contains(&y) { 0.0 } else { 255.0 });
    write_image(&mask, &hole, PixelType::U16, None, None, true).unwrap();
    let vrt = folder.file("both.vrt");
    gdal("gdalbuildvrt", &["-q", "-separate", &vrt, &image, &mask]);
    vrt
}

#[test]
fn mask_band_and_alpha_count_whatever_the_nodata_option() {
    let folder = Folder::new();
    let both = with_mask(&folder);
    let mask = folder.file("mask.tif");
    let inner = ["--config", "GDAL_TIFF_INTERNAL_MASK", "YES"];
    gdal("gdal_translate", &[&["-q", "-b", "1", "-mask", "2"], &inner[..], &[&both, &mask]].concat());
    let side = folder.file("side.tif");
    gdal("gdal_translate", &["-q", "-b", "1", "-mask", "2", "--config", "GDAL_TIFF_INTERNAL_MASK", "NO", &both, &side]);
    assert!(std::path::Path::new(&format!("{side}.msk")).exists());
    let alpha = folder.file("alpha.tif");
    gdal("gdal_translate", &["-q", "-colorinterp_2", "alpha", &both, &alpha]);
    // GDAL's own mask of a band with a nodata value leaves the alpha band out.
    let both_kinds = folder.file("alpha-nodata.tif");
    gdal("gdal_translate", &["-q", "-colorinterp_2", "alpha", "-a_nodata", "65535", &both, &both_kinds]);
    for path in [&mask, &side, &alpha, &both_kinds] {
        for nodata in [NoData::Auto, NoData::None, NoData::Value(65535.0)] {
            let got = read_all(&open_nodata(path, nodata));
            assert_eq!(invalid(&got), 30, "{path} {nodata:?}");
            assert!(!got.valid.get(10, 20) && got.valid.get(9, 20) && got.valid.get(16, 20));
        }
    }
}

#[test]
fn a_corner_of_zeros_is_an_undeclared_border() {
    let folder = Folder::new();
    let (path, plain) = (folder.file("wedge.tif"), folder.file("plain.tif"));
    let wedge = Grid::from_fn(60, 50, |x, y| if x + 2 * y < 40 { 0.0 } else { texture_at(x as f64, y as f64) as f32 });
    write_image(&path, &wedge, PixelType::U16, None, None, false).unwrap();
    let zeros = wedge.data.iter().filter(|&&v| v == 0.0).count();
    let raster = open(&path);
    assert!(raster.undeclared_zero_border());
    assert_eq!(raster.nodata_text(), "0 (undeclared border)");
    assert_eq!(invalid(&read_all(&raster)), zeros);
    assert_eq!(invalid(&read_all(&open_nodata(&path, NoData::None))), 0);
    // The rule must not depend on the window that is read.
    let mut reader = raster.open().unwrap();
    assert!(!reader.read(Window::new(8, 8, 4, 4)).unwrap().valid.get(0, 0));

    let mut inside = texture(60, 50);
    (20..30).for_each(|x| inside.set(x, 25, 0.0));
    (0..7).for_each(|x| inside.set(x, 0, 0.0));
    write_image(&plain, &inside, PixelType::U16, None, None, false).unwrap();
    let raster = open(&plain);
    assert!(!raster.undeclared_zero_border());
    assert!(read_all(&raster).all_valid(), "a few dark pixels are data");
    // A declared value leaves zeros alone.
    gdal("gdal_translate", &["-q", "-a_nodata", "65535", &path, &folder.file("declared.tif")]);
    assert!(read_all(&open(&folder.file("declared.tif"))).all_valid());
}

#[test]
fn complex_bands_are_read_as_amplitude() {
    let folder = Folder::new();
    let (re, im) = (folder.file("re.tif"), folder.file("im & .tif"));
    // Amplitudes that vary slowly over phases that turn: no detection may change them.
    let amplitude = |x: usize, y: usize| 4000.0 + 900.0 * (0.3 * x as f32).cos() + 500.0 * (0.2 * y as f32).sin();
    let phase = |x: usize, y: usize| 0.4 * x as f32 + 0.9 * y as f32;
    let part = |f: fn(f32) -> f32| Grid::from_fn(90, 80, |x, y| amplitude(x, y) * f(phase(x, y)));
    write_image(&re, &part(f32::cos), PixelType::F32, None, None, false).unwrap();
    write_image(&im, &part(f32::sin), PixelType::F32, None, None, false).unwrap();
    let vrt = format!(
        "<VRTDataset rasterXSize=\"90\" rasterYSize=\"80\"><VRTRasterBand dataType=\"CFloat32\" band=\"1\" \
         subClass=\"VRTDerivedRasterBand\"><PixelFunctionType>complex</PixelFunctionType>\
         <SimpleSource><SourceFilename>{re}</SourceFilename></SimpleSource>\
         <SimpleSource><SourceFilename>{}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>",
        im.replace('&', "&amp;")
    );
    for kind in ["CFloat32", "CInt16"] {
        let path = folder.file(&format!("slc & {kind}.tif"));
        gdal("gdal_translate", &["-q", "-ot", kind, &vrt, &path]);
        let got = read_all(&open(&path));
        assert!(got.all_valid());
        for (x, y) in (24..66).flat_map(|x| (24..56).map(move |y| (x, y))) {
            // The filters' ripple.
            let want = amplitude(x, y);
            assert!(
                (got.values.get(x, y) / want - 1.0).abs() < 3e-3,
                "{kind} {x},{y}: {} for {want}",
                got.values.get(x, y)
            );
        }
        // At the edges there is less to know it by.
        for (x, y) in [(0, 0), (89, 0), (0, 79), (89, 79), (45, 0), (0, 40)] {
            let want = amplitude(x, y);
            assert!(
                (got.values.get(x, y) / want - 1.0).abs() < 0.2,
                "{kind} {x},{y}: {} for {want}",
                got.values.get(x, y)
            );
        }
    }
}

#[test]
fn a_window_may_reach_outside() {
    let folder = Folder::new();
    let path = folder.file("a.tif");
    let image = texture(20, 10);
    write_image(&path, &image, PixelType::F32, None, None, false).unwrap();
    let raster = open(&path);
    let mut reader = raster.open().unwrap();
    let got = reader.read(Window::new(-2, 7, 5, 6)).unwrap();
    for (i, (&v, &ok)) in got.values.data.iter().zip(&got.valid.data).enumerate() {
        let (x, y) = (i as i64 % 5 - 2, i as i64 / 5 + 7);
        let inside = x >= 0 && y < 10;
        assert_eq!((v, ok), if inside { (image.get(x as usize, y as usize), true) } else { (0.0, false) });
    }
    assert_eq!(invalid(&reader.read(Window::new(100, 100, 3, 3)).unwrap()), 9);
}

#[test]
fn threads_read_the_same_through_their_own_handles() {
    let folder = Folder::new();
    let path = folder.file("a.tif");
    write_image(&path, &texture(600, 500), PixelType::U16, None, None, false).unwrap();
    let raster = open(&path);
    let whole = read_all(&raster);
    std::thread::scope(|s| {
        for t in 0..6i64 {
            let (raster, whole) = (&raster, &whole);
            s.spawn(move || {
                let mut reader = raster.open().unwrap();
                for i in 0..20 {
                    let w = Window::new((37 * i + 11 * t) % 500, (53 * i + 29 * t) % 400, 90, 80);
                    assert_eq!(reader.read(w).unwrap().values, whole.values.crop(w));
                }
            });
        }
    });
}

#[test]
fn anything_gdal_opens_can_be_read() {
    let folder = Folder::new();
    let (path, image) = translated(&folder, "a.tif", &["-ot", "Int16"]);
    let vrt = folder.file("a.vrt");
    gdal("gdal_translate", &["-q", "-of", "VRT", &path, &vrt]);
    let zipped = std::process::Command::new("gzip").args(["-k", &path]).status();
    let mut names = vec![vrt, format!("GTIFF_DIR:1:{path}")];
    if zipped.is_ok_and(|s| s.success()) {
        names.push(format!("/vsigzip/{path}.gz"));
    }
    for name in names {
        assert_eq!(read_all(&open(&name)).values, image, "{name}");
    }
    let overview = folder.file("o.tif");
    write_image(&overview, &texture(512, 512), PixelType::U16, None, None, false).unwrap();
    gdal("gdaladdo", &["-q", &overview, "2"]);
    let options = OpenOptions { open_options: vec!["OVERVIEW_LEVEL=0".into()], ..Default::default() };
    assert_eq!(RasterBand::open(&overview, options).unwrap().width(), 256);
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_zeros() {
    let folder = Folder::new();
    let path = folder.file("cut.tif");
    for creation in [&["TILED=YES", "COMPRESS=DEFLATE"][..], &[], &["COMPRESS=LZW"]] {
        let options: Vec<&str> = creation.iter().flat_map(|c| ["-co", c]).collect();
        let source = folder.file("whole.tif");
        write_image(&source, &texture(700, 700), PixelType::U16, None, None, true).unwrap();
        gdal("gdal_translate", &[&["-q"], &options[..], &[&source, &path]].concat());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let outcome =
            RasterBand::open(&path, OpenOptions::default()).and_then(|r| r.open()?.read(Window::new(0, 0, 700, 700)));
        let error = outcome.expect_err("half a file cannot be read").to_string();
        assert!(error.contains("cut.tif"), "{error}");
        assert!(error.contains("truncated") || error.contains("gdalinfo"), "{error}");
    }
}

#[test]
fn bands_are_counted_from_one() {
    let folder = Folder::new();
    let (path, _) = translated(&folder, "three.tif", &["-b", "1", "-b", "1", "-b", "1"]);
    let band = |band| RasterBand::open(&path, OpenOptions { band, ..Default::default() });
    assert!(band(3).is_ok());
    for n in [0, 4, 7] {
        let error = band(n).unwrap_err();
        assert!(matches!(error, Error::Option { .. }));
        assert_eq!(error.to_string(), format!("--band {n}: {path} has 3 bands; choose 1 to 3"));
    }
}
