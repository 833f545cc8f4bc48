//! Opening one band of anything GDAL can open.

use super::georef::GeoReference;
use super::reason;
use crate::grid::{ImageFile, ImageReader};
use crate::{Error, Result};
use gdal::raster::{ColorInterpretation, GdalDataType};
use gdal::{Dataset, DatasetOptions, GdalOpenFlags, Metadata};

use super::read::{self, BandReader};
use super::shared::SharedImage;
use super::writer::PixelType;

/// Which pixel value means "no data" (`--nodata`). Mask bands, alpha, NaN and infinite values always count.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum NoData {
    /// The declared value; without one, and with a corner of the image (8 × 8 pixels) that is entirely 0, the value 0:
    /// the undeclared border of Landsat scenes and of warped images. The rule looks at the corners only, once, so that
    /// it does not depend on how the image is read.
    #[default]
    Auto,
    /// No value: the declared one is ignored.
    None,
    /// This value (of the stored numbers, before scale and offset) instead of the declared one.
    Value(f64),
}

/// How to open a band.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenOptions {
    /// Band number, from 1.
    pub band: usize,
    pub nodata: NoData,
    /// GDAL open options, `KEY=VALUE`.
    pub open_options: Vec<String>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions { band: 1, nodata: NoData::Auto, open_options: Vec::new() }
    }
}

/// How pixel values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    /// Exact in f32.
    Narrow,
    /// Needs f64 to compare with nodata exactly.
    Wide,
    /// Bytes that GDAL hands out as 0 to 255 and mean -128 to 127.
    SignedByte,
    /// Complex numbers, read as amplitude.
    Complex,
}

/// What is read of complex numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum ComplexPart {
    #[default]
    Amplitude,
    Real,
    Imaginary,
}

/// Which test beyond masks decides about a pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ValueRule {
    /// GDAL's mask of the band (declared nodata, mask band or alpha).
    Mask,
    /// A stored value; the declared one is not looked at.
    Value(f64),
    /// Every finite value counts.
    All,
}

/// One band of a raster: any path or connection string GDAL opens. Each reader has a handle of its own.
#[derive(Debug, Clone)]
pub struct RasterBand {
    path: String,
    options: OpenOptions,
    size: (usize, usize),
    georef: GeoReference,
    date: Option<String>,
    nodata_text: String,
    undeclared_zero: bool,
    integer: bool,
    /// GDAL's name of the data type.
    type_name: String,
    /// Declared nodata, in stored numbers.
    declared: Option<f64>,
    pub(super) storage: Storage,
    pub(super) rule: ValueRule,
    /// Whether GDAL's mask holds anything that the value rule does not replace.
    pub(super) masked: bool,
    /// An alpha band that GDAL's mask of this band leaves out.
    pub(super) alpha: Option<usize>,
    /// The file's alpha band, whether or not GDAL's mask has it already.
    file_alpha: Option<usize>,
    pub(super) scale: (f64, f64),
    pub(super) part: ComplexPart,
    /// Pixels that are not in a file.
    array: Option<SharedImage>,
}

impl RasterBand {
    /// Opens band `options.band` of `path`.
    ///
    /// # Errors
    /// [`Error::Open`] with GDAL's reason, [`Error::Option`] for a band that is not there.
    pub fn open(path: &str, options: OpenOptions) -> Result<RasterBand> {
        if let Some(image) = SharedImage::find(path) {
            return match options.band {
                1 => Ok(RasterBand::of_image(image, options)),
                band => Err(Error::option("--band", band, "an array has one band")),
            };
        }
        let dataset = open_dataset(path, &options.open_options)?;
        let bands = dataset.raster_count();
        if bands == 0 {
            return Err(no_bands(path, &dataset));
        }
        if options.band == 0 || options.band > bands {
            let plural = if bands == 1 { "" } else { "s" };
            let why = format!("{path} has {bands} band{plural}; choose 1 to {bands}");
            return Err(Error::option("--band", options.band, why));
        }
        let fail = |e| Error::Open { path: path.into(), why: reason(e) };
        let band = dataset.rasterband(options.band).map_err(fail)?;
        let kind = band.band_type();
        let storage = storage_of(&band);
        let flags = band.mask_flags().map_err(fail)?;
        // GDAL makes up a mask from the declared value, which an explicit rule replaces; for signed bytes it compares
        // the wrong numbers.
        let from_value = flags.is_nodata() && !flags.is_per_dataset();
        let declared = band.no_data_value();
        let mut rule = match options.nodata {
            NoData::Auto if from_value && storage == Storage::SignedByte => {
                declared.map_or(ValueRule::All, ValueRule::Value)
            }
            NoData::Auto => ValueRule::Mask,
            NoData::None => ValueRule::All,
            NoData::Value(v) => ValueRule::Value(v),
        };
        let masked = !flags.is_all_valid() && (rule == ValueRule::Mask || !from_value);
        let file_alpha = alpha_band(&dataset, options.band);
        let alpha = file_alpha.filter(|_| !flags.is_alpha());
        let scale = (band.scale().unwrap_or(1.0), band.offset().unwrap_or(0.0));

        let mut raster = RasterBand {
            path: path.into(),
            size: dataset.raster_size(),
            georef: GeoReference::of(&dataset),
            date: date_of(&dataset),
            nodata_text: String::new(),
            undeclared_zero: false,
            integer: kind.is_integer(),
            type_name: kind.name(),
            declared,
            storage,
            rule,
            masked,
            alpha,
            file_alpha,
            scale,
            options,
            part: ComplexPart::Amplitude,
            array: None,
        };
        let nothing_declared = raster.options.nodata == NoData::Auto && flags.is_all_valid() && alpha.is_none();
        if nothing_declared && read::zero_corner(&raster)? {
            rule = ValueRule::Value(0.0);
            raster.rule = rule;
            raster.undeclared_zero = true;
        }
        raster.nodata_text = match (rule, raster.undeclared_zero) {
            (_, true) => "0 (undeclared border)".into(),
            (ValueRule::Value(v), _) => v.to_string(),
            (ValueRule::All, _) => "none".into(),
            (ValueRule::Mask, _) => match declared {
                Some(v) if from_value => format!("{v} (declared)"),
                _ if masked && flags.is_alpha() => "alpha band".into(),
                _ if masked => "mask band".into(),
                _ => "none".into(),
            },
        };
        Ok(raster)
    }

    /// An image in memory as if it were a file, without georeference.
    fn of_image(image: SharedImage, options: OpenOptions) -> RasterBand {
        RasterBand {
            path: image.file().name(),
            options,
            size: image.file().size(),
            georef: GeoReference::none(),
            date: None,
            nodata_text: "mask".into(),
            undeclared_zero: false,
            integer: false,
            type_name: "Float32".into(),
            declared: None,
            storage: Storage::Narrow,
            rule: ValueRule::All,
            masked: false,
            alpha: None,
            file_alpha: None,
            scale: (1.0, 0.0),
            part: ComplexPart::Amplitude,
            array: Some(image),
        }
    }

    /// The path as given.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path, with the band where it is not the first: for messages.
    pub fn label(&self) -> String {
        match self.options.band {
            1 => self.path.clone(),
            n => format!("{} (band {n})", self.path),
        }
    }

    pub fn options(&self) -> &OpenOptions {
        &self.options
    }

    pub fn width(&self) -> usize {
        self.size.0
    }

    pub fn height(&self) -> usize {
        self.size.1
    }

    pub fn georef(&self) -> &GeoReference {
        &self.georef
    }

    /// Acquisition or file date as the metadata give it.
    pub fn date(&self) -> Option<&str> {
        self.date.as_deref()
    }

    /// What counts as nodata, in words, for metadata and messages.
    pub fn nodata_text(&self) -> &str {
        &self.nodata_text
    }

    /// Whether 0 was taken as nodata because of an image corner full of zeros.
    pub fn undeclared_zero_border(&self) -> bool {
        self.undeclared_zero
    }

    /// Whether the band stores complex numbers; it is read as their amplitude, which is taken of the signal at half pixels and
    /// low-passed (`detect/`).
    pub fn is_complex(&self) -> bool {
        self.storage == Storage::Complex
    }

    /// Real and imaginary part of a complex band; their valid pixels are those of the amplitude.
    ///
    /// # Errors
    /// [`Error::Data`] when the band is not complex.
    pub fn real_and_imaginary(&self) -> Result<[RasterBand; 2]> {
        if !self.is_complex() {
            return Err(Error::Data(format!(
                "{} stores {} numbers: --complex coherence compares single-look complex images, e.g. of Sentinel-1 SLC; use \
                 --complex amplitude for detected ones",
                self.label(),
                self.type_name
            )));
        }
        Ok([ComplexPart::Real, ComplexPart::Imaginary].map(|part| RasterBand { part, ..self.clone() }))
    }

    /// How the band is stored; `None` for types that [`RasterWriter`](super::RasterWriter) does not write.
    pub fn pixel_type(&self) -> Option<PixelType> {
        match (self.storage, self.type_name.as_str()) {
            (Storage::Narrow, "Byte" | "UInt8") => Some(PixelType::U8),
            (Storage::Narrow, "UInt16") => Some(PixelType::U16),
            (Storage::Narrow, "Int16") => Some(PixelType::I16),
            (Storage::Narrow, "Float32") => Some(PixelType::F32),
            _ => None,
        }
    }

    /// GDAL's name of the data type.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// The stored number that means nodata, where there is one.
    pub fn nodata_value(&self) -> Option<f64> {
        match self.rule {
            ValueRule::Value(v) => Some(v),
            ValueRule::Mask => self.declared,
            ValueRule::All => None,
        }
    }

    /// Scale and offset from stored numbers to values.
    pub fn scale_and_offset(&self) -> (f64, f64) {
        self.scale
    }

    /// The alpha band of the file, if this is not it.
    pub fn alpha_band(&self) -> Option<usize> {
        self.alpha.or(self.file_alpha)
    }

    /// Whether the band stores whole numbers.
    pub fn is_integer(&self) -> bool {
        self.integer
    }
}

impl ImageFile for RasterBand {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn open(&self) -> Result<Box<dyn ImageReader + '_>> {
        match &self.array {
            Some(image) => image.file().open(),
            None => Ok(Box::new(BandReader::new(self)?)),
        }
    }

    fn name(&self) -> String {
        self.label()
    }

    fn well_sampled(&self) -> bool {
        self.array.is_none() && self.is_complex() && self.part == ComplexPart::Amplitude
    }
}

/// Opens a raster read-only, with GDAL's reason when it cannot.
pub(super) fn open_dataset(path: &str, open_options: &[String]) -> Result<Dataset> {
    let keys: Vec<&str> = open_options.iter().map(String::as_str).collect();
    let options = DatasetOptions {
        open_flags: GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR,
        open_options: (!keys.is_empty()).then_some(keys.as_slice()),
        ..Default::default()
    };
    Dataset::open_ex(path, options).map_err(|e| {
        let text = reason(e);
        let why = if text.contains("No such file") || text.contains("does not exist") {
            "no such file; check the path".into()
        } else if text.contains("not recognized as") {
            format!("not a raster that GDAL can read; `gdalinfo {path}` tells more")
        } else {
            let text = text.strip_prefix(&format!("{path}: ")).unwrap_or(&text);
            format!("{text}; `gdalinfo {path}` tells more")
        };
        Error::Open { path: path.into(), why }
    })
}

/// Containers such as HDF or Sentinel-2 products hold their rasters in subdatasets.
fn no_bands(path: &str, dataset: &Dataset) -> Error {
    let first = dataset.metadata_item("SUBDATASET_1_NAME", "SUBDATASETS");
    let why = match first {
        Some(name) => format!("it has no bands of its own; give one of its subdatasets, e.g. {name}"),
        None => format!("it has no raster bands; `gdalinfo {path}` tells more"),
    };
    Error::Open { path: path.into(), why }
}

fn storage_of(band: &gdal::raster::RasterBand) -> Storage {
    use GdalDataType as T;
    // Types are compared by name: the list of types grows with GDAL's version.
    match band.band_type() {
        T::UInt8 if band.metadata_item("PIXELTYPE", "IMAGE_STRUCTURE").as_deref() == Some("SIGNEDBYTE") => {
            Storage::SignedByte
        }
        T::UInt8 | T::UInt16 | T::Int16 | T::Float32 => Storage::Narrow,
        t if t.name() == "Int8" => Storage::Narrow,
        // The crate has no complex types and says "unknown".
        T::Unknown => Storage::Complex,
        _ => Storage::Wide,
    }
}

fn alpha_band(dataset: &Dataset, own: usize) -> Option<usize> {
    (1..=dataset.raster_count())
        .rev()
        .filter(|&i| i != own)
        .find(|&i| dataset.rasterband(i).is_ok_and(|b| b.color_interpretation() == ColorInterpretation::AlphaBand))
}

fn date_of(dataset: &Dataset) -> Option<String> {
    [
        ("ACQUISITIONDATETIME", "IMAGERY"),
        ("ACQUISITIONDATE", ""),
        ("ACQUISITION_DATE", ""),
        ("DATE_ACQUIRED", ""),
        ("PRODUCT_START_TIME", ""),
        ("TIFFTAG_DATETIME", ""),
    ]
    .iter()
    .find_map(|(key, domain)| dataset.metadata_item(key, domain))
    .filter(|v| !v.trim().is_empty())
}
