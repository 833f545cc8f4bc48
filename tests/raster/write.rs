//! What is written says what it is, and nothing is left by what is not finished.

use super::*;
use shiftmap::Error;

#[test]
fn bands_come_back_with_names_units_nodata_and_place() {
    let folder = Folder::new();
    let path = folder.file("truth.tif");
    let mut east = texture(70, 40);
    east.set(3, 2, f32::NAN);
    let north = east.map(|v| -v);
    let georef = utm(500_000.0, 4_000_000.0);
    let bands = [
        Band { description: "East displacement", unit: "m", values: &east },
        Band { description: "North displacement", unit: "m", values: &north },
    ];
    write_bands(&path, &bands, Some(&georef), &[("SHIFTMAP", "SEED", "7 <&>"), ("", "NOTE", "x")], false).unwrap();
    assert_eq!(folder.names(), ["truth.tif"]);

    let info = gdalinfo(&path);
    assert_eq!(info["geoTransform"], serde_json::json!([500000.0, 10.0, 0.0, 4000000.0, 0.0, -10.0]));
    assert!(info["coordinateSystem"]["wkt"].as_str().unwrap().contains("UTM zone 12N"));
    for (i, (name, unit)) in [("East displacement", "m"), ("North displacement", "m")].iter().enumerate() {
        let band = &info["bands"][i];
        assert_eq!(band["description"], *name);
        assert_eq!(band["unit"], *unit);
        assert_eq!(band["type"], "Float32");
        assert_eq!(band["noDataValue"], "NaN");
    }
    assert_eq!(info["metadata"]["SHIFTMAP"]["SEED"], "7 <&>");
    assert_eq!(info["metadata"][""]["NOTE"], "x");
    assert_eq!(info["metadata"]["IMAGE_STRUCTURE"]["COMPRESSION"], "DEFLATE");

    let back = read_all_bands(&path).unwrap();
    assert_eq!(back.descriptions, ["East displacement", "North displacement"]);
    assert_eq!(back.units, ["m", "m"]);
    assert_eq!(back.georef, georef);
    assert!(!back.bands[0].valid.get(3, 2));
    assert_eq!(back.bands[1].values.get(69, 39), north.get(69, 39));
    assert_eq!(back.bands[0].valid.data.iter().filter(|&&v| !v).count(), 1);
}

#[test]
fn an_existing_file_is_replaced_only_on_request() {
    let folder = Folder::new();
    let path = folder.file("a.tif");
    let image = texture(20, 20);
    write_image(&path, &image, PixelType::U16, None, None, false).unwrap();
    let before = std::fs::read(&path).unwrap();
    std::fs::write(format!("{path}.aux.xml"), "<PAMDataset/>").unwrap();
    let error = write_image(&path, &image.map(|v| v + 1.0), PixelType::U16, None, None, false).unwrap_err();
    assert!(matches!(error, Error::Exists(_)) && error.to_string().contains("--overwrite"));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    write_image(&path, &image.map(|v| v + 1.0), PixelType::U16, None, None, true).unwrap();
    assert_eq!(read_all(&open(&path)).values.get(5, 6), image.get(5, 6).round() + 1.0);
    assert_eq!(folder.names(), ["a.tif"], "the statistics of the old pixels must go");
}

#[test]
fn lines_and_pictures() {
    let folder = Folder::new();
    let line = Line {
        points: vec![(500_000.0, 4_000_000.0), (500_100.5, 3_999_900.25), (500_300.0, 3_999_000.0)],
        attributes: vec![
            ("name".into(), Value::Text("main".into())),
            ("slip".into(), Value::Real(1.5)),
            ("n".into(), Value::Integer(3)),
        ],
    };
    let path = folder.file("trace.gpkg");
    let crs = Crs::from_definition("EPSG:32612").unwrap();
    write_lines(&path, "trace", &[line.clone(), line.clone()], Some(&crs), false).unwrap();
    let back = read_lines(&path).unwrap();
    assert_eq!(back, vec![line.points.clone(), line.points]);
    let text = gdal("ogrinfo", &["-al", &path]);
    assert!(text.contains("name (String) = main") && text.contains("slip (Real) = 1.5"), "{text}");
    assert!(text.contains("UTM zone 12N"));

    let path = folder.file("picture.png");
    let rgb: Vec<u8> = (0..3 * 5 * 4).map(|v| v as u8).collect();
    write_png(&path, 5, 4, &rgb, false).unwrap();
    let back = read_all_bands(&path).unwrap();
    assert_eq!(back.bands.len(), 3);
    assert_eq!(back.bands[1].values.get(2, 3), f32::from(rgb[3 * (3 * 5 + 2) + 1]));
    assert_eq!(folder.names(), ["picture.png", "trace.gpkg"]);
}

#[test]
fn pieces_in_any_order_make_the_same_raster() {
    let folder = Folder::new();
    let image = texture(150, 90);
    let georef = utm(0.0, 0.0);
    let write = |path: &str, pieces: &[(usize, usize, usize, usize)], creation: &[&str]| {
        let spec = RasterSpec {
            size: (150, 90),
            pixel: PixelType::F32,
            bands: vec![BandSpec { description: "a".into(), nodata: Some(f64::NAN), ..Default::default() }; 2],
            georef: georef.clone(),
            block: (64, 64),
            metadata: vec![],
        };
        let creation = creation.iter().map(|s| s.to_string()).collect();
        let options = WriteOptions { creation, ..Default::default() };
        let mut writer = RasterWriter::create(path, spec, &options).unwrap();
        for &(x, y, w, h) in pieces {
            let part = image.crop(Window::new(x as i64, y as i64, w, h));
            writer.write(x, y, w, h, &[&part.data, &part.map(|v| 2.0 * v).data]).unwrap();
        }
        writer.finish().unwrap();
        let back = read_all_bands(path).unwrap();
        assert_eq!(back.bands[0].values, image);
        assert_eq!(back.bands[1].values, image.map(|v| 2.0 * v));
    };
    let whole = [(0, 0, 150, 90)];
    let odd = [(0, 0, 50, 33), (50, 0, 100, 33), (0, 33, 150, 20), (100, 53, 50, 37), (0, 53, 100, 37)];
    for (i, creation) in [
        &[][..],
        &["COMPRESS=NONE"],
        &["TILED=NO", "COMPRESS=LZW"],
        &["INTERLEAVE=PIXEL"],
        &["COMPRESS=DEFLATE", "ZLEVEL=9"],
        &["BLOCKXSIZE=32", "BLOCKYSIZE=48"],
    ]
    .iter()
    .enumerate()
    {
        write(&folder.file(&format!("whole{i}.tif")), &whole, creation);
        write(&folder.file(&format!("odd{i}.tif")), &odd, creation);
    }
    let info = gdalinfo(&folder.file("whole0.tif"));
    assert_eq!(info["bands"][0]["block"], serde_json::json!([64, 64]));
    let info = gdalinfo(&folder.file("whole5.tif"));
    assert_eq!(info["bands"][0]["block"], serde_json::json!([32, 48]));
    assert_eq!(folder.names().len(), 12);
}

#[test]
fn a_writer_dropped_half_way_leaves_nothing() {
    let folder = Folder::new();
    let spec = RasterSpec {
        size: (300, 300),
        pixel: PixelType::F32,
        bands: vec![BandSpec::default()],
        georef: GeoReference::none(),
        block: (64, 64),
        metadata: vec![],
    };
    let mut writer = RasterWriter::create(&folder.file("x.tif"), spec, &WriteOptions::default()).unwrap();
    writer.write(0, 0, 300, 10, &[&Grid::filled(300, 10, 1.0).data]).unwrap();
    drop(writer);
    assert!(folder.names().is_empty());
}

#[test]
fn outputs_in_gdals_memory() {
    let image = texture(50, 40);
    let path = "/vsimem/shiftmap-test/a.tif";
    write_image(path, &image, PixelType::F32, None, Some(&utm(0.0, 0.0)), false).unwrap();
    assert_eq!(read_all(&open(path)).values, image);
    let again = write_image(path, &image, PixelType::F32, None, None, false);
    assert!(matches!(again, Err(Error::Exists(_))));
    // The process sees its own memory only while it lives; a file it gives up must go.
    let spec = RasterSpec {
        size: (30, 30),
        pixel: PixelType::F32,
        bands: vec![BandSpec::default()],
        georef: GeoReference::none(),
        block: (64, 64),
        metadata: vec![],
    };
    let other = "/vsimem/shiftmap-test/b.tif";
    drop(RasterWriter::create(other, spec, &WriteOptions::default()).unwrap());
    assert!(RasterBand::open(other, OpenOptions::default()).is_err());
}
