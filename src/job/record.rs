//! What a product says about how it was made: its metadata and the command that makes it again.

use super::{Job, Search, Stable};
use crate::net::Net;
use crate::options;
use crate::pipeline::{ComplexUse, MethodName, Params, PeakQuality, PeakSigma, Prefilter};
use crate::raster::{Ground, NoData, RasterBand, Units};

impl Job {
    /// All band numbers of pre and of post, as the options take them.
    fn band_lists(&self) -> (String, String) {
        let first = (self.pre_options.band, self.post_options.band);
        let all: Vec<_> = std::iter::once(first).chain(self.more_bands.iter().copied()).collect();
        let join = |v: Vec<String>| v.join(",");
        (join(all.iter().map(|b| b.0.to_string()).collect()), join(all.iter().map(|b| b.1.to_string()).collect()))
    }

    /// What the product says about how it was made. Names, threads and times that do not change the numbers are left
    /// out: the same input and options give the same file.
    pub(super) fn metadata(
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
        add("COMMAND", self.command(params));
        add("METHOD", params.method.name().into());
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

    /// The command that repeats the job, without what does not change the numbers.
    fn command(&self, decided: &Params) -> String {
        let p = &self.params;
        let mut text = format!("shiftmap displacement {} {} OUT --method {}", self.pre, self.post, p.method.name());
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
        if let Some(spline) = p.interpolation {
            text += &format!(" --interpolation {}", spline.name());
        }
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
        text += &decided.net.as_deref().map_or(String::new(), net_options);
        text + &format!(" --seed {}", self.seed)
    }
}

/// What only `net` knows; the model that was taken, whoever chose it.
fn net_options(net: &Net) -> String {
    let o = &net.options;
    let mut text = format!(" --model {}", o.model());
    if let Some(passes) = o.passes {
        text += &format!(" --net-passes {passes}");
    }
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
