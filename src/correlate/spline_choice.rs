//! Which interpolator suits a pair's texture: the one whose phase its fine detail follows between the pixels.

use super::coherence::Coherence;
use super::interp::Spline;
use crate::grid::ImageFile;
use crate::pipeline::Params;

/// Standard errors that are no accident.
const EVIDENT: f64 = 2.5;
/// Where hardly anything moves, the windows at fractional displacements are those that noise took there: their phases follow no
/// interpolator, and the differences between poor fits say nothing about the texture. Least agreement of what moved, as a share
/// of that of all windows.
const MOVED: f64 = 0.8;
/// By how much more the phases must gain with the linear one than with any other: where the texture is quadratic, so little is left
/// of the finest detail between the pixels that linear phases fit it as well.
const CLEARLY: f64 = 1.06;
/// Of [`Spline::ALL`].
const LINEAR: usize = Spline::ALL.len() - 1;
/// Least common power near Nyquist, as a share of that at half of it, of texture that is aliased more than slightly: where there is
/// less, phases that seem to say so are those of few waves or of noise.
const ALIASED: f64 = 0.15;
const SLIGHTLY: usize = 1;
/// Without evidence: common power near Nyquist, as a share of that at half of it, beyond which texture goes on beyond Nyquist as
/// a cubic, a quadratic and a linear interpolator takes it to.
const GOES_ON: [(f64, Spline); 3] = [(0.6, Spline::Linear), (0.35, Spline::Quadratic), (0.25, Spline::Cubic)];

/// An interpolator that is not looked for on the pair.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    pub spline: Spline,
    /// In words, for metadata.
    pub why: &'static str,
}

impl Given {
    /// What the options or the images say.
    pub fn of((pre, post): (&dyn ImageFile, &dyn ImageFile), params: &Params) -> Option<Given> {
        if let Some(spline) = params.interpolation {
            return Some(Given { spline, why: "by --interpolation" });
        }
        let why = "complex images, detected without aliasing";
        (pre.well_sampled() && post.well_sampled()).then_some(Given { spline: Spline::QuinticX2, why })
    }
}

/// The interpolator that is given, else the one that [`spline`] finds; the first where there is nothing to find it by.
pub fn spline_for(c: Option<&Coherence>, given: Option<Given>) -> Spline {
    given.map(|g| g.spline).or_else(|| c.map(spline)).unwrap_or(Spline::QuinticX2)
}

/// The interpolator whose phase the fine detail follows best; without evidence, the one the spectrum suggests.
pub fn spline(c: &Coherence) -> Spline {
    let gain = |k: usize| c.agreement[k] - c.agreement[0];
    let fall = fall(c);
    let most = if fall > ALIASED { LINEAR } else { SLIGHTLY };
    let mut best = (0..=most.min(LINEAR - 1)).fold(0, |best, k| if gain(k) > gain(best) { k } else { best });
    if most == LINEAR && gain(LINEAR) > CLEARLY * gain(best) {
        best = LINEAR;
    }
    if c.agreement[best] > MOVED * c.overall {
        if best > 0 && c.evidence[best - 1] > EVIDENT {
            return Spline::ALL[best];
        }
        if best == 0 && c.evidence[0] < -EVIDENT {
            return Spline::ALL[0];
        }
    }
    GOES_ON.iter().find(|(least, _)| fall > *least).map_or(Spline::QuinticX2, |(_, spline)| *spline)
}

/// Common power near Nyquist as a share of that at half of it.
fn fall(c: &Coherence) -> f64 {
    let common = |f: f64| {
        let w = f * std::f64::consts::PI;
        (c.magnitude.at(w) * (c.power[0].at(w) * c.power[1].at(w)).sqrt()) as f64
    };
    common(0.9) / common(0.45).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlate::radial::Radial;

    /// Findings with common power that falls to `fall` between half and all of Nyquist.
    fn found(agreement: [f64; 5], evidence: [f64; 4], overall: f64, fall: f32) -> Coherence {
        let step = 0.45 * std::f64::consts::PI;
        let power = Radial { step, values: vec![1.0, 1.0, fall, fall] };
        let magnitude = Radial { step, values: vec![1.0; 4] };
        Coherence { magnitude, power: [power.clone(), power], agreement, evidence, overall, windows: 100 }
    }

    #[test]
    fn evidence_decides_before_the_spectrum_does() {
        let one = |agreement, evidence, fall| spline(&found(agreement, evidence, 0.5, fall));
        // Figures of a sharp optical pair, of radar with and without Hamming weights.
        assert_eq!(one([0.614, 0.612, 0.61, 0.608, 0.607], [-9.0; 4], 0.7), Spline::QuinticX2);
        assert_eq!(one([0.4048, 0.4061, 0.4064, 0.40654, 0.40657], [4.0; 4], 0.7), Spline::Quadratic);
        assert_eq!(one([0.6304, 0.6313, 0.6318, 0.6323, 0.6325], [6.0; 4], 0.3), Spline::Linear);
        // Without power near Nyquist nothing is aliased much.
        assert_eq!(one([0.6304, 0.6313, 0.6318, 0.6323, 0.6325], [6.0; 4], 0.1), Spline::Quintic);
    }

    #[test]
    fn without_evidence_or_motion_the_spectrum_decides() {
        let radar = [0.4048, 0.4061, 0.4064, 0.40654, 0.40657];
        for (fall, want) in
            [(0.1, Spline::QuinticX2), (0.3, Spline::Cubic), (0.45, Spline::Quadratic), (0.8, Spline::Linear)]
        {
            assert_eq!(spline(&found([0.0; 5], [0.0; 4], 0.5, fall)), want);
            assert_eq!(spline(&found(radar, [1.0; 4], 0.5, fall)), want);
            assert_eq!(spline(&found(radar, [9.0; 4], 0.7, fall)), want);
        }
    }
}
