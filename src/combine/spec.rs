//! What the user says about one map: `FILE[,key=value...]`.

use super::scene::{Ramp, Side};
use crate::{Error, Result};

/// The keys, in the order of the help.
const KEYS: [&str; 13] = [
    "unit",
    "east",
    "north",
    "up",
    "heading",
    "incidence",
    "look",
    "sigma",
    "band",
    "scale",
    "ramp",
    "topography",
    "name",
];

/// What a map shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapKind {
    LineOfSight,
    /// Positive along the flight direction.
    Azimuth,
    /// Positive away from the satellite.
    Range,
    /// East and north of this program.
    Offsets,
}

impl MapKind {
    /// The option that gives such a map.
    pub fn option(self) -> &'static str {
        match self {
            MapKind::LineOfSight => "--los",
            MapKind::Azimuth => "--azimuth-offset",
            MapKind::Range => "--range-offset",
            MapKind::Offsets => "--offsets",
        }
    }
}

/// A number for the whole map, or a raster.
#[derive(Debug, Clone, PartialEq)]
pub enum NumberOrRaster {
    Number(f64),
    Raster(String),
}

/// Where a map's direction comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// East, north, up: bands 1 to 3 of one raster, or three rasters.
    Unit(Vec<String>),
    Angles {
        heading: NumberOrRaster,
        incidence: NumberOrRaster,
        side: Side,
    },
    /// East and north of an offset map.
    Map,
}

/// One map as the command line gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct MapSpec {
    pub path: String,
    pub kind: MapKind,
    pub look: Look,
    pub sigma: Option<NumberOrRaster>,
    pub band: usize,
    /// Metres of a unit of the map; `None`: what the band's unit says.
    pub scale: Option<f64>,
    /// `None`: a plane for lines of sight, nothing for offsets.
    pub ramp: Option<Ramp>,
    /// `None`: for lines of sight where there is an elevation model.
    pub topography: Option<bool>,
    pub name: String,
}

impl MapSpec {
    /// Parses `FILE[,key=value...]`; a comma that no key follows belongs to the file's name.
    ///
    /// # Errors
    /// [`Error::Option`] that names the key and the value.
    pub fn parse(text: &str, kind: MapKind) -> Result<MapSpec> {
        let fail = |why: String| Error::option(kind.option(), text, why);
        let (mut path, mut pairs): (String, Vec<(&str, &str)>) = (String::new(), Vec::new());
        for (i, part) in text.split(',').enumerate() {
            match part.split_once('=').map(|(k, v)| (k.trim(), v.trim())) {
                Some((key, value)) if i > 0 && key.chars().all(|c| c.is_ascii_alphabetic()) => {
                    if !KEYS.contains(&key) {
                        return Err(fail(format!("`{key}` is not known; known are {}", KEYS.join(", "))));
                    }
                    if pairs.iter().any(|(k, _)| *k == key) {
                        return Err(fail(format!("{key} is given twice")));
                    }
                    pairs.push((key, value));
                }
                _ if pairs.is_empty() => {
                    path += if i > 0 { "," } else { "" };
                    path += part;
                }
                _ => return Err(fail(format!("`{part}` is no key=value"))),
            }
        }
        if path.trim().is_empty() {
            return Err(fail("the file is missing; write FILE,key=value,...".into()));
        }
        let get = |key: &str| pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        let number = |key: &str, low: f64, high: f64, unit: &str| -> Result<Option<NumberOrRaster>> {
            let Some(value) = get(key) else { return Ok(None) };
            match value.parse::<f64>() {
                Ok(v) if v >= low && v <= high => Ok(Some(NumberOrRaster::Number(v))),
                Ok(v) => Err(fail(format!("{key} {v} is not between {low} and {high} {unit}"))),
                Err(_) if value.is_empty() => Err(fail(format!("{key} is empty"))),
                Err(_) => Ok(Some(NumberOrRaster::Raster(value.into()))),
            }
        };
        let side = match get("look") {
            None | Some("right") => Side::Right,
            Some("left") => Side::Left,
            Some(other) => return Err(fail(format!("look={other}: give right or left"))),
        };
        let (heading, incidence) =
            (number("heading", -360.0, 360.0, "degrees")?, number("incidence", 0.0, 89.0, "degrees")?);
        let files = [get("east"), get("north"), get("up")];
        let look = match (kind, get("unit"), files) {
            (MapKind::Offsets, None, [None, None, None]) if heading.is_none() && incidence.is_none() => Look::Map,
            (MapKind::Offsets, ..) => return Err(fail("offsets are east and north already: no directions".into())),
            (MapKind::Azimuth, None, [None, None, None]) => match heading {
                Some(heading) => Look::Angles { heading, incidence: NumberOrRaster::Number(0.0), side },
                None => {
                    return Err(fail("say where the satellite flew: heading=DEGREES (clockwise from north)".into()));
                }
            },
            (MapKind::Azimuth, ..) => return Err(fail("an azimuth offset takes heading=DEGREES".into())),
            (_, Some(unit), [None, None, None]) if heading.is_none() && incidence.is_none() => {
                Look::Unit(vec![unit.into()])
            }
            (_, None, [Some(e), Some(n), Some(u)]) => Look::Unit(vec![e.into(), n.into(), u.into()]),
            (_, None, [None, None, None]) => match (heading, incidence) {
                (Some(heading), Some(incidence)) => Look::Angles { heading, incidence, side },
                _ => {
                    return Err(fail(
                        "say where the satellite was: unit=FILE (bands east, north, up, ground to satellite), or \
                         heading=DEGREES,incidence=DEGREES|FILE"
                            .into(),
                    ));
                }
            },
            _ => {
                return Err(fail(
                    "give the direction once: unit=FILE, or east=FILE,north=FILE,up=FILE, or heading and incidence"
                        .into(),
                ));
            }
        };
        let ramp = match get("ramp") {
            None => None,
            Some("none") => Some(Ramp::None),
            Some("constant") => Some(Ramp::Constant),
            Some("plane") => Some(Ramp::Plane),
            Some("bilinear") => Some(Ramp::Bilinear),
            Some(other) => return Err(fail(format!("ramp={other}: give none, constant, plane or bilinear"))),
        };
        let topography = match get("topography") {
            None => None,
            Some("yes") => Some(true),
            Some("no") => Some(false),
            Some(other) => return Err(fail(format!("topography={other}: give yes or no"))),
        };
        let sigma = number("sigma", 1e-9, 1e6, "metres")?;
        let scale = match get("scale").map(|v| (v, v.parse::<f64>())) {
            None => None,
            Some((_, Ok(v))) if v.is_finite() && v != 0.0 => Some(v),
            Some((v, _)) => return Err(fail(format!("scale={v}: give metres of a unit of the map, e.g. 0.001 or -1"))),
        };
        let band = match get("band").map(|v| (v, v.parse::<usize>())) {
            None => 1,
            Some((_, Ok(v))) if v > 0 => v,
            Some((v, _)) => return Err(fail(format!("band={v}: bands count from 1"))),
        };
        let path = path.trim().to_string();
        let name = get("name").map_or_else(|| path.clone(), String::from);
        Ok(MapSpec { path, kind, look, sigma, band, scale, ramp, topography, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str, kind: MapKind) -> String {
        MapSpec::parse(text, kind).unwrap_err().to_string()
    }

    #[test]
    fn a_map_with_its_keys() {
        let m =
            MapSpec::parse("a,b.tif,heading=-12,incidence=inc.tif,sigma=0.01,ramp=none", MapKind::LineOfSight).unwrap();
        assert_eq!((m.path.as_str(), m.band, m.ramp), ("a,b.tif", 1, Some(Ramp::None)));
        let (heading, incidence) = (NumberOrRaster::Number(-12.0), NumberOrRaster::Raster("inc.tif".into()));
        assert_eq!(m.look, Look::Angles { heading, incidence, side: Side::Right });
        assert_eq!(m.sigma, Some(NumberOrRaster::Number(0.01)));
        let m = MapSpec::parse("a.tif,unit=u.tif", MapKind::Range).unwrap();
        assert_eq!(m.look, Look::Unit(vec!["u.tif".into()]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let los = MapKind::LineOfSight;
        assert!(refusal("a.tif", los).contains("unit=FILE"));
        assert!(refusal("a.tif,heading=-12", los).contains("incidence"));
        assert!(refusal("a.tif,heading=-12,incidence=120", los).contains("120 is not between 0 and 89"));
        assert!(refusal("a.tif,unit=u.tif,heading=3", los).contains("once"));
        assert!(refusal("a.tif,unit=u.tif,colour=3", los).contains("`colour` is not known"));
        assert!(refusal("a.tif,unit=u.tif,look=up", los).contains("right or left"));
        assert!(refusal("a.tif,unit=u.tif,sigma=-1", los).contains("sigma -1"));
        assert!(refusal("a.tif", MapKind::Azimuth).contains("heading"));
        assert!(refusal("a.tif,heading=3", MapKind::Offsets).contains("no directions"));
        assert!(refusal(",unit=u.tif", los).contains("file is missing"));
    }
}
