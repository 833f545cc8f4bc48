//! The main job from file names to the finished product; every door (command line, C ABI, driver) goes through here.

mod prepare;
mod record;

use crate::grid::{ImageFile, PointFile, Window};
use crate::layout::Layout;
use crate::net::{NetOptions, models};
use crate::pipeline::{self, MethodName, Pair, Params, Report};
use crate::progress::Progress;
use crate::raster::{
    GeoReference, Ground, JumpWriter, OpenOptions, Places, PointRaster, ProductWriter, RasterBand, Units, WriteOptions,
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
        if let Some(path) = self.split.as_deref().filter(|p| !p.is_empty()) {
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
}
