//! The main job from file names to the finished product; every door (command line, C ABI, driver) goes through here.

use crate::grid::{ImageFile, PointFile, Window};
use crate::layout::Layout;
use crate::net::{Kind, Net, NetOptions, Sensor, guess, models};
use crate::options;
use crate::pipeline::{
    self, ComplexUse, MethodName, Pair, Params, PeakQuality, PeakSigma, Prefilter, Report, Shape, SigmaScale,
};
use crate::progress::Progress;
use crate::raster::{
    GeoReference, Ground, JumpWriter, MaskedImage, NoData, OpenOptions, Places, PointRaster, ProductWriter, RasterBand,
    Resampled, Units, WriteOptions, compare, read_cuts,
};
use crate::{Error, Result};

/// Largest displacement looked for on each axis (`--search`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Search {
    /// Pixels along columns and rows.
    Pixels(f64, f64),
    Metres(f64),
    /// Found on the pair, up to so many pixels.
    Auto(f64),
}

/// How sigma is calibrated (`--stable`).
#[derive(Debug, Clone, PartialEq)]
pub enum Stable {
    /// Not at all.
    None,
    /// By the scatter between neighbouring windows.
    Auto,
    /// On the ground that a raster or polygons mark as stable.
    Places(String),
}

/// Everything `shiftmap displacement` is told.
#[derive(Debug, Clone)]
pub struct Job {
    pub pre: String,
    pub post: String,
    pub out: String,
    pub pre_options: OpenOptions,
    pub post_options: OpenOptions,
    /// Bands of pre and post that are matched together with the first.
    pub more_bands: Vec<(usize, usize)>,
    /// Further pairs of the same motion, PRE and POST, on the grids of the first; their correlations are added to its own.
    pub stack: Vec<(String, String)>,
    /// Its `search` is replaced by the job's.
    pub params: Params,
    pub search: Search,
    /// Displacement raster around which is searched.
    pub prior: Option<String>,
    pub stable: Stable,
    /// Raster or polygons where pixels of both images are left out.
    pub mask: Option<String>,
    /// Layer of lines that no window may reach across.
    pub cut: Option<String>,
    /// File for the faults that are found; given, windows near a jump are split.
    pub split: Option<String>,
    pub units: Units,
    /// Part of the pre image in pixels.
    pub region: Option<Window>,
    pub resample: bool,
    pub write: WriteOptions,
    pub threads: usize,
    pub seed: u64,
    /// For the method `net`.
    pub net: NetOptions,
}

impl Job {
    /// The job with the command line's defaults.
    pub fn new(pre: &str, post: &str, out: &str) -> Job {
        let params = Params::default();
        Job {
            pre: pre.into(),
            post: post.into(),
            out: out.into(),
            pre_options: OpenOptions::default(),
            post_options: OpenOptions::default(),
            more_bands: Vec::new(),
            stack: Vec::new(),
            search: Search::Pixels(params.search.0, params.search.1),
            params,
            prior: None,
            stable: Stable::None,
            mask: None,
            cut: None,
            split: None,
            units: Units::Auto,
            region: None,
            resample: false,
            write: WriteOptions::default(),
            threads: 1,
            seed: 0,
            net: NetOptions::default(),
        }
    }
}

/// What a finished job says about itself.
#[derive(Debug, Clone)]
pub struct Summary {
    pub output: String,
    /// Columns and rows of the product.
    pub size: (usize, usize),
    pub geotransform: [f64; 6],
    /// Unit of the displacement bands.
    pub unit: &'static str,
    pub window: (usize, usize),
    pub step: (usize, usize),
    /// Left, top, width and height of the window of the product's first cell, in pre pixels.
    pub first_window: (i64, i64, usize, usize),
    /// Where the centre of pre pixel (0, 0) lies in the post image.
    pub origin: (f64, f64),
    pub report: Report,
}

/// The pre and post image of one band.
type ImagePair = (Box<dyn ImageFile + Send>, Box<dyn ImageFile + Send>);

/// A job's inputs: opened, checked and brought together; nothing is measured yet.
pub struct Prepared {
    pub layout: Layout,
    /// With the search in pixels.
    pub params: Params,
    /// How displacements are expressed.
    pub ground: Ground,
    /// Georeference of the pre image.
    pub georef: GeoReference,
    /// Where the centre of pre pixel (0, 0) lies in the post image.
    pub origin: (f64, f64),
    /// What the product says about how it is made; a run adds the facts of its [`Report`].
    pub metadata: Vec<(String, String)>,
    images: Vec<ImagePair>,
    prior: Option<PointRaster>,
    stable: Option<Places>,
    /// Lines that no window may reach across, pre pixels.
    cuts: Vec<Vec<(f64, f64)>>,
}

impl Prepared {
    /// The images as the engine wants them.
    pub fn pair(&self) -> Pair<'_> {
        let bands = self.images.iter().map(|(pre, post)| (&**pre as &dyn ImageFile, &**post as &dyn ImageFile));
        Pair {
            bands: bands.collect(),
            origin: self.origin,
            prior: self.prior.as_ref().map(|p| p as &dyn PointFile),
            stable: self.stable.as_ref().map(|s| s as &dyn PointFile),
            cuts: &self.cuts,
        }
    }
}

impl Job {
    /// Opens and checks the inputs. `note` receives messages for the user.
    ///
    /// # Errors
    /// Inputs that cannot be opened or do not fit, unusable options.
    pub fn prepare(&self, note: &mut dyn FnMut(&str)) -> Result<Prepared> {
        let (pre, post) = self.open()?;
        self.prepare_on(pre, post, note)
    }

    fn open(&self) -> Result<(RasterBand, RasterBand)> {
        let pre = RasterBand::open(&self.pre, self.pre_options.clone())?;
        let post = RasterBand::open(&self.post, self.post_options.clone()).map_err(|e| self.post_band_error(e))?;
        Ok((pre, post))
    }

    fn prepare_on(&self, pre: RasterBand, post: RasterBand, note: &mut dyn FnMut(&str)) -> Result<Prepared> {
        let ground = self.ground(&pre, note)?;
        [&pre, &post].into_iter().for_each(|image| zero_border(image, note));
        let mut params = self.decided(&pre)?;
        self.load_net(&mut params, &pre, note)?;
        let prior = self.prior.as_deref().map(|p| PointRaster::displacement(p, pre.georef())).transpose()?;
        let stable = match &self.stable {
            Stable::Places(path) => Some(Places::open(path, "--stable", pre.georef())?),
            _ => None,
        };
        let origin = if self.resample { (0.0, 0.0) } else { compare(&pre, &post)? };
        let layout = Layout::new(ImageFile::size(&pre), params.window, params.step, self.region)?;
        let cuts = self.cuts(&pre, note)?;
        let metadata = self.metadata(&pre, &post, &params, ground, origin);
        let georef = pre.georef().clone();
        let grid = pre.clone();
        let mut pairs = vec![(pre, post)];
        for &(a, b) in &self.more_bands {
            pairs.push(self.open_bands((&self.pre, &self.post), (a, b))?);
        }
        for pair in &self.stack {
            let first = (self.pre_options.band, self.post_options.band);
            for (k, bands) in std::iter::once(first).chain(self.more_bands.iter().copied()).enumerate() {
                let (pre, post) = self.open_bands((&pair.0, &pair.1), bands)?;
                if k == 0 {
                    self.check_stacked((&pairs[0].0, &pairs[0].1), (&pre, &post), origin)?;
                    [&pre, &post].into_iter().for_each(|image| zero_border(image, note));
                }
                pairs.push((pre, post));
            }
        }
        if params.complex == ComplexUse::Coherence {
            // The amplitudes of the first pair, then real and imaginary part of each.
            let guide = pairs[0].clone();
            let parts = pairs.iter().map(|(pre, post)| Ok((pre.real_and_imaginary()?, post.real_and_imaginary()?)));
            let parts = parts.collect::<Result<Vec<_>>>()?;
            let parts = parts.into_iter().flat_map(|(pre, post)| pre.into_iter().zip(post));
            pairs = std::iter::once(guide).chain(parts).collect();
        }
        let images = pairs.into_iter().enumerate().map(|(k, (pre, post))| self.image_pair(&grid, k, pre, post));
        let images = images.collect::<Result<Vec<_>>>()?;
        Ok(Prepared { layout, params, ground, georef, origin, metadata, images, prior, stable, cuts })
    }

    /// An image without what `--mask` leaves out; `georef` is the image's.
    fn masked(&self, image: Box<dyn ImageFile + Send>, georef: &GeoReference) -> Result<Box<dyn ImageFile + Send>> {
        Ok(match &self.mask {
            Some(path) => Box::new(MaskedImage::new(image, Places::open(path, "--mask", georef)?)),
            None => image,
        })
    }

    /// A band of a pair.
    fn open_bands(&self, (pre, post): (&str, &str), (a, b): (usize, usize)) -> Result<(RasterBand, RasterBand)> {
        let pre = RasterBand::open(pre, OpenOptions { band: a, ..self.pre_options.clone() })?;
        let options = OpenOptions { band: b, ..self.post_options.clone() };
        Ok((pre, RasterBand::open(post, options).map_err(|e| self.post_band_error(e))?))
    }

    /// Pair number `k` as it is read: on the grid of the first pre image and without what `--mask` leaves out.
    fn image_pair(&self, grid: &RasterBand, k: usize, pre: RasterBand, post: RasterBand) -> Result<ImagePair> {
        let warped = |image: RasterBand, wanted: bool| -> Result<Box<dyn ImageFile + Send>> {
            let georef = if wanted { grid.georef().clone() } else { image.georef().clone() };
            let image: Box<dyn ImageFile + Send> =
                if wanted { Box::new(Resampled::new(grid, &image)?) } else { Box::new(image) };
            self.masked(image, &georef)
        };
        let stacked = k > self.more_bands.len() && !self.stack.is_empty();
        Ok((warped(pre, self.resample && stacked)?, warped(post, self.resample)?))
    }

    /// A further pair must lie on the grids of the first.
    fn check_stacked(
        &self,
        (pre, post): (&RasterBand, &RasterBand),
        (a, b): (&RasterBand, &RasterBand),
        origin: (f64, f64),
    ) -> Result<()> {
        if self.resample {
            return Ok(());
        }
        let size = |r: &RasterBand| (r.width(), r.height());
        let differ = |own: &RasterBand, first: &RasterBand, what: String| {
            let why = "the images of --stack-pair lie on the grids of the first pair; bring them there with gdalwarp or --resample";
            Err(Error::GridMismatch(format!("{} {what} {}; {why}", own.label(), first.label())))
        };
        let sizes = |own: &RasterBand, first: &RasterBand| {
            let ((w, h), (v, u)) = (size(own), size(first));
            differ(own, first, format!("has {w} x {h} pixels, not {v} x {u} as"))
        };
        let at = compare(pre, a)?;
        if at != (0.0, 0.0) {
            return differ(a, pre, format!("lies {} columns and {} rows from", -at.0, -at.1));
        }
        if size(a) != size(pre) {
            return sizes(a, pre);
        }
        let at = compare(pre, b)?;
        if (at.0 - origin.0).hypot(at.1 - origin.1) > 1e-6 {
            return differ(b, post, format!("lies {} columns and {} rows from", origin.0 - at.0, origin.1 - at.1));
        }
        // Without a georeference the size is all there is to compare.
        if !pre.georef().referenced && size(b) != size(post) {
            return sizes(b, post);
        }
        Ok(())
    }

    /// All band numbers of pre and of post, as the options take them.
    fn band_lists(&self) -> (String, String) {
        let first = (self.pre_options.band, self.post_options.band);
        let all: Vec<_> = std::iter::once(first).chain(self.more_bands.iter().copied()).collect();
        let join = |v: Vec<String>| v.join(",");
        (join(all.iter().map(|b| b.0.to_string()).collect()), join(all.iter().map(|b| b.1.to_string()).collect()))
    }

    /// Every file that the result depends on.
    pub fn inputs(&self) -> Vec<&str> {
        let stable = match &self.stable {
            Stable::Places(path) => Some(path),
            _ => None,
        };
        let options = self.prior.iter().chain(stable).chain(&self.cut).chain(&self.mask);
        let stack = self.stack.iter().flat_map(|(a, b)| [a, b]);
        [&self.pre, &self.post].into_iter().chain(options).chain(stack).map(String::as_str).collect()
    }

    /// The files of networks that the result may depend on, too.
    pub fn model_files(&self) -> Vec<String> {
        match self.params.method {
            MethodName::Net => self.net.models().into_iter().filter_map(|m| models::path_of(m).ok()).collect(),
            _ => Vec::new(),
        }
    }

    /// Measures and writes the product. `note` receives messages for the user.
    ///
    /// # Errors
    /// Everything in [`Error`]; nothing is left behind then.
    pub fn run(&self, note: &mut dyn FnMut(&str), progress: &mut dyn Progress) -> Result<Summary> {
        let (pre, post) = self.open()?;
        self.run_on(pre, post, note, progress)
    }

    /// [`Job::run`] with images that are open already, such as arrays.
    ///
    /// # Errors
    /// Those of [`Job::run`].
    pub fn run_on(
        &self,
        pre: RasterBand,
        post: RasterBand,
        note: &mut dyn FnMut(&str),
        progress: &mut dyn Progress,
    ) -> Result<Summary> {
        let prepared = self.prepare_on(pre, post, note)?;
        let Prepared { layout, params, ground, georef, origin, metadata, .. } = &prepared;
        self.check_output()?;

        let mut product = ProductWriter::create(&self.out, layout, georef, *ground, metadata, &self.write)?;
        if let Some(path) = &self.split {
            product = product.with_jumps(JumpWriter::create(path, georef, *ground, self.write.overwrite)?);
        }
        // The last hundredth is for writing: "done" must not be said of a file that is not there yet.
        let mut matching = |fraction: f64, message: &str| progress.report(0.99 * fraction, message);
        let report = pipeline::run(&prepared.pair(), layout, params, self.threads, &mut product, &mut matching)?;
        for (key, value) in &report.facts {
            product.set_metadata(key, value)?;
        }
        self.explain(&report, note);
        if !progress.report(0.99, "writing") {
            return Err(Error::Cancelled);
        }
        product.finish()?;
        progress.report(1.0, "done");
        let first = layout.cell_window(layout.region.x as usize, layout.region.y as usize);
        Ok(Summary {
            output: self.out.clone(),
            size: (layout.region.width, layout.region.height),
            geotransform: layout.geotransform(&georef.transform).0,
            unit: ground.unit,
            window: params.window,
            step: params.step,
            first_window: (first.x, first.y, first.width, first.height),
            origin: *origin,
            report,
        })
    }

    /// What was decided on the pair, for the user.
    fn explain(&self, report: &Report, note: &mut dyn FnMut(&str)) {
        let fact = |key: &str| report.facts.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        if let (Some(search), Some(why)) = (fact("SEARCH_PX"), fact("SEARCH_AUTO")) {
            note(&format!("search: {search} px ({why})"));
        }
        if let Some(factors) = fact("SIGMA_FACTORS") {
            let from = fact("SIGMA_FACTORS_FROM").unwrap_or("0");
            let what =
                if self.stable == Stable::Auto { "pairs of neighbouring windows" } else { "cells on stable ground" };
            note(&format!("sigma times {factors} (along columns, rows), from {from} {what}"));
        }
        if let Some(median) = fact("STABLE_MEDIAN_PX") {
            note(&format!("median displacement of the stable ground: {median} px (right, down); not removed"));
        }
    }

    fn post_band_error(&self, e: Error) -> Error {
        match e {
            Error::Option { name, value, why }
                if name == "--band" && self.post_options.band != self.pre_options.band =>
            {
                Error::Option { name: "--post-band".into(), value, why }
            }
            e => e,
        }
    }

    /// The lines of `--cut` on the pre image.
    fn cuts(&self, pre: &RasterBand, note: &mut dyn FnMut(&str)) -> Result<Vec<Vec<(f64, f64)>>> {
        let Some(source) = &self.cut else { return Ok(Vec::new()) };
        let found = read_cuts(source, pre.georef(), ImageFile::size(pre))?;
        if found.lines.is_empty() {
            note(&format!("{source}: none of its {} lines meets {}; nothing is cut", found.total, pre.label()));
        }
        Ok(found.lines)
    }

    fn ground(&self, pre: &RasterBand, note: &mut dyn FnMut(&str)) -> Result<Ground> {
        let ground = pre.georef().ground(self.units, pre.path(), ImageFile::size(pre))?;
        if self.units == Units::Auto && ground.unit == "px" {
            note(&format!("{}: no coordinate reference system, the result is in pixels (+right, +up)", pre.path()));
        }
        Ok(ground)
    }

    /// Loads the network of the method `net`; one for windows decides their size.
    fn load_net(&self, params: &mut Params, pre: &RasterBand, note: &mut dyn FnMut(&str)) -> Result<()> {
        if params.method != MethodName::Net {
            let why = "only --method net runs a network";
            let options = &self.net;
            return match () {
                _ if options.model.is_some() => Err(Error::option("--model", options.model(), why)),
                _ if options.sensor.is_some() => Err(Error::option("--sensor", "given", why)),
                _ if options.passes != 1 => Err(Error::option("--net-passes", options.passes, why)),
                _ if options.average => Err(Error::option("--net-average", "given", why)),
                _ if options.tile.is_some() => Err(Error::option("--net-tile", options.tile.unwrap_or_default(), why)),
                _ => Ok(()),
            };
        }
        let mut options = self.net.clone();
        if options.model.is_none() && options.sensor.is_none() {
            let (sensor, rough) = guess::sensor(pre, &std::sync::atomic::AtomicBool::new(false))?;
            options.sensor = Some(sensor);
            let (name, other) = match sensor {
                Sensor::Sar => ("sar", "optical"),
                _ => ("optical", "sar"),
            };
            note(&format!(
                "sensor: {name} (neighbouring pixels of the smoothest places differ by {:.1} % of their mean, speckle by {:.0} % and \
                 more), so the network is {}; otherwise give --sensor {other}",
                100.0 * rough,
                100.0 * guess::ROUGH,
                options.model()
            ));
        }
        let net = Net::load(&options)?;
        net.check_bands(1 + self.more_bands.len())?;
        let card = &net.model.card;
        if card.kind == Kind::Window && params.window != (card.tile, card.tile) {
            note(&format!("the windows of the network {} are {1} x {1} pixels: --window {1}", card.title(), card.tile));
            params.window = (card.tile, card.tile);
        }
        params.net = Some(net);
        Ok(())
    }

    /// The parameters with everything that the options and the pre image's georeference decide.
    fn decided(&self, pre: &RasterBand) -> Result<Params> {
        if self.split.is_some() && self.params.method != MethodName::Lsm {
            return Err(Error::option(
                "--split",
                method(self.params.method),
                "windows are split by the method lsm only",
            ));
        }
        self.check_stack()?;
        if self.params.complex == ComplexUse::Coherence && self.resample {
            let why = "complex images are not warped; bring them onto one grid with an InSAR processor, or use --complex amplitude";
            return Err(Error::option("--resample", "given", why));
        }
        let auto_search = match self.search {
            Search::Auto(cap) => Some(cap),
            _ => None,
        };
        let sigma_scale = match self.stable {
            Stable::None => SigmaScale::One,
            Stable::Auto => SigmaScale::Neighbours,
            Stable::Places(_) => SigmaScale::Stable,
        };
        Ok(Params {
            search: self.search_pixels(pre)?,
            auto_search,
            sigma_scale,
            split: self.split.is_some(),
            ..self.params.clone()
        })
    }

    /// Whether pairs can be stacked.
    fn check_stack(&self) -> Result<()> {
        let Some(last) = self.stack.last() else { return Ok(()) };
        let value = |pair: &(String, String)| options::join_paths(&[&pair.0, &pair.1]);
        let p = &self.params;
        let refused = match p.method {
            MethodName::Frequency | MethodName::Net | MethodName::Precision => {
                Some(format!("the method {} takes one pair; use spatial or lsm", method(p.method)))
            }
            _ if p.shape == Shape::Affine => Some("--shape affine matches one pair; use --shape translation".into()),
            _ if self.split.is_some() => Some("windows are split in one pair; leave --split away".into()),
            _ => None,
        };
        if let Some(why) = refused {
            return Err(Error::option("--stack-pair", value(last), why));
        }
        let first = (self.pre.clone(), self.post.clone());
        let all: Vec<&(String, String)> = std::iter::once(&first).chain(&self.stack).collect();
        for (k, pair) in all.iter().enumerate() {
            if all[..k].contains(pair) {
                let why = "the pair is there already; twice the same noise would pass for less of it";
                return Err(Error::option("--stack-pair", value(pair), why));
            }
        }
        Ok(())
    }

    fn search_pixels(&self, pre: &RasterBand) -> Result<(f64, f64)> {
        match self.search {
            Search::Pixels(x, y) => Ok((x, y)),
            // Replaced by what is found.
            Search::Auto(_) => Ok(self.params.search),
            Search::Metres(m) => {
                let (x, y) = pre.georef().pixel_metres().ok_or_else(|| {
                    let why = format!("{} has no projected CRS, so metres are unknown; give pixels", pre.label());
                    Error::option("--search", format!("{m}m"), why)
                })?;
                Ok((m / x, m / y))
            }
        }
    }

    /// Overwriting an input would replace it by its own result.
    pub(crate) fn check_output(&self) -> Result<()> {
        let real = |p: &str| std::fs::canonicalize(p).ok();
        let out = real(&self.out);
        let models = self.model_files();
        for input in self.inputs().into_iter().chain(models.iter().map(String::as_str)) {
            if input == self.out || (out.is_some() && real(input) == out) {
                let why = "it is one of the inputs; choose another name for the result".to_string();
                return Err(Error::Write { path: self.out.clone(), why });
            }
        }
        Ok(())
    }

    /// What the product says about how it was made. Names, threads and times that do not change the numbers are left
    /// out: the same input and options give the same file.
    fn metadata(
        &self,
        pre: &RasterBand,
        post: &RasterBand,
        params: &Params,
        ground: Ground,
        origin: (f64, f64),
    ) -> Vec<(String, String)> {
        let mut items = Vec::new();
        let mut add = |key: &str, value: String| items.push((key.to_string(), value));
        add("VERSION", crate::VERSION.into());
        add("COMMAND", self.command());
        add("METHOD", method(params.method).into());
        add("WINDOW", windows(params));
        add("STEP", format!("{}x{}", params.step.0, params.step.1));
        if params.auto_search.is_none() {
            add("SEARCH_PX", format!("{}x{}", params.search.0, params.search.1));
        }
        add("OUTLIERS", outliers(params).into());
        if let Some(tolerance) = params.backward {
            add("BACKWARD_PX", tolerance.to_string());
        }
        if let Some(prior) = &self.prior {
            add("PRIOR", prior.clone());
        }
        match &self.stable {
            Stable::None => {}
            Stable::Auto => add("STABLE", "auto".into()),
            Stable::Places(path) => add("STABLE", path.clone()),
        }
        if let Some(mask) = &self.mask {
            add("MASK", mask.clone());
        }
        if let Some(cut) = &self.cut {
            add("CUT", cut.clone());
        }
        if self.split.is_some() {
            add("SPLIT", "YES".into());
        }
        for (k, pair) in self.stack.iter().enumerate() {
            add(&format!("STACK_PAIR_{}", k + 2), options::join_paths(&[&pair.0, &pair.1]));
        }
        if params.complex == ComplexUse::Coherence {
            add("COMPLEX", "coherence".into());
        }
        add("PREFILTER", prefilter(params).into());
        if params.method == MethodName::Lsm {
            add("TAPER", params.taper.name().into());
            add("SHAPE", params.shape.name().into());
            add("BILATERAL", if params.bilateral { "YES" } else { "NO" }.into());
        }
        if params.method == MethodName::Regularized {
            add("SMOOTHNESS", params.smoothness.to_string());
        }
        if params.peak_quality == PeakQuality::Snr {
            add("QUALITY", "snr".into());
        }
        if params.peak_sigma == PeakSigma::Ampcor {
            add("PEAK_SIGMA", "ampcor".into());
        }
        add("MIN_VALID", params.min_valid.to_string());
        add("UNITS", ground.unit.into());
        add("RESAMPLED", if self.resample { "YES" } else { "NO" }.into());
        add("POST_ORIGIN_PX", format!("{} {}", origin.0, origin.1));
        add("SEED", self.seed.to_string());
        for (role, image) in [("PRE", pre), ("POST", post)] {
            add(role, image.path().into());
            let (pre_bands, post_bands) = self.band_lists();
            add(&format!("{role}_BAND"), if role == "PRE" { pre_bands } else { post_bands });
            add(&format!("{role}_NODATA"), image.nodata_text().into());
            if let Some(date) = image.date() {
                add(&format!("{role}_DATE"), date.into());
            }
        }
        items
    }

    /// What only `net` knows.
    fn net_options(&self) -> String {
        if self.params.method != MethodName::Net {
            return String::new();
        }
        let o = &self.net;
        let mut text = format!(" --model {} --net-passes {}", o.model(), o.passes);
        if o.average {
            text += " --net-average";
        }
        if let Some(tile) = o.tile {
            text += &format!(" --net-tile {tile}");
        }
        if o.device != "cpu" {
            text += &format!(" --device {}", o.device);
        }
        text
    }

    /// The command that repeats the job, without what does not change the numbers.
    fn command(&self) -> String {
        let p = &self.params;
        let mut text = format!("shiftmap displacement {} {} OUT --method {}", self.pre, self.post, method(p.method));
        text += &format!(" --window {} --step {}x{}", windows(p), p.step.0, p.step.1);
        text += &match self.search {
            Search::Pixels(x, y) => format!(" --search {x}x{y}"),
            Search::Metres(m) => format!(" --search {m}m"),
            Search::Auto(cap) => format!(" --search auto:{cap}"),
        };
        text += &format!(" --outliers {}", outliers(p));
        if let Some(tolerance) = p.backward {
            text += &format!(" --backward {tolerance}");
        }
        if let Some(prior) = &self.prior {
            text += &format!(" --prior {prior}");
        }
        match &self.stable {
            Stable::None => {}
            Stable::Auto => text += " --stable auto",
            Stable::Places(path) => text += &format!(" --stable {path}"),
        }
        if let Some(mask) = &self.mask {
            text += &format!(" --mask {mask}");
        }
        if let Some(cut) = &self.cut {
            text += &format!(" --cut {cut}");
        }
        if self.split.is_some() {
            text += " --split LINES";
        }
        text += &format!(" --prefilter {} --min-valid {}", prefilter(p), p.min_valid);
        if p.method == MethodName::Lsm {
            text += &format!(" --taper {} --shape {}", p.taper.name(), p.shape.name());
            text += if p.bilateral { " --bilateral" } else { "" };
        }
        if p.method == MethodName::Regularized {
            text += &format!(" --smoothness {}", p.smoothness);
        }
        let (pre_bands, post_bands) = self.band_lists();
        text += &format!(" --band {pre_bands}");
        if post_bands != pre_bands {
            text += &format!(" --post-band {post_bands}");
        }
        match self.pre_options.nodata {
            NoData::Auto => {}
            NoData::None => text += " --nodata none",
            NoData::Value(v) => text += &format!(" --nodata {v}"),
        }
        if let Some(r) = self.region {
            text += &format!(" --region {} {} {} {}", r.x, r.y, r.width, r.height);
        }
        if self.resample {
            text += " --resample";
        }
        match self.units {
            Units::Auto => {}
            Units::Metres => text += " --units m",
            Units::Pixels => text += " --units px",
        }
        self.pre_options.open_options.iter().for_each(|o| text += &format!(" --oo {o}"));
        self.stack.iter().for_each(|(a, b)| text += &format!(" --stack-pair {}", options::join_paths(&[a, b])));
        text += &peak_options(p);
        text += &self.net_options();
        text + &format!(" --seed {}", self.seed)
    }
}

/// Says when zeros were taken for nodata without being declared.
fn zero_border(image: &RasterBand, note: &mut dyn FnMut(&str)) {
    if image.undeclared_zero_border() {
        let why = "a corner is all 0, so the value 0 is taken as nodata (--nodata none keeps it)";
        note(&format!("{}: {why}", image.label()));
    }
}

/// What only `spatial` knows, where it is not the default.
fn peak_options(p: &Params) -> String {
    let quality = if p.peak_quality == PeakQuality::Snr { " --quality snr" } else { "" };
    let sigma = if p.peak_sigma == PeakSigma::Ampcor { " --peak-sigma ampcor" } else { "" };
    let complex = if p.complex == ComplexUse::Coherence { " --complex coherence" } else { "" };
    format!("{quality}{sigma}{complex}")
}

/// The prefilter that is applied.
fn prefilter(p: &Params) -> &'static str {
    match p.complex {
        ComplexUse::Coherence => Prefilter::None.name(),
        ComplexUse::Amplitude => p.prefilter.name(),
    }
}

/// Window sizes as the option takes them.
fn windows(p: &Params) -> String {
    let all = std::iter::once(&p.window).chain(&p.larger_windows);
    all.map(|w| format!("{}x{}", w.0, w.1)).collect::<Vec<_>>().join(",")
}

fn outliers(p: &Params) -> &'static str {
    if p.reject_outliers { "reject" } else { "keep" }
}

fn method(m: MethodName) -> &'static str {
    match m {
        MethodName::Lsm => "lsm",
        MethodName::Frequency => "frequency",
        MethodName::Dense => "dense",
        MethodName::Precision => "precision",
        MethodName::Spatial => "spatial",
        MethodName::Regularized => "regularized",
        MethodName::Net => "net",
    }
}
