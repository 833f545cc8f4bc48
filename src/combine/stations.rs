//! Stations from files: tables of displacements or of daily positions, and `.tenv3` series.
//!
//! `.tenv3` is the format of the Nevada Geodetic Laboratory (Blewitt et al. 2018, Eos 99): whitespace-separated columns with a
//! header line; days are modified Julian days here.

use std::collections::BTreeMap;
use std::path::Path;

use super::scene::Station;
use super::series::{Series, StepOptions, steps};
use crate::raster::{Table, Value, read_table};
use crate::stack::dates::Day;
use crate::{Error, Result};

/// Where a station stands, as its file says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Position {
    /// Map coordinates of the grid.
    Map(f64, f64),
    /// Longitude and latitude, degrees.
    Geographic(f64, f64),
}

/// A station before its place on the grid is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub station: Station,
    pub position: Position,
}

/// Day of the event (`--event`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    Date(Day),
    /// In the days of the series.
    Number(f64),
}

impl std::str::FromStr for Event {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match (Day::parse(text), text.trim().parse::<f64>()) {
            // A number that could be a date written without separators is one.
            (Some(day), _) => Ok(Event::Date(day)),
            (None, Ok(v)) if v.is_finite() => Ok(Event::Number(v)),
            _ => Err(format!("`{text}` is no date and no day; write e.g. 2019-07-06, or 61 for numbered days")),
        }
    }
}

/// How series become steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesOptions {
    pub event: Option<Event>,
    /// Days on each side.
    pub window: f64,
    pub trend: bool,
}

/// Modified Julian day of 1970-01-01.
const MJD: f64 = 40_587.0;

/// Everything that files say, before series become steps.
#[derive(Default)]
struct Gathered {
    stations: BTreeMap<String, Found>,
    /// Position and height, from tables without displacements and from series.
    places: BTreeMap<String, (Position, f64)>,
    series: BTreeMap<String, (Series, bool)>,
}

/// Reads stations from tables, `.tenv3` files and folders of either; notes tell what was left away.
///
/// # Errors
/// [`Error::Open`], and [`Error::Data`] that names file, station, column and value.
pub fn read(paths: &[String], options: &SeriesOptions, notes: &mut Vec<String>) -> Result<Vec<Found>> {
    let mut all = Gathered::default();
    for path in paths {
        for file in files(path)? {
            if file.to_ascii_lowercase().ends_with(".tenv3") {
                all.tenv3(&file)?;
            } else {
                all.table(&file)?;
            }
        }
    }
    all.finish(options, notes)
}

/// A file, or the tables and series of a folder in the order of their names.
fn files(path: &str) -> Result<Vec<String>> {
    if !Path::new(path).is_dir() {
        return Ok(vec![path.into()]);
    }
    let fail = |why: String| Error::Open { path: path.into(), why };
    let mut found: Vec<String> = std::fs::read_dir(path)
        .map_err(|e| fail(e.to_string()))?
        .flatten()
        .map(|e| e.path().display().to_string())
        .filter(|f| [".tenv3", ".csv"].iter().any(|s| f.to_ascii_lowercase().ends_with(s)))
        .collect();
    found.sort();
    match found.is_empty() {
        true => Err(fail("the folder holds no .csv and no .tenv3 file".into())),
        false => Ok(found),
    }
}

/// A table with its columns found by name.
struct Columns<'a> {
    path: &'a str,
    table: &'a Table,
}

impl Columns<'_> {
    fn find(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|n| self.table.names.iter().position(|c| c.eq_ignore_ascii_case(n)))
    }

    fn text(&self, row: usize, column: usize) -> String {
        match &self.table.rows[row][column] {
            Some(Value::Text(t)) => t.trim().to_string(),
            Some(Value::Integer(v)) => v.to_string(),
            Some(Value::Real(v)) => v.to_string(),
            None => String::new(),
        }
    }

    /// A number; NaN where the field is empty or says so.
    fn number(&self, row: usize, column: usize) -> Result<f64> {
        let text = self.text(row, column);
        if text.is_empty() {
            return Ok(f64::NAN);
        }
        text.parse().map_err(|_| {
            Error::Data(format!(
                "{}: row {}, column {}: `{text}` is not a number",
                self.path,
                row + 1,
                self.table.names[column]
            ))
        })
    }

    fn three(&self, row: usize, columns: [Option<usize>; 3]) -> Result<[f64; 3]> {
        let mut out = [f64::NAN; 3];
        for (v, column) in out.iter_mut().zip(columns) {
            if let Some(column) = column {
                *v = self.number(row, column)?;
            }
        }
        Ok(out)
    }
}

impl Gathered {
    fn table(&mut self, path: &str) -> Result<()> {
        let lacking = |what: &str, names: &[String]| {
            Error::Data(format!(
                "{path} has no column {what}; it has {}. A table of stations begins with \
                 station,x,y,height,east,north,up,sigma_east,sigma_north,sigma_up (longitude,latitude in place of x,y), one \
                 of daily positions with station,day,east,north,up",
                names.join(", ")
            ))
        };
        let Some(table) = read_table(path, &[])? else {
            return Err(Error::Open { path: path.into(), why: "it holds no table".into() });
        };
        let columns = Columns { path, table: &table };
        let find = |names: &[&str]| columns.find(names);
        let Some(name) = find(&["station", "site", "name"]) else {
            return Err(lacking("station", &table.names));
        };
        let enu = [find(&["east", "e"]), find(&["north", "n"]), find(&["up", "u"])];
        let place = match (find(&["x"]), find(&["y"]), find(&["longitude", "lon"]), find(&["latitude", "lat"])) {
            (Some(x), Some(y), ..) => Some((false, x, y)),
            (_, _, Some(x), Some(y)) => Some((true, x, y)),
            _ => None,
        };
        let height = find(&["height", "h", "elevation"]);
        let day = find(&["day", "date", "mjd"]);
        if day.is_some() && enu.iter().any(Option::is_none) {
            return Err(lacking("east, north or up", &table.names));
        }
        if day.is_none() && place.is_none() {
            return Err(lacking("x and y, or longitude and latitude", &table.names));
        }
        let sigmas = [
            find(&["sigma_east", "se", "sigma_e"]),
            find(&["sigma_north", "sn", "sigma_n"]),
            find(&["sigma_up", "su", "sigma_u"]),
        ];
        for row in 0..table.rows.len() {
            let station = columns.text(row, name);
            if station.is_empty() {
                return Err(Error::Data(format!("{path}: row {}: the station has no name", row + 1)));
            }
            if let Some((geographic, x, y)) = place {
                let (x, y) = (columns.number(row, x)?, columns.number(row, y)?);
                if !(x.is_finite() && y.is_finite()) {
                    return Err(Error::Data(format!("{path}: row {}: station {station} has no position", row + 1)));
                }
                if geographic && !((-180.0..=360.0).contains(&x) && (-90.0..=90.0).contains(&y)) {
                    return Err(Error::Data(format!(
                        "{path}: row {}: station {station}: longitude {x}, latitude {y} are no degrees",
                        row + 1
                    )));
                }
                let height = height.map_or(Ok(f64::NAN), |h| columns.number(row, h))?;
                let position = if geographic { Position::Geographic(x, y) } else { Position::Map(x, y) };
                self.places.insert(station.clone(), (position, height));
            }
            let values = columns.three(row, enu)?;
            if let Some(day) = day {
                self.daily(&columns, row, day, &station, values)?;
                continue;
            }
            if values.iter().all(|v| v.is_nan()) {
                continue;
            }
            let sigma = columns.three(row, sigmas)?;
            for c in 0..3 {
                if values[c].is_finite() && !(sigma[c].is_finite() && sigma[c] > 0.0) {
                    let component = super::COMPONENTS[c];
                    return Err(Error::Data(format!(
                        "{path}: row {}: station {station} has {component} {} and the sigma_{component} {}: give a \
                         positive number of metres, or leave the displacement empty",
                        row + 1,
                        values[c],
                        sigma[c]
                    )));
                }
            }
            let (position, height) = self.places[&station];
            let found =
                Station { name: station.clone(), x: f64::NAN, y: f64::NAN, height, displacement: values, sigma };
            if self.stations.insert(station.clone(), Found { station: found, position }).is_some() {
                return Err(Error::Data(format!(
                    "{path}: row {}: station {station} is there twice; names must differ",
                    row + 1
                )));
            }
        }
        Ok(())
    }

    fn daily(&mut self, columns: &Columns, row: usize, day: usize, station: &str, values: [f64; 3]) -> Result<()> {
        let text = columns.text(row, day);
        let (day, dated) = match (text.parse::<f64>(), Day::parse(&text)) {
            (Ok(v), _) if v.is_finite() => (v, false),
            (_, Some(d)) => (d.0 as f64 + MJD, true),
            _ => {
                return Err(Error::Data(format!("{}: row {}: `{text}` is no day and no date", columns.path, row + 1)));
            }
        };
        if values.iter().all(|v| v.is_finite()) {
            let (series, has_dates) = self.series.entry(station.into()).or_default();
            series.name = station.into();
            *has_dates = dated;
            series.days.push(day);
            series.positions.push(values);
        }
        Ok(())
    }

    fn tenv3(&mut self, path: &str) -> Result<()> {
        let fail = |why: String| Error::Open { path: path.into(), why };
        let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
        let mut lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
        let header: Vec<String> = lines
            .next()
            .map_or(vec![], |(_, l)| l.split_whitespace().map(|h| h.trim_matches('_').to_ascii_lowercase()).collect());
        let column = |name: &str| {
            let found = header.iter().position(|h| h.trim_start_matches('_').starts_with(name));
            found.ok_or_else(|| fail(format!("its header has no column {name}: not a .tenv3 file")))
        };
        let day = column("mjd")?;
        let whole = [column("e0")?, column("n0")?, column("u0")?];
        let part = [column("east")?, column("north")?, column("up")?];
        let (lat, lon) = (column("latitude"), column("longitude"));
        let (Ok(lat), Ok(lon)) = (lat, lon) else {
            return Err(fail(
                "it has no latitude and longitude (an older .tenv3): download it again, or give the places in a table with \
                 station,longitude,latitude"
                    .into(),
            ));
        };
        let height = column("height").ok();
        for (number, line) in lines {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let value = |k: usize| {
                fields.get(k).and_then(|f| f.parse::<f64>().ok()).filter(|v| v.is_finite()).ok_or_else(|| {
                    Error::Data(format!(
                        "{path}: line {}, column {}: `{}` is not a number",
                        number + 1,
                        header[k],
                        fields.get(k).unwrap_or(&"")
                    ))
                })
            };
            let name = fields[0].to_string();
            let mut position = [0.0; 3];
            for c in 0..3 {
                position[c] = value(whole[c])? + value(part[c])?;
            }
            let (series, dated) = self.series.entry(name.clone()).or_default();
            series.name = name.clone();
            *dated = true;
            series.days.push(value(day)?);
            series.positions.push(position);
            let height = height.map_or(Ok(f64::NAN), value)?;
            let longitude = (value(lon)? + 180.0).rem_euclid(360.0) - 180.0;
            self.places.insert(name, (Position::Geographic(longitude, value(lat)?), height));
        }
        Ok(())
    }

    /// Steps of the series; a station of a table that has a series too takes its series' step.
    fn finish(mut self, options: &SeriesOptions, notes: &mut Vec<String>) -> Result<Vec<Found>> {
        if let (Some((name, _)), None) = (self.series.first_key_value(), options.event) {
            let text = "station {} is a series of days: say when the event was (--event DATE)";
            return Err(Error::Data(text.replace("{}", name)));
        }
        // Series on one calendar are one network.
        let mut networks: BTreeMap<bool, Vec<&Series>> = BTreeMap::new();
        for (name, (series, dated)) in &self.series {
            if let (Some(Event::Date(d)), false) = (options.event, dated) {
                return Err(Error::option(
                    "--event",
                    d,
                    format!("the days of station {name} are numbers, not dates; give the number of the day"),
                ));
            }
            if !self.places.contains_key(name) {
                return Err(Error::Data(format!(
                    "station {name} has a series and no position: add a table with station,x,y or \
                     station,longitude,latitude to --gnss"
                )));
            }
            networks.entry(*dated).or_default().push(series);
        }
        let (mut refused, mut used) = (Vec::new(), 0);
        for list in networks.values() {
            let event = match options.event {
                Some(Event::Date(d)) => d.0 as f64 + MJD,
                Some(Event::Number(v)) => v,
                None => continue,
            };
            let found = steps(list, &StepOptions { event, window: options.window, trend: options.trend });
            for (series, found) in list.iter().zip(found) {
                let (name, (position, height)) = (&series.name, self.places[&series.name]);
                match found {
                    Ok(steps) => {
                        used += 1;
                        let (displacement, sigma) = (steps.map(|s| s.step), steps.map(|s| s.sigma));
                        let station =
                            Station { name: name.clone(), x: f64::NAN, y: f64::NAN, height, displacement, sigma };
                        self.stations.insert(name.clone(), Found { station, position });
                    }
                    Err(e) => refused.push(e.to_string()),
                }
            }
        }
        if let (0, Some(first)) = (used, refused.first()) {
            return Err(Error::Data(format!("no series has a step: {first}; check --event and --days")));
        }
        notes.extend(refused.into_iter().map(|r| format!("left away: {r}")));
        Ok(self.stations.into_values().collect())
    }
}
