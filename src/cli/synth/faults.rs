//! Given faults as the displacement of `shiftmap synth pair`.

use crate::Result;
use crate::raster::GeoReference;
use crate::synth::event::EventField;
use crate::synth::field::MARGIN;
use crate::synth::given::{Defaults, read_on_image};
use crate::synth::given_field::event_field;

/// The faults and what their lines lack.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Given faults (lengths in metres)")]
pub struct FaultArgs {
    /// Faults on the map that displace --image: line layer or table of triangles, as for `synth field`
    #[arg(long, value_name = "FILE", requires = "image", conflicts_with = "field")]
    faults: Option<String>,

    /// Slip of lines without the attribute `slip`
    #[arg(long, value_name = "M", requires = "faults", allow_negative_numbers = true)]
    fault_slip: Option<f64>,

    /// Direction of slip of lines without `rake`: 0 left-lateral, 90 reverse, 180 right-lateral, -90 normal
    #[arg(long, value_name = "DEG", requires = "faults", allow_negative_numbers = true)]
    fault_rake: Option<f64>,

    /// Opening of lines without `opening` [default: 0]
    #[arg(long, value_name = "M", requires = "faults", allow_negative_numbers = true)]
    fault_opening: Option<f64>,

    /// Dip of lines without `dip`, to the right of the line [default: 90]
    #[arg(long, value_name = "DEG", requires = "faults")]
    fault_dip: Option<f64>,

    /// Depth of the top edge of lines without `top` [default: 0]
    #[arg(long, value_name = "M", requires = "faults")]
    fault_top: Option<f64>,

    /// Depth of the bottom edge of lines without `bottom`
    #[arg(long, value_name = "M", requires = "faults", conflicts_with = "fault_width")]
    fault_bottom: Option<f64>,

    /// Extent down the dip of lines without `width`
    #[arg(long, value_name = "M", requires = "faults")]
    fault_width: Option<f64>,

    /// Distance from the ends and the bottom over which slip rises from zero, for lines without `taper` [default: 0]
    #[arg(long, value_name = "M", requires = "faults")]
    fault_taper: Option<f64>,

    /// Poisson's ratio of the ground
    #[arg(long, value_name = "NU", default_value_t = 0.25, allow_negative_numbers = true, requires = "faults")]
    poisson: f64,
}

impl FaultArgs {
    pub fn given(&self) -> bool {
        self.faults.is_some()
    }

    /// The faults' field on the image's grid, and its record; `None` without faults. `image`: its path.
    pub fn field(
        &self,
        georef: &GeoReference,
        size: (usize, usize),
        image: &str,
    ) -> Result<Option<(EventField, serde_json::Value)>> {
        let Some(path) = &self.faults else { return Ok(None) };
        let defaults = Defaults {
            slip: self.fault_slip,
            rake: self.fault_rake,
            opening: self.fault_opening,
            dip: self.fault_dip,
            top: self.fault_top,
            bottom: self.fault_bottom,
            width: self.fault_width,
            taper: self.fault_taper,
            prefix: "fault-",
        };
        let (faults, plane) = read_on_image(path, (georef, size, image), &defaults)?;
        let field = event_field(&faults, self.poisson, &plane.pixels(&georef.transform, size), MARGIN)?;
        let record = serde_json::json!({
            "file": path,
            "poisson": self.poisson,
            "triangles": faults.triangles.len(),
            "lines": faults.lines,
            "moment_nm": faults.moment(),
            "magnitude": faults.magnitude(),
        });
        Ok(Some((field, record)))
    }
}
