//! Calendar days.

use crate::{Error, Result};

/// A day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

/// Days of a Julian year, for velocities.
pub const YEAR: f64 = 365.25;

impl Day {
    /// From text that begins with a date: `2020-03-01`, `2020:03:01 10:20:30` (as TIFF writes it), `2020/03/01`,
    /// `20200301`. The time of the day is left out.
    pub fn parse(text: &str) -> Option<Day> {
        let text = text.trim();
        let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit()).then(|| part.parse::<i64>().ok()).flatten();
        let (year, month, day) = match text.get(4..5)? {
            "-" | ":" | "/" => {
                let separator = &text[4..5];
                if text.get(7..8)? != separator {
                    return None;
                }
                (digits(text.get(..4)?)?, digits(text.get(5..7)?)?, digits(text.get(8..10)?)?)
            }
            _ => (digits(text.get(..4)?)?, digits(text.get(4..6)?)?, digits(text.get(6..8)?)?),
        };
        let found = Day::of(year, month, day);
        // 30 February comes back as something else.
        (found.civil() == (year, month, day)).then_some(found)
    }

    /// Day of a Gregorian date (Hinnant 2013, "chrono-compatible low-level date algorithms").
    fn of(year: i64, month: i64, day: i64) -> Day {
        let y = if month <= 2 { year - 1 } else { year };
        let era = y.div_euclid(400);
        let of_era = y - era * 400;
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        Day(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
    }

    /// Year, month and day.
    fn civil(self) -> (i64, i64, i64) {
        let z = self.0 + 719_468;
        let era = z.div_euclid(146_097);
        let of_era = z - era * 146_097;
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let m = (5 * of_year + 2) / 153;
        let month = if m < 10 { m + 3 } else { m - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year, month, of_year - (153 * m + 2) / 5 + 1)
    }

    /// Years since another day.
    pub fn years_since(self, other: Day) -> f64 {
        (self.0 - other.0) as f64 / YEAR
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (y, m, d) = self.civil();
        write!(f, "{y:04}-{m:02}-{d:02}")
    }
}

impl serde::Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl std::str::FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Day::parse(text).ok_or_else(|| format!("`{text}` is no date; write e.g. 2020-03-01"))
    }
}

/// A date of an input, or an error that names it.
pub fn required(text: Option<&str>, what: &str, path: &str) -> Result<Day> {
    match text {
        None => Err(Error::option(
            "--dates",
            "auto",
            format!("{path} does not say the date of its {what} image; give a table (--dates pairs.csv)"),
        )),
        Some(text) => Day::parse(text).ok_or_else(|| {
            Error::option("--dates", text, format!("no date, of the {what} image of {path}; write e.g. 2020-03-01"))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        assert_eq!(Day::parse("1970-01-01"), Some(Day(0)));
        assert_eq!(Day::parse("2000-03-01").unwrap().0 - Day::parse("2000-02-28").unwrap().0, 2);
        for text in ["2016-07-18T20:45:07Z", "2016:07:18 20:45:07", "20160718", " 2016/07/18"] {
            assert_eq!(Day::parse(text).unwrap().to_string(), "2016-07-18", "{text}");
        }
        for bad in ["", "July", "2016-13-01", "2015-02-29", "2016-07/18", "16-07-18"] {
            assert_eq!(Day::parse(bad), None, "{bad}");
        }
        for day in [-200_000, -1, 0, 59, 60, 11_016, 20_000] {
            assert_eq!(Day::parse(&Day(day).to_string()), Some(Day(day)));
        }
    }
}
