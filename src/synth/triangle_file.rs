//! Faults given as a table of triangles with slip, and where they break the surface.

use std::collections::BTreeMap;

use super::tde::Triangle;
use crate::{Error, Result};

/// Columns that must be there, and one that may.
const COLUMNS: [&str; 11] = ["x1", "y1", "z1", "x2", "y2", "z2", "x3", "y3", "z3", "ss", "ds"];
const OPENING: &str = "ts";

/// Whether a text begins with the header of such a table.
pub fn is_table(text: &str) -> bool {
    let header = text.lines().next().unwrap_or("").to_ascii_lowercase();
    header.split(',').any(|name| clean(name) == "x1") && header.split(',').any(|name| clean(name) == "ss")
}

fn clean(cell: &str) -> &str {
    cell.trim_start_matches('\u{feff}').trim().trim_matches('"')
}

/// Triangles from comma-separated text with a header: `x1,y1,z1` to `x3,y3,z3` (east, north, up in metres), `ss`, `ds` and
/// optionally `ts` (slip in metres, see [`Triangle::slip`]); other columns are ignored.
///
/// # Errors
/// [`Error::Read`] naming `path`, the line and the column.
pub fn parse(text: &str, path: &str) -> Result<Vec<Triangle>> {
    let fail = |why: String| Error::Read { path: path.into(), why };
    let header: Vec<String> =
        text.lines().next().unwrap_or("").split(',').map(|c| clean(c).to_ascii_lowercase()).collect();
    let place = |name: &str| header.iter().position(|h| h == name);
    let mut columns = [0; 11];
    for (column, name) in columns.iter_mut().zip(COLUMNS) {
        *column = place(name).ok_or_else(|| {
            fail(format!("column {name} is missing; the header names x1,y1,z1,...,x3,y3,z3,ss,ds and maybe ts"))
        })?;
    }
    let opening = place(OPENING);
    let mut triangles = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1).filter(|(_, l)| !l.trim().is_empty()) {
        let cells: Vec<&str> = line.split(',').collect();
        let value = |column: usize, name: &str| -> Result<f64> {
            let cell = cells.get(column).map_or("", |c| clean(c));
            match cell.parse::<f64>() {
                Ok(v) if v.is_finite() => Ok(v),
                _ => Err(fail(format!("line {}, column {name}: `{cell}` is not a number", number + 1))),
            }
        };
        let mut v = [0.0; 11];
        for ((v, column), name) in v.iter_mut().zip(columns).zip(COLUMNS) {
            *v = value(column, name)?;
        }
        let ts = opening.map_or(Ok(0.0), |c| value(c, OPENING))?;
        triangles.push(Triangle {
            vertices: [[v[0], v[1], v[2]], [v[3], v[4], v[5]], [v[6], v[7], v[8]]],
            slip: [v[9], v[10], ts],
        });
    }
    match triangles.is_empty() {
        true => Err(fail("it holds no triangles".into())),
        false => Ok(triangles),
    }
}

/// A position in millimetres: corners that should be the same are.
type Place = (i64, i64);

/// Edges nearer to the surface than this break it, metres.
const SURFACE: f64 = 1e-3;

/// The lines along which triangles break the surface: edges with both ends there, joined end to end.
pub fn surface_traces(triangles: &[Triangle]) -> Vec<Vec<(f64, f64)>> {
    let key = |p: &[f64; 3]| -> Place { ((p[0] * 1e3).round() as i64, (p[1] * 1e3).round() as i64) };
    let mut edges: BTreeMap<(Place, Place), usize> = BTreeMap::new();
    let mut places: BTreeMap<Place, (f64, f64)> = BTreeMap::new();
    for t in triangles {
        for (i, j) in [(0, 1), (1, 2), (2, 0)] {
            let (a, b) = (&t.vertices[i], &t.vertices[j]);
            if a[2] > -SURFACE && b[2] > -SURFACE && key(a) != key(b) {
                places.insert(key(a), (a[0], a[1]));
                places.insert(key(b), (b[0], b[1]));
                *edges.entry((key(a).min(key(b)), key(a).max(key(b)))).or_default() += 1;
            }
        }
    }
    let mut neighbours: BTreeMap<Place, Vec<Place>> = BTreeMap::new();
    // An edge between two triangles at the surface is inside a flat piece and no trace.
    for (a, b) in edges.iter().filter(|(_, n)| **n == 1).map(|(e, _)| *e) {
        neighbours.entry(a).or_default().push(b);
        neighbours.entry(b).or_default().push(a);
    }
    // From the free ends and junctions first; what is left are closed lines.
    let mut starts: Vec<Place> = neighbours.iter().filter(|(_, n)| n.len() != 2).map(|(k, _)| *k).collect();
    starts.extend(neighbours.keys().copied());
    let mut lines = Vec::new();
    for start in starts {
        while let Some(next) = neighbours.get_mut(&start).and_then(Vec::pop) {
            let mut line = vec![start];
            let (mut from, mut at) = (start, next);
            loop {
                line.push(at);
                let Some(onward) = neighbours.get_mut(&at) else { break };
                let junction = onward.len() != 2;
                onward.retain(|n| *n != from);
                if junction {
                    break;
                }
                let Some(next) = onward.pop() else { break };
                (from, at) = (at, next);
            }
            lines.push(line.into_iter().filter_map(|k| places.get(&k).copied()).collect());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "X1,Y1,Z1,x2,y2,z2,x3,y3,z3,ss,ds,ts,who\n\
        0,0,0, 0,1000,0, 0,500,-900, 1.5,0,0.1,a\n\n\
        0,1000,0,0,2000,0,0,1500,-900,1,0.5,0,b\n";

    #[test]
    fn a_table_is_read_and_its_faults_are_named() {
        assert!(is_table(TABLE) && !is_table("id,WKT\n"));
        let triangles = parse(TABLE, "t.csv").unwrap();
        assert_eq!(triangles.len(), 2);
        assert_eq!(triangles[0].slip, [1.5, 0.0, 0.1]);
        assert_eq!(triangles[1].vertices[2], [0.0, 1500.0, -900.0]);
        let message = |text: &str| parse(text, "t.csv").unwrap_err().to_string();
        assert!(message(&TABLE.replace("ds", "dz")).contains("column ds"));
        assert!(message(&TABLE.replace("1.5", "much")).contains("line 2, column ss: `much`"));
        assert!(message("x1,y1,z1,x2,y2,z2,x3,y3,z3,ss,ds\n").contains("no triangles"));
    }

    #[test]
    fn edges_at_the_surface_make_one_trace() {
        let triangles = parse(TABLE, "t.csv").unwrap();
        let traces = surface_traces(&triangles);
        assert_eq!(traces.len(), 1);
        let mut north: Vec<f64> = traces[0].iter().map(|p| p.1).collect();
        north.sort_by(f64::total_cmp);
        assert_eq!(north, [0.0, 1000.0, 2000.0]);
        // Another one apart from it, and one that stays below.
        let mut more = triangles.clone();
        more.push(Triangle { vertices: [[5e3, 0.0, 0.0], [5e3, 1e3, 0.0], [5e3, 0.0, -10.0]], slip: [0.0; 3] });
        more.push(Triangle { vertices: [[9e3, 0.0, -1.0], [9e3, 1e3, -1.0], [9e3, 0.0, -10.0]], slip: [0.0; 3] });
        assert_eq!(surface_traces(&more).len(), 2);
    }
}
