//! Islands of wrong labels: small regions that differ from all around them (the speckle filter of semi-global matching,
//! Hirschmüller 2008, section 2.5).

use std::collections::VecDeque;

/// Labels of neighbours within a region differ by at most this many quarters of a pixel on each axis.
const WITHIN: i32 = 1;

/// Replaces labels of regions of fewer than `least` pixels by those of the nearest larger region. `closed`: whether no
/// value may pass between neighbouring pixels.
pub fn remove(
    labels: &mut [(i32, i32)],
    width: usize,
    least: usize,
    closed: &dyn Fn((usize, usize), (usize, usize)) -> bool,
) {
    let height = labels.len() / width;
    let neighbours = |k: usize| {
        let (x, y) = (k % width, k / width);
        [(x + 1, y), (x.wrapping_sub(1), y), (x, y + 1), (x, y.wrapping_sub(1))]
            .into_iter()
            .filter(move |q| q.0 < width && q.1 < height)
            .filter(move |&q| !closed((x, y), q))
            .map(move |q| q.1 * width + q.0)
    };
    let mut region = vec![usize::MAX; labels.len()];
    let mut small = vec![false; labels.len()];
    let mut members = Vec::new();
    for seed in 0..labels.len() {
        if region[seed] != usize::MAX {
            continue;
        }
        members.clear();
        members.push(seed);
        region[seed] = seed;
        let mut at = 0;
        while at < members.len() {
            let k = members[at];
            at += 1;
            for q in neighbours(k) {
                let alike = (labels[k].0 - labels[q].0).abs() <= WITHIN && (labels[k].1 - labels[q].1).abs() <= WITHIN;
                if alike && region[q] == usize::MAX {
                    region[q] = seed;
                    members.push(q);
                }
            }
        }
        if members.len() < least {
            members.iter().for_each(|&k| small[k] = true);
        }
    }
    let mut next: VecDeque<usize> = (0..labels.len()).filter(|&k| !small[k]).collect();
    while let Some(k) = next.pop_front() {
        for q in neighbours(k) {
            if small[q] {
                small[q] = false;
                labels[q] = labels[k];
                next.push_back(q);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn islands_go_and_regions_stay() {
        // Two halves, an island in each, a slope that is no jump.
        let mut labels: Vec<(i32, i32)> =
            (0..400).map(|k| if k % 20 < 10 { (0, 0) } else { (8 + (k / 20) / 5, 0) }).collect();
        let want = labels.clone();
        for k in [44, 45, 64, 235, 236] {
            labels[k] = (-12, 3);
        }
        remove(&mut labels, 20, 10, &|_, _| false);
        assert_eq!(labels, want);
    }
}
