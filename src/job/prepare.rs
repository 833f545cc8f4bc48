//! Opening and checking what a job needs, before anything is measured.

use super::{ImagePair, Job, Prepared, Search, Stable};
use crate::correlate::spline_choice::Given;
use crate::grid::ImageFile;
use crate::layout::Layout;
use crate::net::{Net, Sensor, guess};
use crate::options;
use crate::pipeline::{ComplexUse, MethodName, Params, Shape, SigmaScale, Spline};
use crate::raster::{
    GeoReference, Ground, MaskedImage, OpenOptions, Places, PointRaster, RasterBand, Resampled, Units, compare,
    read_cuts,
};
use crate::{Error, Result};

impl Job {
    /// Opens and checks the inputs. `note` receives messages for the user.
    ///
    /// # Errors
    /// Inputs that cannot be opened or do not fit, unusable options.
    pub fn prepare(&self, note: &mut dyn FnMut(&str)) -> Result<Prepared> {
        let (pre, post) = self.open()?;
        self.prepare_on(pre, post, note)
    }

    pub(super) fn open(&self) -> Result<(RasterBand, RasterBand)> {
        let pre = RasterBand::open(&self.pre, self.pre_options.clone())?;
        let post = RasterBand::open(&self.post, self.post_options.clone()).map_err(|e| self.post_band_error(e))?;
        Ok((pre, post))
    }

    pub(super) fn prepare_on(&self, pre: RasterBand, post: RasterBand, note: &mut dyn FnMut(&str)) -> Result<Prepared> {
        let ground = self.ground(&pre, note)?;
        [&pre, &post].into_iter().for_each(|image| zero_border(image, note));
        let mut params = self.decided(&pre)?;
        self.load_net(&mut params, (&pre, &post), note)?;
        let prior = self.prior.as_deref().map(|p| PointRaster::displacement(p, pre.georef())).transpose()?;
        let stable = match &self.stable {
            Stable::Places(path) => Some(Places::open(path, "--stable", pre.georef())?),
            _ => None,
        };
        let origin = if self.resample { (0.0, 0.0) } else { compare(&pre, &post)? };
        let layout = Layout::new(ImageFile::size(&pre), params.window, params.step, self.region)?;
        let layout = layout.with_tile(params.method.tile());
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
    fn load_net(
        &self,
        params: &mut Params,
        (pre, post): (&RasterBand, &RasterBand),
        note: &mut dyn FnMut(&str),
    ) -> Result<()> {
        if params.method != MethodName::Net {
            let why = "only --method net runs a network";
            let options = &self.net;
            if let (None, Some(sensor)) = (&options.model, options.sensor) {
                return Err(Error::option("--sensor", sensor.name(), why));
            }
            return match () {
                _ if options.model.is_some() => Err(Error::option("--model", options.model(), why)),
                _ if options.passes.is_some() => {
                    Err(Error::option("--net-passes", options.passes.unwrap_or_default(), why))
                }
                _ if options.average => Err(Error::option("--net-average", "given", why)),
                _ if options.tile.is_some() => Err(Error::option("--net-tile", options.tile.unwrap_or_default(), why)),
                _ => Ok(()),
            };
        }
        let mut options = self.net.clone();
        options.band_limited = Some(Given::of((pre, post), params).is_some_and(|g| g.spline == Spline::QuinticX2));
        let guess = options.model.is_none() && options.sensor.is_none();
        if guess && pre.is_complex() {
            options.sensor = Some(Sensor::Sar);
            note(&format!(
                "sensor: sar (the images are complex), so the network is {}; otherwise give --sensor optical",
                options.model()
            ));
        } else if guess {
            let (sensor, rough) = guess::sensor(pre, &std::sync::atomic::AtomicBool::new(false))?;
            options.sensor = Some(sensor);
            let other = if sensor == Sensor::Sar { Sensor::Optical } else { Sensor::Sar };
            note(&format!(
                "sensor: {} (neighbouring pixels of the smoothest places differ by {:.1} % of their mean, speckle by {:.0} % and \
                 more), so the network is {}; otherwise give --sensor {}",
                sensor.name(),
                100.0 * rough,
                100.0 * guess::ROUGH,
                options.model(),
                other.name()
            ));
        }
        let net = Net::load(&options)?;
        net.check_bands(1 + self.more_bands.len())?;
        let card = &net.model.card;
        if let Some(window) = card.window().filter(|w| *w != params.window) {
            note(&format!("the windows of the network {} are {1} x {1} pixels: --window {1}", card.title(), window.0));
            params.window = window;
        }
        params.net = Some(net);
        Ok(())
    }

    /// The parameters with everything that the options and the pre image's georeference decide.
    fn decided(&self, pre: &RasterBand) -> Result<Params> {
        if self.split.is_some() && self.params.method != MethodName::Lsm {
            return Err(Error::option(
                "--split",
                self.params.method.name(),
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
                Some(format!("the method {} takes one pair; use spatial or lsm", p.method.name()))
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
}

/// Says when zeros were taken for nodata without being declared.
fn zero_border(image: &RasterBand, note: &mut dyn FnMut(&str)) {
    if image.undeclared_zero_border() {
        let why = "a corner is all 0, so the value 0 is taken as nodata (--nodata none keeps it)";
        note(&format!("{}: {why}", image.label()));
    }
}
