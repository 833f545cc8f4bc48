//! Faults given as a table of triangles with slip, and where they break the surface.

use std::collections::BTreeMap;

use super::tde::Triangle;
use crate::raster::{Table, Value};
use crate::{Error, Result};

/// Columns of such a table: corners (east, north, up in metres), left-lateral and reverse slip.
pub const COLUMNS: [&str; 11] = ["x1", "y1", "z1", "x2", "y2", "z2", "x3", "y3", "z3", "ss", "ds"];
/// A column that may be missing: opening.
const OPENING: &str = "ts";

/// The triangles of a table with [`COLUMNS`] and maybe `ts`, see [`Triangle::slip`]; other columns are ignored.
///
/// # Errors
/// [`Error::Read`] naming `path`, the row and the column.
pub fn triangles(table: &Table, path: &str) -> Result<Vec<Triangle>> {
    let fail = |why: String| Error::Read { path: path.into(), why };
    let place = |name: &str| table.names.iter().position(|n| n.eq_ignore_ascii_case(name));
    let mut columns = [0; 11];
    for (column, name) in columns.iter_mut().zip(COLUMNS) {
        *column = place(name).ok_or_else(|| fail(format!("column {name} is missing")))?;
    }
    let opening = place(OPENING);
    let triangle = |(number, row): (usize, &Vec<Option<Value>>)| {
        let value = |column: usize, name: &str| {
            let v = match row.get(column).and_then(Option::as_ref) {
                Some(Value::Real(v)) => *v,
                Some(Value::Integer(v)) => *v as f64,
                Some(Value::Text(t)) => t.trim().parse().unwrap_or(f64::NAN),
                None => f64::NAN,
            };
            match v.is_finite() {
                true => Ok(v),
                false => Err(fail(format!("row {}, column {name} is not a number", number + 1))),
            }
        };
        let mut v = [0.0; 11];
        for ((v, column), name) in v.iter_mut().zip(columns).zip(COLUMNS) {
            *v = value(column, name)?;
        }
        let ts = opening.map_or(Ok(0.0), |c| value(c, OPENING))?;
        let vertices = [[v[0], v[1], v[2]], [v[3], v[4], v[5]], [v[6], v[7], v[8]]];
        Ok(Triangle { vertices, slip: [v[9], v[10], ts] })
    };
    let triangles = table.rows.iter().enumerate().map(triangle).collect::<Result<Vec<_>>>()?;
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

    /// Two triangles side by side that break the surface.
    fn table() -> Table {
        let names = COLUMNS.iter().map(|c| c.to_uppercase()).chain(["ts".into(), "who".into()]).collect();
        let row = |v: [f64; 12]| v.iter().map(|v| Some(Value::Real(*v))).chain([None]).collect();
        let mut table = Table {
            names,
            rows: vec![
                row([0.0, 0.0, 0.0, 0.0, 1000.0, 0.0, 0.0, 500.0, -900.0, 1.5, 0.0, 0.1]),
                row([0.0, 1000.0, 0.0, 0.0, 2000.0, 0.0, 0.0, 1500.0, -900.0, 1.0, 0.5, 0.0]),
            ],
        };
        table.rows[0][0] = Some(Value::Text(" 0 ".into()));
        table.rows[0][1] = Some(Value::Integer(0));
        table
    }

    #[test]
    fn a_table_is_read_and_its_faults_are_named() {
        let read = triangles(&table(), "t.csv").unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].slip, [1.5, 0.0, 0.1]);
        assert_eq!(read[1].vertices[2], [0.0, 1500.0, -900.0]);
        let message = |change: fn(&mut Table)| {
            let mut bad = table();
            change(&mut bad);
            triangles(&bad, "t.csv").unwrap_err().to_string()
        };
        assert!(message(|t| t.names[10] = "dz".into()).contains("column ds"));
        assert!(message(|t| t.rows[1][9] = Some(Value::Text("much".into()))).contains("row 2, column ss"));
        assert!(message(|t| t.rows[1][4] = None).contains("row 2, column y2"));
        assert!(message(|t| t.rows.clear()).contains("no triangles"));
    }

    #[test]
    fn edges_at_the_surface_make_one_trace() {
        let mut all = triangles(&table(), "t.csv").unwrap();
        let traces = surface_traces(&all);
        assert_eq!(traces.len(), 1);
        let mut north: Vec<f64> = traces[0].iter().map(|p| p.1).collect();
        north.sort_by(f64::total_cmp);
        assert_eq!(north, [0.0, 1000.0, 2000.0]);
        // Another one apart from it, and one that stays below.
        all.push(Triangle { vertices: [[5e3, 0.0, 0.0], [5e3, 1e3, 0.0], [5e3, 0.0, -10.0]], slip: [0.0; 3] });
        all.push(Triangle { vertices: [[9e3, 0.0, -1.0], [9e3, 1e3, -1.0], [9e3, 0.0, -10.0]], slip: [0.0; 3] });
        assert_eq!(surface_traces(&all).len(), 2);
    }
}
