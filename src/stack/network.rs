//! Which dates the maps connect, and whether their loops close.

use std::collections::BTreeSet;

use super::dates::Day;
use crate::{Error, Result};

/// Maps as differences between dates: map k measures u(end) - u(start).
///
/// Without dates all maps measure the same motion: one unknown, from date 0 to date 1.
#[derive(Debug, Clone)]
pub struct Network {
    /// Ascending.
    pub days: Vec<Day>,
    /// Places in `days`.
    pub pairs: Vec<(usize, usize)>,
    /// Date at which the displacement is zero.
    pub reference: usize,
    /// Whether the maps have dates of their own.
    pub dated: bool,
}

impl Network {
    /// Of maps that all show one event.
    pub fn event(maps: usize) -> Network {
        Network { days: vec![Day(0), Day(1)], pairs: vec![(0, 1); maps], reference: 0, dated: false }
    }

    /// Of maps between dates.
    ///
    /// # Errors
    /// [`Error::Option`] for a pair of one day or a reference that is no date of the network.
    pub fn of(dates: &[(Day, Day)], paths: &[String], reference: Option<Day>) -> Result<Network> {
        if let Some(k) = dates.iter().position(|d| d.0 == d.1) {
            let why = format!("{} has both images on this day; leave it away", paths[k]);
            return Err(Error::option("--dates", dates[k].0, why));
        }
        let all: BTreeSet<Day> = dates.iter().flat_map(|d| [d.0, d.1]).collect();
        let days: Vec<Day> = all.into_iter().collect();
        let place = |day: Day| days.partition_point(|d| *d < day);
        let pairs = dates.iter().map(|d| (place(d.0), place(d.1))).collect();
        let reference = match reference {
            None => 0,
            Some(day) => days.binary_search(&day).map_err(|_| {
                let list = days.iter().map(Day::to_string).collect::<Vec<_>>().join(", ");
                Error::option("--reference", day, format!("no map has this date; there are {list}"))
            })?,
        };
        Ok(Network { days, pairs, reference, dated: true })
    }

    /// Unknown displacements: those of all dates but the reference.
    pub fn unknowns(&self) -> usize {
        self.days.len() - 1
    }

    /// Place of a date's displacement among the unknowns; `None` for the reference.
    pub fn unknown(&self, day: usize) -> Option<usize> {
        match day.cmp(&self.reference) {
            std::cmp::Ordering::Less => Some(day),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(day - 1),
        }
    }

    /// Groups of dates that maps connect, taking only the maps that `keep` says; the largest first.
    pub fn groups(&self, keep: impl Fn(usize) -> bool) -> Vec<Vec<usize>> {
        let mut group: Vec<usize> = (0..self.days.len()).collect();
        for (_, (a, b)) in self.pairs.iter().enumerate().filter(|(k, _)| keep(*k)) {
            let (from, to) = (group[*a].max(group[*b]), group[*a].min(group[*b]));
            group.iter_mut().filter(|g| **g == from).for_each(|g| *g = to);
        }
        let names: BTreeSet<usize> = group.iter().copied().collect();
        let mut groups: Vec<Vec<usize>> =
            names.iter().map(|n| (0..group.len()).filter(|i| group[*i] == *n).collect()).collect();
        groups.sort_by_key(|g| std::cmp::Reverse(g.len()));
        groups
    }

    /// Refuses dates that no chain of maps connects.
    ///
    /// # Errors
    /// [`Error::Data`] that lists the groups.
    pub fn check_connected(&self) -> Result<()> {
        let groups = self.groups(|_| true);
        if groups.len() == 1 {
            return Ok(());
        }
        let list = |g: &Vec<usize>| g.iter().map(|d| self.days[*d].to_string()).collect::<Vec<_>>().join(", ");
        let text = groups.iter().map(|g| format!("({})", list(g))).collect::<Vec<_>>().join(" and ");
        Err(Error::Data(format!(
            "no chain of maps connects the dates {text}: their displacements cannot be brought together; add a map between the \
             groups, or stack each by itself"
        )))
    }

    /// How much the errors of two maps have in common when `rho` of a map's error variance comes from each of its images:
    /// the same image in the same role, or in the other one. Without dates `rho` is between all maps.
    pub fn correlation(&self, i: usize, j: usize, rho: f64) -> f64 {
        if i == j {
            return 1.0;
        }
        if !self.dated {
            return rho;
        }
        let ((a, b), (c, d)) = (self.pairs[i], self.pairs[j]);
        let same = |x: usize, y: usize| if x == y { 1.0 } else { 0.0 };
        rho * (same(a, c) + same(b, d) - same(a, d) - same(b, c))
    }

    /// Loops of two or three maps: their numbers and the signs with which their displacements add up to zero. Loops of two
    /// are maps between the same dates.
    pub fn loops(&self) -> Vec<Loop> {
        let mut found = Vec::new();
        let ends = |k: usize| {
            let (a, b) = self.pairs[k];
            (a.min(b), a.max(b), if a < b { 1.0 } else { -1.0 })
        };
        let n = self.pairs.len();
        for i in 0..n {
            let (a, b, s) = ends(i);
            for j in i + 1..n {
                let (c, d, t) = ends(j);
                if (a, b) == (c, d) {
                    found.push(Loop { maps: vec![(i, s), (j, -t)], days: vec![a, b] });
                }
            }
        }
        for i in 0..n {
            let (a, b, s) = ends(i);
            for j in 0..n {
                let (c, d, t) = ends(j);
                if c != b {
                    continue;
                }
                for k in 0..n {
                    let (e, f, u) = ends(k);
                    if (e, f) == (a, d) && found.len() < MOST_LOOPS {
                        found.push(Loop { maps: vec![(i, s), (j, t), (k, -u)], days: vec![a, b, d] });
                    }
                }
            }
        }
        found
    }
}

/// Loops that are looked at, at most.
const MOST_LOOPS: usize = 20_000;

/// Maps whose displacements, with these signs, add up to zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Loop {
    pub maps: Vec<(usize, f64)>,
    pub days: Vec<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(pairs: &[(i64, i64)]) -> Network {
        let dates: Vec<(Day, Day)> = pairs.iter().map(|p| (Day(p.0), Day(p.1))).collect();
        Network::of(&dates, &vec![String::new(); pairs.len()], None).unwrap()
    }

    #[test]
    fn loops_close_with_their_signs() {
        let net = network(&[(0, 10), (20, 10), (0, 20), (0, 10)]);
        let u = [0.0, 1.5, -0.5];
        let loops = net.loops();
        // Two maps between the same dates, and each of them in a triangle.
        assert_eq!(loops.len(), 3);
        for l in &loops {
            let sum: f64 = l.maps.iter().map(|(k, s)| s * (u[net.pairs[*k].1] - u[net.pairs[*k].0])).sum();
            assert_eq!(sum, 0.0, "{l:?}");
        }
    }

    #[test]
    fn groups_are_named() {
        let net = network(&[(0, 1), (1, 2), (10, 11)]);
        assert_eq!(net.groups(|_| true), [vec![0, 1, 2], vec![3, 4]]);
        let text = net.check_connected().unwrap_err().to_string();
        assert!(text.contains("(1970-01-01, 1970-01-02, 1970-01-03) and (1970-01-11, 1970-01-12)"), "{text}");
        assert!(Network::of(&[(Day(3), Day(3))], &["x.tif".into()], None).unwrap_err().to_string().contains("x.tif"));
    }

    #[test]
    fn images_in_common_correlate_maps() {
        let net = network(&[(0, 1), (0, 2), (1, 2), (3, 4)]);
        let c = |i, j| net.correlation(i, j, 0.5);
        assert_eq!((c(0, 0), c(0, 1), c(0, 2), c(1, 2), c(0, 3)), (1.0, 0.5, -0.5, 0.5, 0.0));
        assert_eq!(Network::event(3).correlation(0, 2, 0.3), 0.3);
    }
}
