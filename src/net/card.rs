//! The card of a model: what its ONNX metadata says about it. `models/README.md` explains every key.

use serde::Serialize;

/// Prefix of the keys in the ONNX metadata.
pub const PREFIX: &str = "shiftmap.";
/// The version of the contract that this program speaks.
pub const CONTRACT: &str = "1";
/// The keys that must be there.
pub const REQUIRED: [&str; 14] = [
    "contract",
    "name",
    "version",
    "kind",
    "sensor",
    "multiple",
    "halo",
    "tile",
    "normalisation",
    "max_displacement",
    "training",
    "seed",
    "mae",
    "licence",
];
/// The keys that may be there.
pub const OPTIONAL: [&str; 4] = ["bands", "front_end", "passes", "sigma"];
/// What `front_end` may be.
pub const FRONT_ENDS: [(&str, FrontEnd); 2] = [("dense-1", FrontEnd::Dense1), ("dense-2", FrontEnd::Dense2)];
/// Sides that a tile may have, pixels.
const TILE: (usize, usize) = (8, 2048);

/// How a network is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Images of any size to a displacement at every pixel.
    Dense,
    /// Windows of one size to the displacement of their centre.
    Window,
    /// Interferograms and GNSS; not for image pairs.
    InsarGnss,
}

/// What a network was trained for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensor {
    Optical,
    Sar,
    Any,
}

impl Sensor {
    /// As cards and `--sensor` have it.
    pub fn name(self) -> &'static str {
        match self {
            Sensor::Optical => "optical",
            Sensor::Sar => "sar",
            Sensor::Any => "any",
        }
    }
}

/// How values come to a common scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalisation {
    /// Minus the scene's median, over its robust standard deviation.
    Scene,
    /// The same of the logarithm.
    SceneLog,
    None,
}

/// What shiftmap computes for the input `features`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum FrontEnd {
    /// Features about the displacement of the method `dense`.
    #[serde(rename = "dense-1")]
    Dense1,
    /// The same about that displacement smoothed as by the method `regularized`.
    #[serde(rename = "dense-2")]
    Dense2,
}

/// The card.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Card {
    pub name: String,
    pub version: String,
    pub kind: Kind,
    pub sensor: Sensor,
    /// Height and width must be multiples of it.
    pub multiple: usize,
    /// Pixels at each side of a tile whose output is not used.
    pub halo: usize,
    /// Side of a tile with its halo, or of the window.
    pub tile: usize,
    pub normalisation: Normalisation,
    /// Largest component trained for, pixels.
    pub max_displacement: f64,
    pub training: String,
    pub seed: u64,
    /// Mean absolute error of a component on held-out data, pixels.
    pub mae: f64,
    pub licence: String,
    /// Image bands.
    pub bands: usize,
    pub front_end: Option<FrontEnd>,
    /// How often it runs where `--net-passes` does not say.
    pub passes: usize,
    /// What makes a standard deviation of the look backwards, for a network that states none.
    pub sigma: Option<Backward>,
}

/// Level of the standard deviation that a look backwards gives: σ² = (factor · what it says)² + floor².
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Backward {
    pub factor: f64,
    /// Pixels.
    pub floor: f64,
}

impl Backward {
    /// The variance of a component from the one that the look backwards gives.
    pub fn variance(self, found: f64) -> f64 {
        self.factor * self.factor * found + self.floor * self.floor
    }
}

impl Card {
    /// Reads the card from ONNX metadata; keys without the prefix are not looked at.
    ///
    /// # Errors
    /// A text that names the key which is missing, unknown, given twice or unusable.
    pub fn from_metadata(metadata: &[(String, String)]) -> Result<Card, String> {
        let entries: Vec<(&str, &str)> =
            metadata.iter().filter_map(|(k, v)| Some((k.strip_prefix(PREFIX)?, v.as_str()))).collect();
        if entries.is_empty() {
            return Err(format!("it has no card: the metadata key {PREFIX}contract is missing (see models/README.md)"));
        }
        if let Some((_, contract)) = entries.iter().find(|(k, v)| *k == "contract" && *v != CONTRACT) {
            return Err(format!("{PREFIX}contract is {contract}, this program knows {CONTRACT}"));
        }
        for (i, (key, _)) in entries.iter().enumerate() {
            if !REQUIRED.contains(key) && !OPTIONAL.contains(key) {
                return Err(format!("its card has the unknown key {PREFIX}{key}"));
            }
            if entries[..i].iter().any(|(k, _)| k == key) {
                return Err(format!("its card has the key {PREFIX}{key} twice"));
            }
        }
        let get = |key: &str| entries.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        let text = |key: &str| match get(key) {
            None => Err(format!("its card lacks the key {PREFIX}{key}")),
            Some(v) if v.trim().is_empty() => Err(format!("{PREFIX}{key} of its card is empty")),
            Some(v) => Ok(v.trim()),
        };
        for key in REQUIRED {
            text(key)?;
        }
        let name = text("name")?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return Err(wrong("name", name, "letters, digits, -, _ and . only"));
        }
        let card = Card {
            name: name.into(),
            version: text("version")?.into(),
            kind: one_of(
                "kind",
                text("kind")?,
                &[("dense", Kind::Dense), ("window", Kind::Window), ("insar_gnss", Kind::InsarGnss)],
            )?,
            sensor: one_of(
                "sensor",
                text("sensor")?,
                &[("optical", Sensor::Optical), ("sar", Sensor::Sar), ("any", Sensor::Any)],
            )?,
            multiple: whole("multiple", text("multiple")?, 1, 256)?,
            halo: whole("halo", text("halo")?, 0, 256)?,
            tile: whole("tile", text("tile")?, TILE.0, TILE.1)?,
            normalisation: one_of(
                "normalisation",
                text("normalisation")?,
                &[
                    ("scene", Normalisation::Scene),
                    ("scene-log", Normalisation::SceneLog),
                    ("none", Normalisation::None),
                ],
            )?,
            max_displacement: number("max_displacement", text("max_displacement")?)?,
            training: text("training")?.into(),
            seed: text("seed")?.parse().map_err(|_| wrong("seed", get("seed").unwrap_or(""), "a whole number"))?,
            mae: number("mae", text("mae")?)?,
            licence: text("licence")?.into(),
            bands: get("bands").map_or(Ok(1), |v| whole("bands", v.trim(), 1, 16))?,
            front_end: get("front_end").map(|v| one_of("front_end", v.trim(), &FRONT_ENDS)).transpose()?,
            passes: get("passes").map_or(Ok(1), |v| whole("passes", v.trim(), 1, super::PASSES))?,
            sigma: get("sigma").map(backward).transpose()?,
        };
        card.check()
    }

    fn check(self) -> Result<Card, String> {
        let tile = self.tile.to_string();
        if !self.tile.is_multiple_of(self.multiple) {
            return Err(wrong("tile", &tile, &format!("a multiple of {} ({PREFIX}multiple)", self.multiple)));
        }
        match self.kind {
            Kind::Window if self.halo != 0 => Err(wrong("halo", &self.halo.to_string(), "0 for the kind window")),
            Kind::Window if self.front_end.is_some() => {
                Err(format!("{PREFIX}front_end is for the kind dense, not for window"))
            }
            Kind::Window if !(5..=512).contains(&self.tile) => Err(wrong("tile", &tile, "a window of 8 to 512 px")),
            Kind::Dense if self.tile < 2 * self.halo + self.multiple.max(8) => {
                Err(wrong("tile", &tile, &format!("more than twice the halo of {} px", self.halo)))
            }
            _ => Ok(self),
        }
    }

    /// The windows that a network of the kind `window` looks at, whatever `--window` says.
    pub fn window(&self) -> Option<(usize, usize)> {
        (self.kind == Kind::Window).then_some((self.tile, self.tile))
    }

    /// Name, version and kind in one line.
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

fn backward(value: &str) -> Result<Backward, String> {
    let numbers: Result<Vec<f64>, _> = value.split_whitespace().map(str::parse).collect();
    let known = |v: f64| v >= 0.0 && v.is_finite();
    match numbers.as_deref() {
        Ok(&[factor, floor]) if known(factor) && known(floor) && factor > 0.0 => Ok(Backward { factor, floor }),
        _ => Err(wrong("sigma", value, "a factor above 0 and pixels, 0 or more, e.g. `2.5 0.03`")),
    }
}

fn wrong(key: &str, value: &str, wanted: &str) -> String {
    format!("{PREFIX}{key} of its card is `{value}`; wanted: {wanted}")
}

fn one_of<T: Copy>(key: &str, value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    let names = || choices.iter().map(|c| c.0).collect::<Vec<_>>().join(", ");
    choices.iter().find(|c| c.0 == value).map(|c| c.1).ok_or_else(|| wrong(key, value, &format!("one of {}", names())))
}

fn whole(key: &str, value: &str, least: usize, most: usize) -> Result<usize, String> {
    let found = value.parse().ok().filter(|n| (least..=most).contains(n));
    found.ok_or_else(|| wrong(key, value, &format!("a whole number from {least} to {most}")))
}

fn number(key: &str, value: &str) -> Result<f64, String> {
    let found = value.parse().ok().filter(|v: &f64| *v >= 0.0 && v.is_finite());
    found.ok_or_else(|| wrong(key, value, "a number of pixels, 0 or more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Vec<(String, String)> {
        let values =
            ["1", "a-net", "1.0", "dense", "optical", "16", "48", "512", "scene", "3", "data", "7", "0.02", "MIT"];
        let entry = |(k, v): (&&str, &str)| (format!("{PREFIX}{k}"), v.to_string());
        REQUIRED.iter().zip(values).map(entry).collect()
    }

    fn with(key: &str, value: &str) -> Result<Card, String> {
        let mut entries = good();
        entries.retain(|(k, _)| *k != format!("{PREFIX}{key}"));
        entries.push((format!("{PREFIX}{key}"), value.into()));
        Card::from_metadata(&entries)
    }

    #[test]
    fn a_whole_card_is_read() {
        let mut entries = good();
        entries.push(("producer".into(), "someone".into()));
        let card = Card::from_metadata(&entries).unwrap();
        assert_eq!((card.name.as_str(), card.kind, card.sensor), ("a-net", Kind::Dense, Sensor::Optical));
        assert_eq!((card.multiple, card.halo, card.tile, card.bands), (16, 48, 512, 1));
        assert_eq!((card.max_displacement, card.mae, card.seed), (3.0, 0.02, 7));
        assert_eq!((card.passes, with("passes", "2").unwrap().passes), (1, 2));
        assert_eq!(card.sigma, None);
        let sigma = with("sigma", "2.5 0.03").unwrap().sigma.unwrap();
        assert!((sigma.variance(0.01) - (0.0625 + 0.0009)).abs() < 1e-12);
        for (name, front_end) in FRONT_ENDS {
            assert_eq!(with("front_end", name).unwrap().front_end, Some(front_end));
        }
    }

    #[test]
    fn every_missing_key_is_named() {
        for key in REQUIRED {
            let mut entries = good();
            entries.retain(|(k, _)| *k != format!("{PREFIX}{key}"));
            let text = Card::from_metadata(&entries).unwrap_err();
            assert!(text.contains(&format!("shiftmap.{key}")), "{text}");
        }
        assert!(Card::from_metadata(&[]).unwrap_err().contains("no card"));
    }

    #[test]
    fn unknown_and_unusable_keys_are_named() {
        assert!(with("haloo", "3").unwrap_err().contains("unknown key shiftmap.haloo"));
        for (key, value) in [
            ("contract", "2"),
            ("kind", "sparse"),
            ("sensor", "radar"),
            ("multiple", "0"),
            ("halo", "-1"),
            ("halo", "250"),
            ("tile", "500"),
            ("tile", "4096"),
            ("normalisation", "tile"),
            ("max_displacement", "NaN"),
            ("mae", "small"),
            ("seed", "x"),
            ("name", "a/b"),
            ("licence", " "),
            ("front_end", "dense-9"),
            ("bands", "0"),
            ("passes", "0"),
            ("passes", "11"),
            ("sigma", "2.5"),
            ("sigma", "0 0.1"),
            ("sigma", "1 -0.1"),
            ("sigma", "1 0.1 2"),
            ("sigma", "a b"),
        ] {
            let text = with(key, value).unwrap_err();
            assert!(
                text.contains(&format!("shiftmap.{key}")) || key == "halo" && text.contains("halo"),
                "{key}: {text}"
            );
        }
        let mut twice = good();
        twice.push(("shiftmap.mae".into(), "1".into()));
        assert!(Card::from_metadata(&twice).unwrap_err().contains("shiftmap.mae twice"));
        assert!(with("kind", "window").unwrap_err().contains("shiftmap.halo"));
    }
}
