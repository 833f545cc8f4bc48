//! The shift between two whole images by phase correlation.
//!
//! First on both images averaged down to at most 1024 pixels, where any shift is found up to half the image; then on
//! up to 3 × 3 blocks of full resolution, each refined on a grid of 1/100 pixel around its peak by a matrix-multiplication
//! Fourier transform. The median of the blocks counts, so that a block on moving ground or under a cloud does not.
//!
//! References: Kuglin and Hines (1975), "The phase correlation image alignment method"; Guizar-Sicairos, Thurman and Fienup
//! (2008), "Efficient subpixel image registration algorithms", Optics Letters 33(2).

use crate::correlate::fill::fill_invalid;
use crate::grid::{Image, ImageFile, ImageReader, Window};
use crate::robust;
use crate::{Error, Result};
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

/// Largest side of the averaged images.
const COARSE: usize = 1024;
/// Side of a block of full resolution.
const BLOCK: usize = 512;
/// Steps per pixel of the refinement.
const UPSAMPLING: f64 = 100.0;
/// Least share of valid pixels of a block.
const VALID: f64 = 0.5;

/// Displacement (right, down) in pixels of the post image against where `origin` puts it: pre pixel x lies at post pixel
/// x + origin + shift.
///
/// # Errors
/// [`Error::Data`] when no part of the pair has enough valid pixels or texture; unreadable images.
pub fn global_shift(pre: &dyn ImageFile, post: &dyn ImageFile, origin: (f64, f64)) -> Result<(f64, f64)> {
    let size = pre.size();
    let base = (origin.0.round(), origin.1.round());
    let fraction = (origin.0 - base.0, origin.1 - base.1);
    let nothing = || {
        Error::Data(format!(
            "no shift between {} and {} can be found: nothing they share has texture; check the nodata values (--nodata) and \
             that both show the same place",
            pre.name(),
            post.name()
        ))
    };
    let mut readers = (pre.open()?, post.open()?);
    let factor = size.0.max(size.1).div_ceil(COARSE);
    let mut coarse = (0.0, 0.0);
    if size.0.max(size.1) > BLOCK {
        let whole = Window::new(0, 0, size.0, size.1);
        let a = averaged(&mut *readers.0, whole, factor)?;
        let b = averaged(&mut *readers.1, whole.shifted(base.0 as i64, base.1 as i64), factor)?;
        let (x, y) = peak(&a, &b).ok_or_else(nothing)?;
        coarse = (x * factor as f64, y * factor as f64);
    }
    // Twice: blocks that overlap only in part give a poorer first answer.
    for _ in 0..2 {
        let whole = (coarse.0.round(), coarse.1.round());
        let mut found = [Vec::new(), Vec::new()];
        for window in blocks(size) {
            let a = readers.0.read(window)?;
            let b = readers.1.read(window.shifted((base.0 + whole.0) as i64, (base.1 + whole.1) as i64))?;
            if let Some((x, y)) = peak(&a, &b) {
                found[0].push(whole.0 + x);
                found[1].push(whole.1 + y);
            }
        }
        if found[0].is_empty() {
            return Err(nothing());
        }
        let [mut x, mut y] = found;
        coarse = (robust::median(&mut x), robust::median(&mut y));
    }
    Ok((coarse.0 - fraction.0, coarse.1 - fraction.1))
}

/// Up to 3 × 3 blocks, evenly spread.
fn blocks(size: (usize, usize)) -> Vec<Window> {
    let axis = |n: usize| -> (Vec<i64>, usize) {
        let side = n.min(BLOCK);
        let count = (n / side).clamp(1, 3);
        let at = |k: usize| match count {
            1 => (n - side) / 2,
            _ => k * (n - side) / (count - 1),
        };
        ((0..count).map(|k| at(k) as i64).collect(), side)
    };
    let ((xs, width), (ys, height)) = (axis(size.0), axis(size.1));
    ys.iter().flat_map(|y| xs.iter().map(|x| Window::new(*x, *y, width, height))).collect()
}

/// Means over `factor` × `factor` pixels, read in strips.
fn averaged(reader: &mut (dyn ImageReader + '_), window: Window, factor: usize) -> Result<Image> {
    if factor == 1 {
        return reader.read(window);
    }
    let (width, height) = (window.width / factor, window.height / factor);
    let mut out = Image::invalid(width, height);
    for j in 0..height {
        let strip = Window::new(window.x, window.y + (j * factor) as i64, width * factor, factor);
        let strip = reader.read(strip)?;
        for i in 0..width {
            let (mut sum, mut n) = (0.0, 0);
            for y in 0..factor {
                let range = i * factor..(i + 1) * factor;
                for (v, ok) in strip.values.row(y)[range.clone()].iter().zip(&strip.valid.row(y)[range]) {
                    if *ok {
                        sum += f64::from(*v);
                        n += 1;
                    }
                }
            }
            if 2 * n >= factor * factor {
                out.values.set(i, j, (sum / n as f64) as f32);
                out.valid.set(i, j, true);
            }
        }
    }
    Ok(out)
}

/// The shift of `b` against `a`, to 1/100 of a pixel; `None` without enough valid pixels or texture.
fn peak(a: &Image, b: &Image) -> Option<(f64, f64)> {
    let (width, height) = (a.width(), a.height());
    let (fa, fb) = (spectrum(a)?, spectrum(b)?);
    let cross: Vec<Complex<f64>> = fa.iter().zip(&fb).map(|(a, b)| phase(b * a.conj())).collect();
    let mut surface = cross.clone();
    fft2(&mut surface, width, height, true);
    let best = (0..surface.len()).max_by(|i, j| surface[*i].re.total_cmp(&surface[*j].re).then(j.cmp(i)))?;
    let signed = |k: usize, n: usize| if 2 * k > n { k as f64 - n as f64 } else { k as f64 };
    let whole = (signed(best % width, width), signed(best / width, height));
    Some(refined(&cross, (width, height), whole))
}

/// Only the phase; nothing where there is no signal.
fn phase(v: Complex<f64>) -> Complex<f64> {
    let size = v.norm();
    if size > 0.0 { v / size } else { v }
}

/// The peak of the inverse transform on a fine grid within 0.75 pixel of `whole`: two matrix products instead of a padded
/// transform (Guizar-Sicairos et al. 2008). The phases are weighted by a Gaussian low-pass, which takes away the share of the
/// spectrum where a sampled image is aliased.
fn refined(cross: &[Complex<f64>], (width, height): (usize, usize), whole: (f64, f64)) -> (f64, f64) {
    let reach = (0.75 * UPSAMPLING) as i64;
    let steps: Vec<f64> = (-reach..=reach).map(|k| k as f64 / UPSAMPLING).collect();
    let frequency = |k: usize, n: usize| {
        let signed = if 2 * k > n { k as f64 - n as f64 } else { k as f64 };
        std::f64::consts::TAU * signed / n as f64
    };
    let low_pass = |w: f64| (-0.5 * (w / 1.2).powi(2)).exp();
    // Along x for each row of the spectrum, then along y.
    let mut rows = vec![Complex::default(); steps.len() * height];
    for (i, step) in steps.iter().enumerate() {
        let waves: Vec<Complex<f64>> = (0..width)
            .map(|k| {
                let w = frequency(k, width);
                Complex::from_polar(low_pass(w), w * (whole.0 + step))
            })
            .collect();
        for y in 0..height {
            let row = &cross[y * width..(y + 1) * width];
            rows[i * height + y] = row.iter().zip(&waves).map(|(c, w)| c * w).sum();
        }
    }
    let mut best = (f64::NEG_INFINITY, (0.0, 0.0));
    for step in &steps {
        let waves: Vec<Complex<f64>> = (0..height)
            .map(|k| {
                let w = frequency(k, height);
                Complex::from_polar(low_pass(w), w * (whole.1 + step))
            })
            .collect();
        for (i, x) in steps.iter().enumerate() {
            let column = &rows[i * height..(i + 1) * height];
            let value: f64 = column.iter().zip(&waves).map(|(c, w)| (c * w).re).sum();
            if value > best.0 {
                best = (value, (whole.0 + x, whole.1 + step));
            }
        }
    }
    best.1
}

/// Fourier transform of the tapered, mean-free image.
fn spectrum(image: &Image) -> Option<Vec<Complex<f64>>> {
    let (width, height) = (image.width(), image.height());
    let valid = image.valid.data.iter().filter(|v| **v).count();
    if (valid as f64) < VALID * (width * height) as f64 {
        return None;
    }
    let filled = fill_invalid(image)?;
    let values = image.values.data.iter().zip(&image.valid.data).filter(|(_, ok)| **ok).map(|(v, _)| f64::from(*v));
    let mean = values.clone().sum::<f64>() / valid as f64;
    if values.map(|v| (v - mean).powi(2)).sum::<f64>() <= 1e-12 * mean * mean * valid as f64 {
        return None;
    }
    let hann = |k: usize, n: usize| 0.5 - 0.5 * (std::f64::consts::TAU * (k as f64 + 0.5) / n as f64).cos();
    let taper: (Vec<f64>, Vec<f64>) =
        ((0..width).map(|k| hann(k, width)).collect(), (0..height).map(|k| hann(k, height)).collect());
    let value = |i: usize| (f64::from(filled.data[i]) - mean) * taper.0[i % width] * taper.1[i / width];
    let mut data: Vec<Complex<f64>> = (0..width * height).map(|i| Complex::new(value(i), 0.0)).collect();
    fft2(&mut data, width, height, false);
    // What the taper makes of the mean.
    data[0] = Complex::default();
    Some(data)
}

fn fft2(data: &mut [Complex<f64>], width: usize, height: usize, inverse: bool) {
    let mut planner = FftPlanner::new();
    let mut plan = |n| if inverse { planner.plan_fft_inverse(n) } else { planner.plan_fft_forward(n) };
    let (rows, columns) = (plan(width), plan(height));
    rows.process(data);
    let mut turned = vec![Complex::default(); data.len()];
    crate::correlate::fft2::transpose(data, &mut turned, (width, height), (width, height));
    columns.process(&mut turned);
    crate::correlate::fft2::transpose(&turned, data, (height, width), (height, width));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Grid, MemoryImage};
    use crate::synth::field::FieldSpec;
    use crate::synth::pair::{PairSpec, make_pair};

    fn found(width: usize, height: usize, shift: (f64, f64), origin: (f64, f64)) -> (f64, f64) {
        let pair = make_pair(&PairSpec::plain(width, height, 5, FieldSpec::uniform(shift.0, shift.1))).unwrap();
        let image = |g: Grid<f32>| MemoryImage(Image::from_values(g));
        global_shift(&image(pair.pre), &image(pair.post), origin).unwrap()
    }

    #[test]
    fn shifts_are_found_to_a_hundredth() {
        for (size, shift) in [((400, 300), (1.37, -0.62)), ((700, 600), (-17.25, 9.8))] {
            let got = found(size.0, size.1, shift, (0.0, 0.0));
            assert!((got.0 - shift.0).abs() < 0.02 && (got.1 - shift.1).abs() < 0.02, "{shift:?}: {got:?}");
        }
        // What the georeference explains is no shift.
        let got = found(400, 300, (2.3, -0.5), (2.3, -0.5));
        assert!(got.0.abs() < 0.02 && got.1.abs() < 0.02, "{got:?}");
    }

    #[test]
    fn a_flat_image_has_no_shift() {
        let flat = MemoryImage(Image::from_values(Grid::filled(100, 100, 7.0)));
        let text = global_shift(&flat, &flat, (0.0, 0.0)).unwrap_err().to_string();
        assert!(text.contains("texture"), "{text}");
    }
}
