//! Parameters that no single module can judge alone.

use crate::pipeline::{
    ComplexUse, MethodName, Pair, Params, PeakQuality, PeakSigma, Prefilter, SMOOTHNESS, Shape, Taper,
};
use crate::{Error, Result};

pub fn params(pair: &Pair, params: &Params) -> Result<()> {
    let size = pair.pre().size();
    for (s, n) in [(params.search.0, size.0), (params.search.1, size.1)] {
        if !(s > 0.0 && s.is_finite()) {
            return Err(Error::option("--search", s, "the search is a positive number of pixels"));
        }
        if s >= n as f64 {
            let why = format!("larger than the image ({} x {} pixels); give a smaller search", size.0, size.1);
            return Err(Error::option("--search", s, why));
        }
    }
    if !(params.min_valid > 0.0 && params.min_valid <= 1.0) {
        return Err(Error::option("--min-valid", params.min_valid, "a share of the window, above 0 and up to 1"));
    }
    if let Some(tolerance) = params.backward
        && !(tolerance > 0.0 && tolerance.is_finite())
    {
        return Err(Error::option("--backward", tolerance, "the tolerance is a positive number of pixels"));
    }
    let bands = pair.bands.len();
    if bands > 1 && params.method == MethodName::Frequency {
        let why = "the frequency method matches one band; use --method lsm for several";
        return Err(Error::option("--band", format!("{bands} bands"), why));
    }
    if bands > 1 && params.shape == Shape::Affine {
        let why = "--shape affine matches one band; use --shape translation for several";
        return Err(Error::option("--band", format!("{bands} bands"), why));
    }
    if params.method != MethodName::Spatial {
        if params.peak_quality != PeakQuality::Correlation {
            return Err(Error::option("--quality", "snr", "only --method spatial has a correlation peak to compare"));
        }
        if params.peak_sigma != PeakSigma::Calibrated {
            return Err(Error::option("--peak-sigma", "ampcor", "only --method spatial has a correlation peak"));
        }
    }
    complex(pair, params)?;
    if params.shape == Shape::Affine && (params.split || !pair.cuts.is_empty()) {
        let why = "windows that a line cuts are matched as translations; use --shape translation";
        return Err(Error::option("--shape", "affine", why));
    }
    least_squares(params)?;
    regularized(params)?;
    net(pair, params)?;
    if params.split && bands > 1 {
        return Err(Error::option(
            "--split",
            format!("{bands} bands"),
            "windows are split in one band; give one --band",
        ));
    }
    let mut before = params.window;
    for &window in &params.larger_windows {
        if window.0 < before.0 || window.1 < before.1 || window == before {
            let value = format!("{}x{}", window.0, window.1);
            return Err(Error::option("--window", value, "give several windows from the smallest to the largest"));
        }
        crate::layout::check_window(window, size)?;
        before = window;
    }
    Ok(())
}

/// The coherence of complex images.
fn complex(pair: &Pair, params: &Params) -> Result<()> {
    if params.complex == ComplexUse::Amplitude {
        return Ok(());
    }
    if params.method != MethodName::Spatial {
        let why = "only --method spatial compares complex numbers; the others take amplitudes";
        return Err(Error::option("--complex", "coherence", why));
    }
    if !matches!(params.prefilter, Prefilter::Coherence | Prefilter::None) {
        let why = "complex signals are compared without a filter; leave the option away or use --complex amplitude";
        return Err(Error::option("--prefilter", params.prefilter.name(), why));
    }
    if let Some(spline) = params.interpolation {
        let why = "complex signals are band-limited; leave the option away or use --complex amplitude";
        return Err(Error::option("--interpolation", spline.name(), why));
    }
    if pair.bands.len() < 3 || pair.bands.len().is_multiple_of(2) {
        let why = "the bands of the pair are the amplitude, then real and imaginary part of each layer";
        return Err(Error::option("--complex", "coherence", why));
    }
    Ok(())
}

/// What the network cannot do.
fn net(pair: &Pair, params: &Params) -> Result<()> {
    if params.method != MethodName::Net {
        return Ok(());
    }
    let Some(net) = &params.net else {
        return Err(Error::option("--method", "net", "a network is missing; give --model NAME or FILE"));
    };
    net.check_bands(pair.bands.len())?;
    if !pair.cuts.is_empty() {
        return Err(Error::option("--cut", "a layer", "a network looks across lines; use another method"));
    }
    let card = &net.model.card;
    if let Some(larger) = params.larger_windows.first() {
        let value = format!("{}x{}", larger.0, larger.1);
        return Err(Error::option(
            "--window",
            value,
            "a network measures once, whatever the window: give one --window",
        ));
    }
    if card.window().is_some_and(|w| w != params.window) {
        let value = format!("{}x{}", params.window.0, params.window.1);
        let why = format!("the windows of the network {} are {1} x {1} px; give --window {1}", card.title(), card.tile);
        return Err(Error::option("--window", value, why));
    }
    Ok(())
}

/// Distances over which `regularized` smooths, pixels: what it looks at around a tile grows with them.
const SMOOTHNESS_RANGE: std::ops::RangeInclusive<f64> = 2.0..=32.0;

/// The options of `regularized`, and those that it does not have.
fn regularized(params: &Params) -> Result<()> {
    if params.method != MethodName::Regularized {
        if params.smoothness != SMOOTHNESS {
            return Err(Error::option("--smoothness", params.smoothness, "only --method regularized is smoothed"));
        }
        return Ok(());
    }
    if !SMOOTHNESS_RANGE.contains(&params.smoothness) {
        let why = format!("give {} to {} pixels", SMOOTHNESS_RANGE.start(), SMOOTHNESS_RANGE.end());
        return Err(Error::option("--smoothness", params.smoothness, why));
    }
    Ok(())
}

/// What only least squares of windows can do.
fn least_squares(params: &Params) -> Result<()> {
    if params.method == MethodName::Lsm {
        return Ok(());
    }
    let why = format!("--method {} does not have it; use --method lsm", params.method.name());
    if params.shape != Shape::Translation {
        return Err(Error::option("--shape", params.shape.name(), why));
    }
    if params.taper != Taper::Box {
        return Err(Error::option("--taper", params.taper.name(), why));
    }
    if params.bilateral {
        return Err(Error::option("--bilateral", "given", why));
    }
    Ok(())
}
