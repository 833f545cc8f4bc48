//! One page with the graphs and the table, for a browser or QGIS' results viewer.

use std::fmt::Write;

use super::output::text;
use super::{Offset, Profile, REPORT, draw};
use crate::Result;
use crate::raster::OutputFolder;
use crate::raster::xml::escaped;

/// The words for a width, with the window's part.
pub fn width_text(p: &Profile) -> Option<String> {
    let (rise, zone) = (p.rise?, p.zone_width?);
    let seen = format!("10-90 % rise {:.2} ± {:.2} {}", rise.width, rise.width_sigma, p.unit);
    Some(match (p.window_rise > 0.0, zone > 2.0 * rise.width_sigma) {
        (false, _) => seen,
        (true, true) => format!(
            "{seen}; the window gives a sharp step {:.2}, which leaves a fault zone of {zone:.2} {}",
            p.window_rise, p.unit
        ),
        (true, false) => format!("{seen}; the window gives a sharp step {:.2}: no wider zone is seen", p.window_rise),
    })
}

pub fn write(folder: &OutputFolder, p: &Profile) -> Result<()> {
    let mut out = String::new();
    let offset = |o: Option<Offset>| o.map_or("-".into(), |o| format!("{:.3} ± {:.3}", o.value, o.sigma));
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Fault profile</title>\n<style>body{{font:15px \
         sans-serif;margin:2em;max-width:60em}}table{{border-collapse:collapse}}td,th{{padding:.2em .7em;text-align:right;\
         border-bottom:1px solid #ddd}}</style></head><body>\n<h1>Fault profile</h1>\n<p>{} across {}. Swaths {} {unit} wide every \
         {} {unit}, {} {unit} to each side; {} fitted to each side.</p>",
        escaped(&p.map),
        escaped(&p.trace),
        p.width,
        p.spacing,
        p.length,
        if p.degree == 1 { "lines" } else { "parabolas" },
        unit = p.unit
    );
    let _ = writeln!(
        out,
        "<p>Mean offset: parallel {} {unit} (left-lateral positive), normal {} {unit} (opening positive). {}</p>",
        offset(p.mean_parallel),
        offset(p.mean_normal),
        width_text(p).map_or(String::new(), |t| t + "."),
        unit = p.unit
    );
    out += &draw::stack(p).svg(900, 480);
    out += &draw::slip(p).svg(900, 480);
    let _ = writeln!(
        out,
        "<table><tr><th>along</th><th>strike</th><th>parallel</th><th>normal</th><th>east</th><th>north</th><th>cells</th></tr>"
    );
    for s in &p.stations {
        let _ = writeln!(
            out,
            "<tr><td>{:.1}</td><td>{:.1}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{} + {}</td></tr>",
            s.along,
            s.strike,
            offset(s.parallel),
            offset(s.normal),
            offset(s.east),
            offset(s.north),
            s.left,
            s.right
        );
    }
    out += "</table>\n</body></html>\n";
    text(folder, REPORT, &out)
}
