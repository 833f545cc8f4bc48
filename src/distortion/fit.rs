//! All parts of a distortion, found together.

use super::direction::Direction;
use super::lines::{self, Field};
use super::model::{Distortion, Lines};
use super::steps::{self, Seams};
use super::surface::{self, Sample};
use super::table::{Block, LineTable};
use crate::robust;
use crate::{Error, Result};

/// Which parts there are.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Coefficients of the surface: 0 (none), 1 (a shift), 3 (a plane), 6 (a quadratic surface).
    pub terms: usize,
    /// Longest wave of the jitter, in the table's unit.
    pub jitter: Option<f64>,
    pub seams: Option<Seams>,
    /// Half a matching window along the lines, in the table's unit.
    pub guard: f64,
    /// Whether the model is for a map of such windows, in which a seam is a ramp, or for an image.
    pub ramps: bool,
    /// Stable ground was given.
    pub known: bool,
}

/// A distortion and what it was found from.
#[derive(Debug, Clone)]
pub struct Found {
    pub distortion: Distortion,
    /// Weight of the ground the surface goes through, as a share of all that was offered.
    pub inside: f64,
    /// Median and robust standard deviation of the two components on the (stable) ground, before and after.
    pub before: [Spread; 2],
    pub after: [Spread; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Spread {
    pub median: f64,
    pub nmad: f64,
}

/// What is wanted of a whole field; positions and lengths in the field's own unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// As in [`Plan`].
    pub terms: usize,
    /// Direction of the lines, and their longest wave.
    pub jitter: Option<(Direction, f64)>,
    pub seams: Option<(Direction, Seams)>,
    /// Sides of a matching window.
    pub window: (f64, f64),
    pub ramps: bool,
    pub known: bool,
}

/// Finds all parts. `table` makes the table for a direction, less what is known already; it is asked once, or three times for
/// jitter and seams along different lines. The work is done in `pool`.
///
/// # Errors
/// Those of [`fit`] and of `table`.
pub fn fit_parts(
    wanted: &Wanted,
    pool: &rayon::ThreadPool,
    table: &mut dyn FnMut(Direction, &Distortion) -> Result<LineTable>,
) -> Result<Found> {
    let plan = |direction: Direction, terms: usize, jitter: bool, seams: bool| Plan {
        terms,
        jitter: wanted.jitter.as_ref().filter(|_| jitter).map(|j| j.1),
        seams: wanted.seams.as_ref().filter(|_| seams).map(|s| s.1.clone()),
        guard: 0.5 * (direction.x.abs() * wanted.window.0 + direction.y.abs() * wanted.window.1),
        ramps: wanted.ramps,
        known: wanted.known,
    };
    let (lines, seams) = (wanted.jitter.as_ref().map(|j| j.0), wanted.seams.as_ref().map(|s| s.0));
    let none = Distortion::default();
    let in_pool = |table: &LineTable, plan: &Plan| pool.install(|| fit(table, plan));
    match (lines, seams) {
        (Some(l), Some(s)) if l != s => {
            let without_surface = |d: Distortion| Distortion { surface: None, ..d };
            let terms = wanted.terms.max(3);
            let jitter = without_surface(in_pool(&table(l, &none)?, &plan(l, terms, true, false))?.distortion);
            let steps = without_surface(in_pool(&table(s, &jitter)?, &plan(s, terms, false, true))?.distortion);
            let mut last = in_pool(&table(l, &steps)?, &plan(l, wanted.terms, true, false))?;
            last.distortion.steps = steps.steps;
            Ok(last)
        }
        _ => {
            let main = lines.or(seams).unwrap_or(Direction::ROWS);
            in_pool(&table(main, &none)?, &plan(main, wanted.terms, lines.is_some(), seams.is_some()))
        }
    }
}

/// Each part is found in what the others leave, in turns.
const TURNS: usize = 3;

/// Finds the distortion in `table`.
///
/// # Errors
/// [`Error::Data`]: too few values.
pub fn fit(table: &LineTable, plan: &Plan) -> Result<Found> {
    let stable = table.stable();
    if stable < 12 {
        return Err(Error::Data(match plan.known {
            true => format!("only {stable} values lie on stable ground; check --stable and --moving"),
            false => format!("only {stable} values; they are too few to find what the sensor added"),
        }));
    }
    let mut distortion = Distortion::default();
    let mut inside = 1.0;
    // Lines and seams are found beside a plane at least, whether or not it is wanted.
    let beside = if plan.jitter.is_some() || plan.seams.is_some() { plan.terms.max(3) } else { plan.terms };
    surface_of(table, beside, plan.guard, &mut distortion, &mut inside)?;
    if plan.jitter.is_some() || plan.seams.is_some() {
        for _ in 0..TURNS {
            jitter_of(table, plan, &mut distortion);
            seams_of(table, plan, &mut distortion);
            surface_of(table, beside, plan.guard, &mut distortion, &mut inside)?;
        }
        if plan.terms < beside {
            surface_of(table, plan.terms, plan.guard, &mut distortion, &mut inside)?;
        }
    }
    let before = spread(table, |_| [0.0; 2]);
    let after = spread(table, |b| {
        let (x, y) = table.direction.join(b.along, b.across);
        distortion.at(x, y)
    });
    Ok(Found { distortion, inside, before, after })
}

fn value(distortion: &Distortion, table: &LineTable, b: &Block) -> [f64; 2] {
    let (x, y) = table.direction.join(b.along, b.across);
    distortion.at(x, y)
}

fn surface_of(
    table: &LineTable,
    terms: usize,
    guard: f64,
    distortion: &mut Distortion,
    inside: &mut f64,
) -> Result<()> {
    distortion.surface = None;
    if terms == 0 {
        return Ok(());
    }
    let mut samples = Vec::new();
    for line in 0..table.lines {
        for b in (0..table.blocks).filter_map(|block| table.block(line, block)).filter(|b| b.stable) {
            let (x, y) = table.direction.join(b.along, b.across);
            let other = distortion.at(x, y);
            samples.push(Sample { x, y, values: [b.values[0] - other[0], b.values[1] - other[1]] });
        }
    }
    let (along, across) = (table.blocks as f64 * table.length, table.lines as f64 * table.spacing);
    let (cx, cy) = table.direction.join(table.start + 0.5 * along, table.first + 0.5 * across);
    let field = Field::of(table, |b| value(distortion, table, b));
    let noise = [0, 1].map(|k| field.noise(k, lag(table, guard)));
    let found = surface::through(&samples, noise, [cx, cy], 0.5 * along.max(across), terms);
    let (surface, share) = found.ok_or_else(|| {
        let what = if terms == 6 { "a quadratic surface" } else { "a plane" };
        Error::Data(format!("the values lie too closely together for {what}; ask for a simpler model"))
    })?;
    distortion.surface = Some(surface);
    *inside = share;
    Ok(())
}

/// Blocks whose windows just do not overlap.
fn lag(table: &LineTable, guard: f64) -> usize {
    ((2.0 * guard / table.length).ceil() as usize).max(1)
}

fn jitter_of(table: &LineTable, plan: &Plan, distortion: &mut Distortion) {
    let Some(longest) = plan.jitter else { return };
    distortion.lines = None;
    let field = Field::of(table, |b| value(distortion, table, b));
    let mut values = lines::jitter(&field, (longest / table.spacing).max(2.0), plan.known, lag(table, plan.guard));
    // The mean belongs to the surface.
    for v in &mut values {
        let mean = v.iter().sum::<f64>() / v.len().max(1) as f64;
        v.iter_mut().for_each(|x| *x -= mean);
    }
    distortion.lines = Some(Lines { direction: table.direction, first: table.first, spacing: table.spacing, values });
}

fn seams_of(table: &LineTable, plan: &Plan, distortion: &mut Distortion) {
    let Some(seams) = &plan.seams else { return };
    distortion.steps = None;
    let field = Field::of(table, |b| value(distortion, table, b));
    distortion.steps = steps::find(table, &field, seams, plan.guard, if plan.ramps { 2.0 * plan.guard } else { 0.0 });
}

/// Median and scatter on the ground that the surface is found on.
fn spread(table: &LineTable, remove: impl Fn(&Block) -> [f64; 2]) -> [Spread; 2] {
    let mut values = [Vec::new(), Vec::new()];
    for line in 0..table.lines {
        for b in (0..table.blocks).filter_map(|block| table.block(line, block)).filter(|b| b.stable) {
            let r = remove(&b);
            (0..2).for_each(|k| values[k].push(b.values[k] - r[k]));
        }
    }
    values.map(|mut v| {
        let median = robust::median(&mut v);
        Spread { median, nmad: robust::scale(&v, median) }
    })
}
