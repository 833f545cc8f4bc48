//! The dislocation entries give the reference values.

use super::common::reference;
use shiftmap::capi::context::*;
use shiftmap::capi::dislocation::*;
use shiftmap::capi::types::*;
use std::collections::BTreeMap;
use std::ptr::null;

/// Rows of a table: case name, and the numbers of the columns from `first`.
fn table(name: &str, first: usize) -> Option<Vec<(String, Vec<f64>)>> {
    let text = reference(name)?;
    let row = |line: &str| {
        let words: Vec<&str> = line.split(',').collect();
        (words[0].to_string(), words[first..].iter().map(|w| w.parse().unwrap()).collect())
    };
    Some(text.lines().skip(1).filter(|l| !l.is_empty()).map(row).collect())
}

type Entry = unsafe extern "C" fn(
    *mut shiftmap_context,
    usize,
    *const f64,
    *const f64,
    f64,
    usize,
    *const f64,
    *mut f64,
) -> std::ffi::c_int;

fn compare(entry: Entry, geometry: &str, displacements: &str) {
    let (Some(cases), Some(rows)) = (table(geometry, 2), table(displacements, 2)) else { return };
    let cases: BTreeMap<String, Vec<f64>> = cases.into_iter().collect();
    let ctx = shiftmap_context_new();
    let mut compared = 0;
    for (case, row) in rows.iter().filter(|(_, r)| r[2] >= 1e-3) {
        let (nu, shape) = cases[case].split_first().unwrap();
        for mode in 0..3 {
            let mut slip = [0.0; 6];
            slip[mode] = 0.75;
            slip[3 + mode] = 0.25;
            // Twice the same fault: the slips add up to one.
            let two: Vec<f64> = [shape, shape].concat();
            let mut out = [f64::NAN; 3];
            // SAFETY: arrays of the sizes given.
            let code = unsafe { entry(ctx, 2, two.as_ptr(), slip.as_ptr(), *nu, 1, row.as_ptr(), out.as_mut_ptr()) };
            assert_eq!(code, SHIFTMAP_OK, "{case}");
            for (got, want) in out.iter().zip(&row[3 + 3 * mode..]) {
                assert!((got - want).abs() < 1e-10, "{case} {mode}: {got} {want}");
            }
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared}");
    let untouched = [7.0; 3];
    let mut out = untouched;
    let bad = [f64::NAN; 9];
    // SAFETY: arrays of the sizes given, or NULL, which is refused.
    unsafe {
        assert_eq!(
            entry(ctx, 1, bad.as_ptr(), bad.as_ptr(), 0.25, 1, bad.as_ptr(), out.as_mut_ptr()),
            SHIFTMAP_ERR_DATA
        );
        assert_eq!(entry(ctx, 1, null(), bad.as_ptr(), 0.25, 1, bad.as_ptr(), out.as_mut_ptr()), SHIFTMAP_ERR_NULL);
        let huge = usize::MAX / 4;
        assert_eq!(
            entry(ctx, huge, bad.as_ptr(), bad.as_ptr(), 0.25, 0, null(), out.as_mut_ptr()),
            SHIFTMAP_ERR_ARGUMENT
        );
        assert_eq!(entry(ctx, 0, null(), null(), 0.25, 0, null(), std::ptr::null_mut()), SHIFTMAP_OK);
        shiftmap_context_free(ctx);
    }
    assert_eq!(out, untouched);
}

#[test]
fn rectangles() {
    compare(shiftmap_okada_surface, "okada_faults.csv", "okada_displacements.csv");
}

#[test]
fn triangles() {
    compare(shiftmap_tde_surface, "tde_triangles.csv", "tde_displacements.csv");
}
